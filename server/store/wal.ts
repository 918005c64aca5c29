/**
 * The write-ahead log as bytes: walked without SQLite, before SQLite opens the store and overwrites
 * it. Changes nothing.
 *
 * SQLite takes a log up to the first frame (a page with a header) that doesn't match its checksum,
 * silently, for that is what a power loss leaves of a commit that was not synced. But a commit is
 * begun only after the one before it was synced. So a commit behind the break that has other frames
 * behind it was synced, and may have been acknowledged: then the log is damaged. What can't be told
 * from a power loss is damage within the very last commit; the collectors find that one out, for
 * they remember what was acknowledged.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC_LITTLE_ENDIAN = 0x377f_0682;
const MAGIC_BIG_ENDIAN = 0x377f_0683;

/** A page in the log. */
export interface LoggedPage {
  readonly pageNumber: number;
  /** Where its bytes begin in the log's file. */
  readonly at: number;
  /** Valid until the next one is asked for. */
  readonly bytes: Uint8Array;
  /** Whether the frame is what was written: its checksum holds. */
  readonly whole: boolean;
  /** Whether SQLite would take it: all before it is whole, too. */
  readonly taken: boolean;
  /** The last page of a transaction. */
  readonly commit: boolean;
}

/** What there is to tell of a log. */
export interface LogState {
  /** Frames of the log's present life; what is behind them is left of lives before. */
  readonly frames: number;
  /** The first of them that SQLite will not take, from 0 on; undefined when it takes all. */
  readonly brokenAt: number | undefined;
  /** Commits behind the break that had been synced: acknowledged, and not to be read any more. */
  readonly commitsLost: number;
}

/** Walks all of a log. A log that isn't there, or is empty, has no frames. */
export function inspectLog(path: string): LogState {
  let frames = 0;
  let brokenAt: number | undefined;
  let commitsLost = 0;
  let commitPending = false;
  for (const { taken, commit } of pagesOfLog(path)) {
    if (!taken) {
      brokenAt ??= frames;
      if (commitPending) commitsLost += 1;
      commitPending = commit;
    }
    frames += 1;
  }
  return { frames, brokenAt, commitsLost };
}

/** The pages of the log's present life, in the order in which they were written. */
export function* pagesOfLog(path: string): Generator<LoggedPage> {
  const file = openIfThere(path);
  if (file === undefined) return;
  try {
    yield* pagesOfFile(file);
  } finally {
    closeSync(file);
  }
}

function* pagesOfFile(file: number): Generator<LoggedPage> {
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(file, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return;
  const magic = header.readUInt32BE(0);
  const checksum = new Checksum(magic === MAGIC_BIG_ENDIAN);
  checksum.add(header, 0, 24);
  const headerIsWhole =
    (magic === MAGIC_LITTLE_ENDIAN || magic === MAGIC_BIG_ENDIAN) && checksum.is(header, 24);
  const pageBytes = headerIsWhole ? header.readUInt32BE(8) : DEFAULT_PAGE_BYTES;
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + pageBytes);
  const salts = header.subarray(16, 24);
  if (!headerIsWhole) readSync(file, salts, 0, salts.length, HEADER_BYTES + 8);
  const { size } = fstatSync(file);
  let taken = headerIsWhole;
  for (let at = HEADER_BYTES; at + frame.length <= size; at += frame.length) {
    readSync(file, frame, 0, frame.length, at);
    const ofThisLife = frame.compare(salts, 0, 8, 8, 16) === 0;
    if (!ofThisLife) {
      // Left of a life before; or damaged itself, and then others of this life follow.
      taken = false;
      continue;
    }
    checksum.add(frame, 0, 8);
    checksum.add(frame, FRAME_HEADER_BYTES, pageBytes);
    const whole = checksum.is(frame, 16);
    if (!whole) taken = false;
    // The next frame's checksum goes on from what was written here.
    checksum.set(frame, 16);
    yield {
      pageNumber: frame.readUInt32BE(0),
      at: at + FRAME_HEADER_BYTES,
      bytes: frame.subarray(FRAME_HEADER_BYTES),
      whole,
      taken,
      commit: frame.readUInt32BE(4) !== 0,
    };
  }
}

/** Only a log with a damaged header has to be guessed about. */
const DEFAULT_PAGE_BYTES = 4_096;

/** SQLite's running checksum over pairs of words. */
class Checksum {
  readonly #bigEndian: boolean;
  #first = 0;
  #second = 0;

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian;
  }

  add(bytes: Buffer, offset: number, length: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, length);
    let first = this.#first;
    let second = this.#second;
    for (let at = 0; at < length; at += 8) {
      first = (first + view.getUint32(at, !this.#bigEndian) + second) >>> 0;
      second = (second + view.getUint32(at + 4, !this.#bigEndian) + first) >>> 0;
    }
    this.#first = first;
    this.#second = second;
  }

  is(bytes: Buffer, offset: number): boolean {
    return (
      bytes.readUInt32BE(offset) === this.#first && bytes.readUInt32BE(offset + 4) === this.#second
    );
  }

  set(bytes: Buffer, offset: number): void {
    this.#first = bytes.readUInt32BE(offset);
    this.#second = bytes.readUInt32BE(offset + 4);
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
