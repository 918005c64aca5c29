/**
 * Batches on their way to the writer's thread, and their outcomes on the way back: numbers in buffers
 * that are handed over, whatever a batch holds.
 *
 * Why not send them as they are: a thousand living collectors bring one frame at a time, and then
 * cloning the objects around each frame, twice, takes longer than storing it.
 */
import assert from 'node:assert';
import {
  GAP_REASONS,
  REJECT_CODES,
  SETTLED_STATES,
  type SettledRange,
} from '#protocol/settlement.ts';
import { FramePacker, FrameUnpacker, type PackedFrames } from './packing.ts';
import type { CommitOutcome, StreamBatch } from './store.ts';

/** Batches, one behind the other. */
export interface PackedBatches {
  readonly count: number;
  /**
   * For each batch: stream, received_at, how many frames and how many ranges; then the ranges, each
   * as from, to, the place of its state among SETTLED_STATES, and its code.
   */
  readonly numbers: Float64Array<ArrayBuffer>;
  /** Those of all batches. */
  readonly frames: PackedFrames;
}

/** A batch as the writer takes it. */
export interface UnpackedBatch extends Pick<StreamBatch, 'stream' | 'receivedAt' | 'frames'> {
  /** What its gaps and rejections settle. */
  readonly taken: readonly SettledRange[];
}

/**
 * For each batch: how many ranges are settled, how many conflicts, how many duplicates; then the
 * ranges, as in {@link PackedBatches}, and the seqs of the conflicts.
 */
export type PackedOutcomes = Float64Array<ArrayBuffer>;

/** Copies the batches; their frames need not be kept for this any more. */
export function packBatches(batches: readonly StreamBatch[]): PackedBatches {
  let frames = 0;
  let payloadBytes = 0;
  for (const batch of batches) {
    frames += batch.frames.length;
    for (const { payload } of batch.frames) payloadBytes += payload.length;
  }
  const packer = new FramePacker(frames, payloadBytes);
  const numbers: number[] = [];
  for (const { stream, receivedAt, frames, gaps, rejects } of batches) {
    numbers.push(stream, receivedAt, frames.length, gaps.length + rejects.length);
    for (const { from, to, reason } of gaps) {
      pushRange(numbers, { from, to, state: 'declared', code: GAP_REASONS[reason] });
    }
    for (const { seq, code } of rejects) {
      pushRange(numbers, { from: seq, to: seq, state: 'rejected', code: REJECT_CODES[code] });
    }
    packer.add(frames);
  }
  return {
    count: batches.length,
    numbers: new Float64Array(numbers),
    frames: packer.finish(),
  };
}

/** The buffers that can be handed over with a message. */
export function buffersOf({ numbers, frames }: PackedBatches): ArrayBuffer[] {
  return [numbers.buffer, frames.numbers.buffer, frames.payloads.buffer];
}

/** Takes packed batches out again, in their order. */
export class BatchUnpacker {
  readonly #numbers: Numbers;
  readonly #frames: FrameUnpacker;

  constructor({ numbers, frames }: PackedBatches) {
    this.#numbers = new Numbers(numbers);
    this.#frames = new FrameUnpacker(frames);
  }

  take(): UnpackedBatch {
    const numbers = this.#numbers;
    const stream = numbers.next();
    const receivedAt = numbers.next();
    const frames = this.#frames.take(numbers.next());
    return { stream, receivedAt, frames, taken: numbers.nextRanges(numbers.next()) };
  }
}

/** Puts one outcome behind the other. */
export class OutcomePacker {
  readonly #numbers: number[] = [];

  add({ settled, conflicts, duplicates }: CommitOutcome): void {
    const numbers = this.#numbers;
    numbers.push(settled.length, conflicts.length, duplicates);
    for (const range of settled) pushRange(numbers, range);
    for (const seq of conflicts) numbers.push(seq);
  }

  /** All of it, to be handed over. */
  finish(): PackedOutcomes {
    return new Float64Array(this.#numbers);
  }
}

/** Takes packed outcomes out again, in their order. */
export class OutcomeUnpacker {
  readonly #numbers: Numbers;

  constructor(packed: PackedOutcomes) {
    this.#numbers = new Numbers(packed);
  }

  take(): CommitOutcome {
    const numbers = this.#numbers;
    const ranges = numbers.next();
    const count = numbers.next();
    const duplicates = numbers.next();
    const settled = numbers.nextRanges(ranges);
    const conflicts: number[] = [];
    for (let i = 0; i < count; i += 1) conflicts.push(numbers.next());
    return { settled, conflicts, duplicates };
  }
}

function pushRange(numbers: number[], { from, to, state, code }: SettledRange): void {
  numbers.push(from, to, SETTLED_STATES.indexOf(state), code);
}

/** Numbers, one after the other. */
class Numbers {
  readonly #numbers: Float64Array;
  #at = 0;

  constructor(numbers: Float64Array) {
    this.#numbers = numbers;
  }

  next(): number {
    const number = this.#numbers[this.#at];
    assert(number !== undefined, 'packed numbers end too early');
    this.#at += 1;
    return number;
  }

  nextRanges(count: number): SettledRange[] {
    const ranges: SettledRange[] = [];
    for (let i = 0; i < count; i += 1) {
      const from = this.next();
      const to = this.next();
      const state = SETTLED_STATES[this.next()];
      assert(state !== undefined, 'a packed range has no state');
      ranges.push({ from, to, state, code: this.next() });
    }
    return ranges;
  }
}
