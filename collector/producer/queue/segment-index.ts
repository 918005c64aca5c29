/**
 * What is known in memory of one segment file: its size, the runs of frames in it, and a sparse
 * index for finding one. Its size depends on the segment's size, not on the number of frames.
 */
import type { EpochState } from './epochs.ts';

/** One entry of the index for so many bytes of the file. */
export const INDEX_STRIDE_BYTES = 262_144;

/** What a segment takes on disk beside its bytes: the last block's rest, and its index file. */
const FILE_OVERHEAD_BYTES = 8_192;

/** Consecutive seqs of one epoch that lie one behind the other. */
export interface FrameRun {
  readonly state: EpochState;
  readonly from: number;
  to: number;
}

interface IndexEntry {
  readonly state: EpochState;
  readonly seq: number;
  readonly offset: number;
}

/** Where a frame stands in the order of the queue. */
export interface Place {
  readonly ordinal: number;
  readonly seq: number;
}

export class Segment {
  readonly number: number;
  /** Bytes that are durable: what may be read. */
  bytes: number;
  /** Damage was found in it since the opening; the file is not to be unlinked. */
  isDamaged = false;
  readonly #runs: FrameRun[] = [];
  readonly #gapStates = new Set<EpochState>();
  readonly #index: IndexEntry[] = [];
  #frames = 0;

  constructor(number: number, bytes: number) {
    this.number = number;
    this.bytes = bytes;
  }

  get runs(): readonly FrameRun[] {
    return this.#runs;
  }

  /** Where some of its frames lie, in order. */
  get places(): readonly IndexEntry[] {
    return this.#index;
  }

  get meanFrameBytes(): number {
    return this.bytes / Math.max(this.#frames, 1);
  }

  /** Adds durable frames behind those that are there. */
  addFrames(state: EpochState, from: number, to: number): void {
    const last = this.#runs.at(-1);
    if (last?.state === state && last.to + 1 === from) last.to = to;
    else this.#runs.push({ state, from, to });
    this.#frames += to - from + 1;
  }

  /** Takes note that a gap of this epoch is recorded here. */
  addGap(state: EpochState): void {
    this.#gapStates.add(state);
  }

  /** True when the file speaks of frames of this epoch, whatever became of them. */
  speaksOf(state: EpochState): boolean {
    return this.#gapStates.has(state) || this.#runs.some((run) => run.state === state);
  }

  /** Takes note of where a frame lies, if the last note is far enough away. */
  note(state: EpochState, seq: number, offset: number): void {
    const last = this.#index.at(-1);
    if (last === undefined || offset - last.offset >= INDEX_STRIDE_BYTES) {
      this.#index.push({ state, seq, offset });
    }
  }

  /** Forgets notes of frames that were not made durable. */
  forgetNotesFrom(offset: number): void {
    while ((this.#index.at(-1)?.offset ?? -1) >= offset) this.#index.pop();
  }

  /** The offset, `least` or behind it, from which the frame at `place` is a stride away at most. */
  offsetBefore(place: Place, least: number): number {
    let offset = least;
    for (const entry of this.#index) {
      if (isBefore(place, { ordinal: entry.state.ordinal, seq: entry.seq })) break;
      offset = Math.max(offset, entry.offset);
    }
    return offset;
  }

  /** The first frames behind `place` that are still to be sent; possibly not the whole run. */
  nextOpen(place: Place): FrameRun | undefined {
    for (const run of this.#runs) {
      if (run.state.ordinal < place.ordinal) continue;
      const sameEpoch = run.state.ordinal === place.ordinal;
      const from = sameEpoch ? Math.max(run.from, place.seq + 1) : run.from;
      const open = from <= run.to ? run.state.openRun(from, run.to) : undefined;
      if (open !== undefined) return { state: run.state, from: open.from, to: open.to };
    }
    return undefined;
  }

  /** True when it holds no frame that is still to be sent. */
  get isDone(): boolean {
    return this.nextOpen({ ordinal: 0, seq: 0 }) === undefined;
  }
}

export function chargedBytes(segmentBytes: number): number {
  return segmentBytes + FILE_OVERHEAD_BYTES;
}

export function isBefore(a: Place, b: Place): boolean {
  return a.ordinal < b.ordinal || (a.ordinal === b.ordinal && a.seq < b.seq);
}
