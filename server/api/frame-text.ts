/**
 * Stored frames as text: an object of JSON, a line of CSV. The payload's own text goes out as it
 * came, so no number loses digits and no key its twin on the way through a parser.
 *
 * Not here: which frames (`frame-routes.ts`, `export-routes.ts`).
 */
import { isUtf8 } from 'node:buffer';
import { formatTime, frameCrc } from '#protocol/identity.ts';
import type { StoredFrame } from '#server/store/store.ts';

/** Parsers of other languages give up on arrays in arrays that are deeper than some hundreds. */
const JSON_DEPTH_MAX = 100;

const CSV_COLUMNS = [
  'collector',
  'epoch',
  'seq',
  'captured_at',
  'received_at',
  'crc32',
  'payload_bytes',
  'crc_ok',
  'payload_base64',
  'payload',
] as const;

/** The first line of a CSV export. */
export const CSV_HEADER = `${CSV_COLUMNS.join(',')}\r\n`;

/** True when the stored bytes are what was captured. */
export function isIntact(frame: StoredFrame): boolean {
  return frameCrc(frame) === frame.crc;
}

/** `crc_ok` is there, and false, when the stored bytes are not what was captured. */
export function frameJson(frame: StoredFrame, intact: boolean): string {
  const { collector, epoch, seq, capturedAt, receivedAt, payload } = frame;
  const bytes = bytesOf(payload);
  const json = jsonTextOf(bytes);
  return `{"collector":"${collector}","epoch":"${epoch}","seq":${seq},"captured_at":"${formatTime(
    capturedAt,
  )}","received_at":"${formatTime(receivedAt)}","crc32":"${checksumOf(frame)}","payload_bytes":${
    bytes.length
  }${intact ? '' : ',"crc_ok":false'},"payload_base64":"${bytes.toString('base64')}"${
    json === undefined ? '' : `,"payload":${json}`
  }}`;
}

/**
 * A line by RFC 4180, its end included. No cell can call anything as a formula in a spreadsheet: no
 * JSON text begins with =, @ or a tab, or with - and goes on as more than a number; and what else
 * may begin with a + is Base64, which has no brackets.
 */
export function frameCsv(frame: StoredFrame, intact: boolean): string {
  const { collector, epoch, seq, capturedAt, receivedAt, payload } = frame;
  const bytes = bytesOf(payload);
  const json = jsonTextOf(bytes)?.trimStart();
  return `${collector},${epoch},${seq},${formatTime(capturedAt)},${formatTime(
    receivedAt,
  )},${checksumOf(frame)},${bytes.length},${intact},${bytes.toString('base64')},${
    json === undefined ? '' : csvCell(json)
  }\r\n`;
}

/** The payload's text on one line, where it is JSON in UTF-8 that is not nested without end. */
export function jsonTextOf(payload: Buffer): string | undefined {
  if (!mayBeginJson(payload[0]) || !isUtf8(payload)) return undefined;
  const text = payload.toString('utf8');
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  if (depthOf(text) > JSON_DEPTH_MAX) return undefined;
  // Between the parts of JSON any blank is as good as a line's end; within its strings there is none.
  return text.replaceAll(/[\r\n]/g, ' ');
}

/** Spares most of what is not JSON the attempt: a parser's exception costs more than a frame. */
function mayBeginJson(byte: number | undefined): boolean {
  return byte !== undefined && ' \t\r\n{["-0123456789tfn'.includes(String.fromCharCode(byte));
}

/** How deep the arrays and objects of a valid JSON text lie in each other. */
function depthOf(text: string): number {
  if (text.length <= 2 * JSON_DEPTH_MAX) return 0;
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text[i]) {
      case '"':
        i = endOfString(text, i);
        break;
      case '[':
      case '{':
        depth += 1;
        deepest = Math.max(deepest, depth);
        break;
      case ']':
      case '}':
        depth -= 1;
        break;
    }
  }
  return deepest;
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '"') return i;
  }
  return text.length;
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function checksumOf({ crc }: StoredFrame): string {
  return crc.toString(16).padStart(8, '0');
}

function bytesOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
