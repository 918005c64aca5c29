/**
 * A dead letter's file as it is read: its name, and the checks by which its frame is taken out. Who
 * writes it is `dead-letters.ts`; the layout is in docs/queue-format.md.
 */
import {
  CAPTURED_AT_MAX,
  type Epoch,
  type Frame,
  frameCrc,
  PAYLOAD_BYTES_MAX,
} from '#protocol/identity.ts';
import { type FileReader, readWhole } from './file-port.ts';
import { count, object, seq, UnexpectedValue, uuid } from './sealed-json.ts';

/** Letters that wait for a person's decision. */
export const DEAD_LETTERS = 'dead-letters';
/** Letters that are to be sent again. */
export const REPLAY = 'replay';

const NAME = /^([0-9a-f-]{36})-(\d{16})\.json$/;
/** A payload in base64 and what stands around it. */
const LETTER_BYTES_MAX = Math.ceil((PAYLOAD_BYTES_MAX * 4) / 3) + 65_536;

interface Letter {
  readonly collector: string;
  readonly frame: Frame;
  readonly code: string;
  readonly text: string;
  /** RFC 3339. */
  readonly rejectedAt: string;
}

export type LoadedLetter =
  | { readonly state: 'loaded'; readonly letter: Letter }
  /** It was dropped, or taken to be sent again. */
  | { readonly state: 'gone' }
  | { readonly state: 'unreadable'; readonly why: string };

/** The name of a frame's letter. As text, names stand in the order of their frames. */
export function letterName(epoch: Epoch, seq: number): string {
  return `${epoch}-${String(seq).padStart(16, '0')}.json`;
}

/** What a letter's name says; undefined for any other name. */
export function identityOf(
  name: string,
): { readonly epoch: Epoch; readonly seq: number } | undefined {
  const [, epoch, digits] = NAME.exec(name) ?? [];
  return epoch === undefined ? undefined : { epoch, seq: Number(digits) };
}

/** The names of the letters in a directory, in the order of their frames. */
export function letterNames(files: FileReader, directory: string): string[] {
  return files
    .list(directory)
    .filter((name) => NAME.test(name))
    .sort();
}

/** Loads a letter and holds its frame against its CRC. Throws the port's own errors. */
export function loadLetter(files: FileReader, path: string): LoadedLetter {
  const bytes = files.size(path);
  if (bytes === undefined) return { state: 'gone' };
  if (bytes > LETTER_BYTES_MAX) return { state: 'unreadable', why: `it has ${bytes} bytes` };
  try {
    const letter = toLetter(JSON.parse(readWhole(files, path).toString()));
    if (letter.frame.crc === frameCrc(letter.frame)) return { state: 'loaded', letter };
    return { state: 'unreadable', why: "its frame's checksum does not match" };
  } catch (error) {
    if (error instanceof SyntaxError) return { state: 'unreadable', why: 'it is no JSON' };
    if (error instanceof UnexpectedValue) return { state: 'unreadable', why: error.message };
    throw error;
  }
}

function toLetter(value: unknown): Letter {
  const fields = object(value);
  const payload = Buffer.from(text(fields.payload_base64), 'base64');
  if (payload.length > PAYLOAD_BYTES_MAX) throw new UnexpectedValue('a payload', payload.length);
  return {
    collector: text(fields.collector),
    frame: {
      epoch: uuid(fields.epoch),
      seq: seq(fields.seq),
      capturedAt: count(fields.captured_at_us, CAPTURED_AT_MAX),
      crc: count(Number.parseInt(text(fields.crc32), 16), 0xffff_ffff),
      payload,
    },
    code: text(fields.code),
    text: text(fields.text),
    rejectedAt: text(fields.rejected_at),
  };
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new UnexpectedValue('a text', value);
  return value;
}
