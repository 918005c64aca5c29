/**
 * Damage to a queue's files, and what it costs by the page of the format alone: which frames the
 * changed bytes touched, and how far each epoch is still known to have gone. Reads undamaged files
 * in one pass, record by record; none of the queue's searching and repairing is used here.
 */
import { crc32 } from 'node:zlib';
import { CHECKPOINT_NAME, decodeCheckpoint } from '#collector/producer/queue/checkpoint.ts';
import {
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  SEGMENT_HEADER_BYTES,
  segmentName,
} from '#collector/producer/queue/segment.ts';
import { uuidFromBytes } from '#protocol/identity.ts';
import type { ModelledFiles } from './modelled-files.ts';

export type Harm = {
  readonly how:
    | 'flip'
    | 'truncate'
    | 'zero stretch'
    | 'zero file'
    | 'delete'
    | 'newer'
    | 'foreign'
    | 'copy';
  /** Which file, where in it, and how much of it; each taken as far as there is something. */
  readonly file: number;
  readonly at: number;
  readonly bytes: number;
};

/** What damage did. */
export interface Wound {
  readonly file: string;
  /** What the file is now; nothing, where it is gone. */
  readonly content: Buffer | undefined;
  /** By epoch and seq, as `epoch/seq`: in a frame or a gap of which bytes are gone. */
  readonly touched: ReadonlySet<string>;
  readonly checkpointLost: boolean;
  /** By epoch: how far it went by what is still whole. */
  readonly known: ReadonlyMap<string, number>;
}

interface Said {
  readonly file: string;
  readonly bytes: Buffer;
  readonly offset: number;
  readonly names: readonly string[];
  /** Epochs that it tells of, and how far they went. */
  readonly reaches: readonly (readonly [epoch: string, seq: number])[];
}

/** Does the harm; nothing, when there is no file to do it to. */
export function harm(files: ModelledFiles, { how, file, at, bytes }: Harm): Wound | undefined {
  const segments = files.names('segment-');
  const targets =
    how === 'newer' || how === 'copy' ? segments : [...segments, ...checkpointOf(files)];
  const name = targets[file % Math.max(1, targets.length)];
  if (name === undefined) return undefined;
  const before = segments.flatMap((segment) => recordsOf(segment, files.content(segment)));
  const checkpoint = checkpointReaches(files);
  const size = files.content(name).length;
  const from = at % Math.max(1, size);
  const spare = segmentName(1 + (at % 3) + Math.max(...segments.map(numberOf), 0));
  let changed = name;
  switch (how) {
    case 'flip':
      if (size === 0) return undefined;
      files.edit(name, (content) => xored(content, from, 1 << (bytes % 8)));
      break;
    case 'truncate':
      files.edit(name, (content) => content.subarray(0, from));
      break;
    case 'zero stretch':
      files.edit(name, (content) => content.fill(0, from, Math.min(size, from + bytes)));
      break;
    case 'zero file':
      files.edit(name, (content) => content.fill(0));
      break;
    case 'delete':
      files.unlink(name);
      files.syncDirectory('');
      break;
    case 'newer':
      files.edit(name, asNewer);
      break;
    case 'foreign':
      changed = spare;
      files.put(spare, Buffer.alloc(20 + bytes, 'GIF89a '));
      break;
    case 'copy':
      changed = spare;
      files.put(spare, files.content(name));
      break;
  }
  const isGone = how === 'delete' || how === 'newer';
  const isWhole = ({ file: of, offset, bytes: said }: Said): boolean =>
    of !== name ||
    (!isGone &&
      files
        .content(of)
        .subarray(offset, offset + said.length)
        .equals(said));
  const checkpointLost = name === CHECKPOINT_NAME && how !== 'foreign';
  const known = new Map(checkpointLost ? [] : checkpoint);
  for (const [epoch, seq] of before.filter(isWhole).flatMap(({ reaches }) => reaches)) {
    known.set(epoch, Math.max(known.get(epoch) ?? 0, seq));
  }
  return {
    file: changed,
    content: how === 'delete' ? undefined : files.content(changed),
    touched: new Set(before.filter((said) => !isWhole(said)).flatMap(({ names }) => names)),
    checkpointLost,
    known,
  };
}

function checkpointOf(files: ModelledFiles): string[] {
  return files.names(CHECKPOINT_NAME).filter((name) => name === CHECKPOINT_NAME);
}

function checkpointReaches(files: ModelledFiles): [string, number][] {
  return checkpointOf(files).flatMap((name) => {
    const loaded = decodeCheckpoint(files.content(name));
    if (loaded.state !== 'loaded') return [];
    return loaded.checkpoint.epochs.map(({ epoch, highest }): [string, number] => [epoch, highest]);
  });
}

function numberOf(name: string): number {
  return Number(/\d+/.exec(name)?.[0]);
}

function xored(content: Buffer, at: number, mask: number): Buffer {
  content.writeUInt8(content.readUInt8(at) ^ mask, at);
  return content;
}

/** As a later version writes it: what the header says of that, with a good checksum. */
export function asNewer(content: Buffer): Buffer {
  if (content.length < SEGMENT_HEADER_BYTES) return content;
  content.writeUInt16BE(2, 6);
  content.writeUInt32BE(crc32(content.subarray(0, 16)), 16);
  return content;
}

/** The records of a file up to the first that is not whole. */
export function recordsOf(file: string, content: Buffer): Said[] {
  const records: Said[] = [];
  let offset = SEGMENT_HEADER_BYTES;
  while (offset + RECORD_HEADER_BYTES <= content.length) {
    const length = content.readUInt32BE(offset + 4);
    const end = offset + RECORD_HEADER_BYTES + length;
    const body = content.subarray(offset + RECORD_HEADER_BYTES, end);
    if (body.length < length || crc32(body) !== content.readUInt32BE(offset + 12)) break;
    const bytes = Buffer.from(content.subarray(offset, end));
    records.push({ file, bytes, offset, ...meaningOf(content.readUInt32BE(offset), body) });
    offset = end;
  }
  return records;
}

function meaningOf(magic: number, body: Buffer): Pick<Said, 'names' | 'reaches'> {
  const epoch = uuidFromBytes(body, 0);
  const from = Number(body.readBigUInt64BE(16));
  if (magic === RECORD_MAGIC.frame) {
    return { names: [`${epoch}/${from}`], reaches: [[epoch, from]] };
  }
  const second = Number(body.readBigUInt64BE(magic === RECORD_MAGIC.gap ? 24 : 40));
  if (magic === RECORD_MAGIC.gap) {
    const names = Array.from({ length: second - from + 1 }, (_, i) => `${epoch}/${from + i}`);
    return { names, reaches: [[epoch, second]] };
  }
  const before = uuidFromBytes(body, 24);
  return {
    names: [],
    reaches:
      second > 0
        ? [
            [epoch, from - 1],
            [before, second],
          ]
        : [[epoch, from - 1]],
  };
}
