/**
 * Reads frames that are still to be sent, in the queue's order, and finds out when one that should
 * be there is not.
 *
 * Theory of operation: the segments' runs say which frames are to come, so a frame that is damaged
 * or gone shows as a jump in the seqs, whatever the bytes in between look like. Reading goes on
 * where the last call ended; from any other place the sparse index leads to the spot.
 */
import { join } from 'node:path';
import type { Frame } from '#protocol/identity.ts';
import type { EpochState } from './epochs.ts';
import { QueueReadError } from './errors.ts';
import type { FileHandle, FileReader } from './file-port.ts';
import { type ScannedFrame, Scanner } from './scan.ts';
import { SEGMENT_HEADER_BYTES, segmentName } from './segment.ts';
import { type FrameRun, isBefore, type Place, type Segment } from './segment-index.ts';
import type { ReadLimits } from './types.ts';

/** Bounds of what is read at a time; in between it follows what the caller asks for. */
const CHUNK_BYTES_MIN = 16_384;
const CHUNK_BYTES_MAX = 4_194_304;

export interface MissingFrames {
  readonly state: EpochState;
  readonly from: number;
  readonly to: number;
}

interface Batch {
  readonly limits: ReadLimits;
  readonly frames: Frame[];
  readonly missing: MissingFrames[];
  readonly damaged: Set<Segment>;
  bytes: number;
  full: boolean;
}

/** Where the last call ended: behind the frame at `place`, which ends at `offset`. */
interface Cursor {
  readonly place: Place;
  readonly segment: Segment;
  readonly offset: number;
}

export class PendingReader {
  readonly #files: FileReader;
  readonly #path: string;
  #cursor: Cursor | undefined;
  #open: { readonly segment: Segment; readonly handle: FileHandle } | undefined;

  /** @param path The queue's directory, for messages. */
  constructor(files: FileReader, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /**
   * Frames behind `after` that are neither settled nor declared, with their CRC checked, and what
   * of them can't be found in its segment; and the segments in which damage was met. Payloads share
   * memory among the frames of one call.
   * @param segments In ascending order.
   * @throws QueueReadError when the disk doesn't give bytes back.
   */
  read(
    segments: readonly Segment[],
    after: Place,
    limits: ReadLimits,
  ): { frames: Frame[]; missing: MissingFrames[]; damaged: ReadonlySet<Segment> } {
    const batch: Batch = {
      limits,
      frames: [],
      missing: [],
      damaged: new Set(),
      bytes: 0,
      full: false,
    };
    const cursor = this.#cursorAt(after);
    let place = after;
    for (const segment of segments) {
      if (cursor !== undefined && segment.number < cursor.segment.number) continue;
      const target = segment.nextOpen(place);
      if (target === undefined) continue;
      const from = cursor?.segment === segment ? cursor.offset : SEGMENT_HEADER_BYTES;
      const ended = this.#readSegment(segment, target, from, batch);
      if (ended !== undefined) {
        this.#cursor = ended;
        place = ended.place;
      }
      if (batch.full) break;
    }
    const { frames, missing, damaged } = batch;
    return { frames, missing, damaged };
  }

  /** Lets go of a segment that is about to be removed. */
  forget(segment: Segment): void {
    if (this.#open?.segment === segment) this.close();
    if (this.#cursor?.segment === segment) this.#cursor = undefined;
  }

  close(): void {
    if (this.#open !== undefined) this.#files.close(this.#open.handle);
    this.#open = undefined;
  }

  #cursorAt(place: Place): Cursor | undefined {
    const cursor = this.#cursor;
    if (cursor === undefined) return undefined;
    const same = cursor.place.ordinal === place.ordinal && cursor.place.seq === place.seq;
    return same ? cursor : undefined;
  }

  #readSegment(segment: Segment, first: FrameRun, from: number, batch: Batch): Cursor | undefined {
    try {
      return this.#readOpenSegment(segment, this.#handleOf(segment), first, from, batch);
    } catch (error) {
      throw new QueueReadError(join(this.#path, segmentName(segment.number)), error);
    }
  }

  #readOpenSegment(
    segment: Segment,
    handle: FileHandle,
    first: FrameRun,
    from: number,
    batch: Batch,
  ): Cursor | undefined {
    const scanner = new Scanner(this.#files, handle, {
      from: segment.offsetBefore(placeOf(first), from),
      to: segment.bytes,
      chunkBytes: chunkBytes(segment, batch),
      keepPayloads: true,
    });
    let ended: Cursor | undefined;
    let target: FrameRun | undefined = first;
    while (target !== undefined) {
      const record = scanner.next();
      if (record === undefined) {
        batch.missing.push(...openFrom(segment, target));
        batch.damaged.add(segment);
        return ended;
      }
      if (record.kind === 'damage') batch.damaged.add(segment);
      if (record.kind !== 'frame') continue;
      const place = placeIn(segment, record);
      if (place === undefined || isBefore(place, placeOf(target))) continue;
      while (target !== undefined && isBefore(placeOf(target), place)) {
        batch.missing.push(upTo(target, place));
        batch.damaged.add(segment);
        target = segment.nextOpen(lastOf(upTo(target, place)));
      }
      if (target === undefined || isBefore(place, placeOf(target))) continue;
      if (!take(batch, record, scanner)) return ended;
      ended = { place, segment, offset: record.end };
      if (batch.full) return ended;
      target = this.#behind(segment, scanner, target, record.end);
    }
    return ended;
  }

  /** The frames to come behind the first of `target`; skips the scanner over a long closed run. */
  #behind(
    segment: Segment,
    scanner: Scanner,
    target: FrameRun,
    offset: number,
  ): FrameRun | undefined {
    if (target.from < target.to) return { ...target, from: target.from + 1 };
    const next = segment.nextOpen(placeOf(target));
    if (next !== undefined) scanner.skipTo(segment.offsetBefore(placeOf(next), offset));
    return next;
  }

  #handleOf(segment: Segment): FileHandle {
    if (this.#open?.segment === segment) return this.#open.handle;
    this.close();
    this.#open = { segment, handle: this.#files.open(segmentName(segment.number)) };
    return this.#open.handle;
  }
}

/** Puts a frame into the batch; false when it has no room for it. */
function take(batch: Batch, record: ScannedFrame, scanner: Scanner): boolean {
  const { frames, limits } = batch;
  const { epoch, seq, capturedAt, crc } = record;
  batch.full = frames.length > 0 && batch.bytes + record.payloadBytes > limits.bytes;
  if (batch.full) return false;
  frames.push({ epoch, seq, capturedAt, crc, payload: scanner.payload(record) });
  batch.bytes += record.payloadBytes;
  batch.full = frames.length >= limits.frames;
  return true;
}

/** As much as the rest of the batch is likely to take. */
function chunkBytes(segment: Segment, batch: Batch): number {
  const frames = batch.limits.frames - batch.frames.length;
  const likely = Math.min(frames * segment.meanFrameBytes * 1.1, batch.limits.bytes * 1.1);
  return Math.ceil(Math.min(Math.max(likely, CHUNK_BYTES_MIN), CHUNK_BYTES_MAX));
}

function placeOf(run: FrameRun): Place {
  return { ordinal: run.state.ordinal, seq: run.from };
}

function lastOf(missing: MissingFrames): Place {
  return { ordinal: missing.state.ordinal, seq: missing.to };
}

function placeIn(segment: Segment, frame: ScannedFrame): Place | undefined {
  const run = segment.runs.find(({ state }) => state.epoch === frame.epoch);
  return run && { ordinal: run.state.ordinal, seq: frame.seq };
}

/** The part of a run that lies before `place`. */
function upTo(run: FrameRun, place: Place): MissingFrames {
  const to = run.state.ordinal === place.ordinal ? Math.min(run.to, place.seq - 1) : run.to;
  return { state: run.state, from: run.from, to };
}

/** Everything in the segment from `target` on that is still to be sent. */
function openFrom(segment: Segment, target: FrameRun): MissingFrames[] {
  const missing: MissingFrames[] = [];
  for (let run: FrameRun | undefined = target; run !== undefined; ) {
    const { state, from, to } = run;
    missing.push({ state, from, to });
    run = segment.nextOpen({ ordinal: state.ordinal, seq: to });
  }
  return missing;
}
