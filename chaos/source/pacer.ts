/**
 * When attempts are due: number k of a run at start + k / rate, on a monotonic clock. A late look
 * gives all that became due since, so the rate holds whatever timers do; what a long standstill
 * left undone is given up and counted, since a burst would test something else than the rate.
 *
 * Sans-IO: time comes in, numbers go out; the load owns the timer.
 */

/** A standstill up to this long is made up for. */
const CATCH_UP_MS = 1_000;

export interface Due {
  /** How many attempts to make now. */
  readonly attempts: number;
  /** How many are given up. */
  readonly stalled: number;
}

export class Pacer {
  readonly #startMs: number;
  readonly #intervalMs: number;
  #taken = 0;

  /** `rate` in attempts a second, over 0. */
  constructor(startMs: number, rate: number) {
    this.#startMs = startMs;
    this.#intervalMs = 1_000 / rate;
  }

  /** Monotonic milliseconds at which the next attempt is due. */
  get nextMs(): number {
    return this.#startMs + this.#taken * this.#intervalMs;
  }

  /** Takes all attempts that are due. */
  take(nowMs: number): Due {
    const due = Math.floor((nowMs - this.#startMs) / this.#intervalMs) + 1 - this.#taken;
    if (due <= 0) return { attempts: 0, stalled: 0 };
    const attempts = Math.min(due, Math.max(1, Math.floor(CATCH_UP_MS / this.#intervalMs)));
    this.#taken += due;
    return { attempts, stalled: due - attempts };
  }
}
