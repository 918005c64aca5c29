/**
 * Damage to a collector's disk while nothing runs on it, and what of the frames on it may be lost by
 * that: those whose bytes were touched, and no others. Reads segments by `docs/queue-format.md` and
 * not by the queue's own code.
 */
import { uuidFromBytes } from '#protocol/identity.ts';
import type { ModelledFiles } from '../unit/queue/modelled-files.ts';
import type { Random } from './model/random.ts';

interface Touched {
  readonly epoch: string;
  readonly seq: number;
}

const HEADER_BYTES = 20;
const RECORD_HEADER_BYTES = 16;
const FRAME_MAGIC = 0x48465117;
const GAP_MAGIC = 0x484651e8;

/**
 * Damages one segment. Answers the frames that may be gone, and those given up in a gap whose record
 * may be; undefined where there is no segment.
 */
export function damageSegment(files: ModelledFiles, random: Random): Touched[] | undefined {
  const names = files.names('segment-');
  if (names.length === 0) return undefined;
  const name = random.pick(names);
  const content = files.content(name);
  const kind = random.weighted({ flip: 4, zeros: 2, cut: 2, gone: 3 });
  const from = random.int(0, Math.max(0, content.length - 1));
  const length = kind === 'cut' ? content.length : Math.round(random.spread(1, 200));
  const to = Math.min(content.length, from + length);
  const touched = recordsIn(
    content,
    kind === 'gone' ? 0 : from,
    kind === 'gone' ? content.length : to,
  );
  if (kind === 'gone') {
    files.unlink(name);
    files.syncDirectory('');
  } else {
    files.edit(name, (bytes) => {
      if (kind === 'cut') return bytes.subarray(0, from);
      for (let at = from; at < to; at += 1) {
        bytes[at] = kind === 'zeros' ? 0 : (bytes[at] ?? 0) ^ random.int(1, 255);
      }
      return bytes;
    });
  }
  return touched;
}

/** The frames of the records that overlap these bytes. */
function recordsIn(content: Buffer, from: number, to: number): Touched[] {
  const touched: Touched[] = [];
  let offset = HEADER_BYTES;
  while (offset + RECORD_HEADER_BYTES <= content.length) {
    const magic = content.readUInt32BE(offset);
    const end = offset + RECORD_HEADER_BYTES + content.readUInt32BE(offset + 4);
    const isRecord = content.readUInt32BE(offset + 8) === offset && end <= content.length;
    if (isRecord && offset < to && end > from) touched.push(...framesOf(content, offset, magic));
    // Behind earlier damage the next record is looked for byte by byte.
    offset = isRecord ? end : offset + 1;
  }
  return touched;
}

function framesOf(content: Buffer, offset: number, magic: number): Touched[] {
  const body = offset + RECORD_HEADER_BYTES;
  if (magic !== FRAME_MAGIC && magic !== GAP_MAGIC) return [];
  const epoch = uuidFromBytes(content, body);
  const first = Number(content.readBigUInt64BE(body + 16));
  const last = magic === GAP_MAGIC ? Number(content.readBigUInt64BE(body + 24)) : first;
  return Array.from({ length: last - first + 1 }, (_, i) => ({ epoch, seq: first + i }));
}

/** Damages the checkpoint: nothing may be lost by that. */
export function damageCheckpoint(files: ModelledFiles, random: Random): void {
  if (files.size('checkpoint') === undefined) return;
  files.edit('checkpoint', (bytes) => {
    if (bytes.length > 0) bytes[random.int(0, bytes.length - 1)] = 0x21;
    return bytes;
  });
}
