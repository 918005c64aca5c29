/**
 * When frames were captured and when they were stored, in orders that answer in no time what is
 * asked for each fault of a run: an hour has hundreds of faults and a million frames.
 *
 * Times are microseconds since 1970 UTC; `Infinity` stands for never stored.
 */
import type { Fate } from './comparison.ts';

export class FateTimes {
  /** Of all that were stored, in order. */
  readonly #stored: Float64Array;
  /** Of all that were accepted: when stored, in order. */
  readonly #due: Float64Array;
  /** Of the same, in the order of their capture: when captured. */
  readonly #captured: Float64Array;
  /** When stored. */
  readonly #received: Float64Array;
  /** When the last one that far was stored. */
  readonly #receivedMax: Float64Array;
  /** The same without what was given up. */
  readonly #settledMax: Float64Array;

  constructor(fates: readonly Fate[]) {
    const accepted = fates
      .filter(({ attempt }) => attempt.outcome === 'accepted')
      .sort((a, b) => a.attempt.capturedAt - b.attempt.capturedAt);
    const stored = fates.filter(({ receivedAt }) => receivedAt !== undefined);
    this.#stored = Float64Array.from(stored, storedAt).sort();
    this.#captured = Float64Array.from(accepted, ({ attempt }) => attempt.capturedAt);
    this.#received = Float64Array.from(accepted, storedAt);
    this.#due = this.#received.toSorted();
    this.#receivedMax = highest(this.#received);
    const settled = Float64Array.from(accepted, (fate) => (fate.givenUp ? 0 : storedAt(fate)));
    this.#settledMax = highest(settled);
  }

  /** When the first frame was stored at or after this time. */
  firstStoredFrom(timeUs: number): number {
    return this.#stored[firstFrom(this.#stored, timeUs)] ?? Infinity;
  }

  /** How many accepted frames were not yet stored before this time. */
  dueFrom(timeUs: number): number {
    return this.#due.length - firstFrom(this.#due, timeUs);
  }

  /** How many accepted frames were captured by the one time, and not stored before the other. */
  waitedBetween(capturedByUs: number, storedFromUs: number): number {
    let count = 0;
    let index = this.#countCapturedBy(capturedByUs) - 1;
    // Before this point everything was stored in time.
    for (; index >= 0 && (this.#receivedMax[index] ?? 0) >= storedFromUs; index -= 1) {
      if ((this.#received[index] ?? 0) >= storedFromUs) count += 1;
    }
    return count;
  }

  /** When all that was captured by then, and not given up, was stored; 0 when that is nothing. */
  allStoredOf(capturedByUs: number): number {
    return this.#settledMax[this.#countCapturedBy(capturedByUs) - 1] ?? 0;
  }

  #countCapturedBy(timeUs: number): number {
    // Whole microseconds: by one time is before the next.
    return firstFrom(this.#captured, timeUs + 1);
  }
}

/** A row whose time doesn't read was stored at a time that nobody can hold against a fault. */
function storedAt({ receivedAt = Infinity }: Fate): number {
  return Number.isNaN(receivedAt) ? 0 : receivedAt;
}

/** For each the highest up to and with it. */
function highest(values: Float64Array): Float64Array {
  let most = 0;
  return values.map((value) => {
    most = Math.max(most, value);
    return most;
  });
}

/** Of ascending values the index of the first that is no less. */
function firstFrom(values: Float64Array, least: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? 0) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
