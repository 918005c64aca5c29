/**
 * When to sample: tick n is due at start + n × interval on a monotonic clock. A late tick doesn't
 * move the ones after it, and the ticks that passed in a freeze are counted, not made up for: a
 * burst of samples with one capture time would tell nothing.
 *
 * Sans-IO: the time comes in, the next deadline goes out; the sampler owns the timer.
 */

export interface Tick {
  /** 0, 1, 2 … since the start. */
  readonly number: number;
  /** Ticks between the previous one and this one that were never taken. */
  readonly skipped: number;
}

export class Schedule {
  readonly #startMs: number;
  readonly #intervalMs: number;
  #next = 0;

  /** `startMs`: monotonic time of tick 0. `intervalMs` > 0. */
  constructor(startMs: number, intervalMs: number) {
    this.#startMs = startMs;
    this.#intervalMs = intervalMs;
  }

  /** Monotonic milliseconds at which the next tick is due. */
  get dueMs(): number {
    return this.#startMs + this.#next * this.#intervalMs;
  }

  /** The tick to take now, or undefined when it is too early for the next one. */
  poll(nowMs: number): Tick | undefined {
    if (nowMs < this.dueMs) return undefined;
    const elapsed = Math.floor((nowMs - this.#startMs) / this.#intervalMs);
    const number = Math.max(elapsed, this.#next);
    const skipped = number - this.#next;
    this.#next = number + 1;
    return { number, skipped };
  }
}
