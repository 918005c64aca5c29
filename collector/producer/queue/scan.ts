/**
 * Walks through the records of a segment file in bounded memory, checks every one, and goes on
 * behind damage. Reads only; what damage means is for its callers to say.
 *
 * Theory of operation: a window of the file is kept in memory. A record is good when its magic,
 * length and position fit and its body has the CRC that it claims. Where one is not, everything up
 * to the next good record is reported as one stretch of damage. Searching for that record looks
 * for the magics' common prefix and trusts nothing but a whole good record.
 *
 * What the disk refuses to give back (EIO) is damage, too, as far as the blocks go that can't be
 * read. Each has been asked for three times by then, so that an error that passes costs nothing.
 * Any other error of a read is the caller's.
 */
import { crc32 } from 'node:zlib';
import {
  CAPTURED_AT_MAX,
  EPOCH_BYTES,
  type Epoch,
  readUint64,
  uuidFromBytes,
} from '#protocol/identity.ts';
import { type FileHandle, type FileReader, isRefusal } from './file-port.ts';
import {
  bodyBytes,
  decodeEpoch,
  decodeGap,
  type EpochRecord,
  FRAME_IDENTITY_BYTES,
  isSeq,
  kindOf,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC_PREFIX,
} from './segment.ts';
import type { Gap } from './types.ts';

/** A stretch of the file, `end` excluded. */
interface Stretch {
  readonly offset: number;
  readonly end: number;
}

interface Damage extends Stretch {
  readonly kind: 'damage';
  /** The disk refuses to give some of it back. */
  readonly refused: boolean;
}

export interface ScannedFrame extends Stretch {
  readonly kind: 'frame';
  readonly epoch: Epoch;
  readonly seq: number;
  readonly capturedAt: number;
  readonly crc: number;
  readonly payloadBytes: number;
}

export type Scanned =
  | ScannedFrame
  | (Stretch & { readonly kind: 'epoch'; readonly record: EpochRecord })
  | (Stretch & { readonly kind: 'gap'; readonly gap: Gap })
  | Damage;

export interface ScanRange {
  /** Where the first record is expected. */
  readonly from: number;
  /** Nothing at or behind this offset is looked at. */
  readonly to: number;
  /** How much is read at a time, in bytes; a larger record is read by itself. */
  readonly chunkBytes: number;
  /**
   * True: each window is fresh memory of its own, so that payloads may be kept and given away.
   * False: one piece of memory is used again and again; payloads hold until the next call.
   */
  readonly keepPayloads: boolean;
}

const NOTHING = Buffer.alloc(0);

/** In what pieces a stretch is read that can't be read at once: a sector of today's disks. */
const BLOCK_BYTES = 4_096;

/** How often a block is asked for by itself before it counts as refused. */
const BLOCK_TRIES = 2;

/**
 * Reads as `FilePort.read` does, around what the disk refuses: such blocks come back as zeros, which
 * are no record, and count as read. Throws any error but EIO.
 * @param onRefused Is told where in the file each of them begins.
 */
export function readAround(
  files: FileReader,
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  onRefused: (offset: number) => void = () => {},
): number {
  const whole = readUnlessRefused(files, handle, target, position);
  if (whole !== undefined) return whole;
  let total = 0;
  while (total < target.length) {
    const offset = position + total;
    const block = target.subarray(total, total + BLOCK_BYTES - (offset % BLOCK_BYTES));
    let count: number | undefined;
    for (let tries = 0; tries < BLOCK_TRIES && count === undefined; tries += 1) {
      count = readUnlessRefused(files, handle, block, offset);
    }
    if (count === undefined) {
      block.fill(0);
      onRefused(offset);
    }
    total += count ?? block.length;
    if (count !== undefined && count < block.length) break;
  }
  return total;
}

function readUnlessRefused(
  files: FileReader,
  handle: FileHandle,
  target: Uint8Array,
  position: number,
): number | undefined {
  try {
    return files.read(handle, target, position);
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

export class Scanner {
  readonly #files: FileReader;
  readonly #handle: FileHandle;
  readonly #range: ScanRange;
  #offset: number;
  #window: Buffer = NOTHING;
  #windowAt = 0;
  #memory: Buffer = NOTHING;
  #epochBytes: Buffer = Buffer.alloc(EPOCH_BYTES);
  #epoch: Epoch = uuidFromBytes(this.#epochBytes);
  /** Where the disk refused blocks. */
  readonly #refused = new Set<number>();

  constructor(files: FileReader, handle: FileHandle, range: ScanRange) {
    this.#files = files;
    this.#handle = handle;
    this.#range = range;
    this.#offset = range.from;
  }

  /** Goes on at a record's offset further on. */
  skipTo(offset: number): void {
    if (offset > this.#offset) this.#offset = offset;
  }

  /** The next record or stretch of damage; `undefined` at the end. */
  next(): Scanned | undefined {
    const offset = this.#offset;
    if (offset >= this.#range.to) return undefined;
    const record = this.#recordAt(offset);
    if (record !== undefined) {
      this.#offset = record.end;
      return record;
    }
    this.#offset = this.#nextGood(offset + 1) ?? this.#range.to;
    const end = this.#offset;
    const refused = [...this.#refused].some(
      (block) => block < end && block + BLOCK_BYTES - (block % BLOCK_BYTES) > offset,
    );
    return { kind: 'damage', offset, end, refused };
  }

  /** The payload of the frame that `next` gave last. */
  payload(frame: ScannedFrame): Uint8Array {
    const start = frame.end - frame.payloadBytes - this.#windowAt;
    const window = this.#window;
    return new Uint8Array(window.buffer, window.byteOffset + start, frame.payloadBytes);
  }

  /** The whole record that `next` gave last, as it is on disk. */
  bytes(record: Stretch): Buffer {
    return this.#window.subarray(record.offset - this.#windowAt, record.end - this.#windowAt);
  }

  #recordAt(offset: number): Scanned | undefined {
    if (!this.#load(offset, RECORD_HEADER_BYTES)) return undefined;
    const at = offset - this.#windowAt;
    const kind = kindOf(this.#window.readUInt32BE(at));
    if (kind === undefined || this.#window.readUInt32BE(at + 8) !== offset) return undefined;
    const length = this.#window.readUInt32BE(at + 4);
    const [least, most] = bodyBytes(kind);
    if (length < least || length > most) return undefined;
    if (!this.#load(offset, RECORD_HEADER_BYTES + length)) return undefined;
    return this.#checkedRecord(offset, kind, length);
  }

  #checkedRecord(
    offset: number,
    kind: 'frame' | 'epoch' | 'gap',
    length: number,
  ): Scanned | undefined {
    const window = this.#window;
    const body = offset - this.#windowAt + RECORD_HEADER_BYTES;
    const crc = window.readUInt32BE(body - 4);
    if (crc32(window.subarray(body, body + length)) !== crc) return undefined;
    const end = offset + RECORD_HEADER_BYTES + length;
    if (kind === 'epoch') {
      const record = decodeEpoch(window, body);
      return record && { kind, offset, end, record };
    }
    if (kind === 'gap') {
      const gap = decodeGap(window, body);
      return gap && { kind, offset, end, gap };
    }
    const seq = readUint64(window, body + EPOCH_BYTES);
    const capturedAt = readUint64(window, body + EPOCH_BYTES + 8);
    if (!isSeq(seq) || capturedAt > CAPTURED_AT_MAX) return undefined;
    const epoch = this.#epochAt(body);
    const payloadBytes = length - FRAME_IDENTITY_BYTES;
    return { kind, offset, end, epoch, seq, capturedAt, crc, payloadBytes };
  }

  /** Makes a text of an epoch only when it is another one than before. */
  #epochAt(at: number): Epoch {
    if (this.#window.compare(this.#epochBytes, 0, EPOCH_BYTES, at, at + EPOCH_BYTES) !== 0) {
      this.#epochBytes = Buffer.from(this.#window.subarray(at, at + EPOCH_BYTES));
      this.#epoch = uuidFromBytes(this.#epochBytes);
    }
    return this.#epoch;
  }

  /** The offset of the first good record at or behind `from`. */
  #nextGood(from: number): number | undefined {
    for (let offset = from; this.#load(offset, RECORD_HEADER_BYTES); ) {
      const found = this.#window.indexOf(RECORD_MAGIC_PREFIX, offset - this.#windowAt);
      if (found < 0) {
        const unseen = this.#windowAt + this.#window.length - RECORD_MAGIC_PREFIX.length + 1;
        offset = Math.max(offset + 1, unseen);
      } else {
        const candidate = this.#windowAt + found;
        if (this.#recordAt(candidate) !== undefined) return candidate;
        offset = candidate + 1;
      }
    }
    return undefined;
  }

  /** Makes sure that [offset, offset + bytes) is in the window; false when the file has no such. */
  #load(offset: number, bytes: number): boolean {
    const end = offset + bytes;
    if (end > this.#range.to) return false;
    if (offset >= this.#windowAt && end <= this.#windowAt + this.#window.length) return true;
    const wanted = Math.min(this.#range.to - offset, Math.max(bytes, this.#range.chunkBytes));
    if (this.#range.keepPayloads || this.#memory.length < wanted) {
      this.#memory = Buffer.allocUnsafeSlow(wanted);
    }
    const memory = this.#memory.subarray(0, wanted);
    const count = readAround(this.#files, this.#handle, memory, offset, (block) => {
      this.#refused.add(block);
    });
    this.#window = this.#memory.subarray(0, count);
    this.#windowAt = offset;
    return count >= bytes;
  }
}
