/**
 * The clocks and the timer of the sampler, as one port, so that tests can run hours in no time.
 *
 * Monotonic time decides when something happens; wall time is only ever written down.
 */

export interface Clock {
  /** Milliseconds that never jump. */
  monotonicMs(): number;
  /** Microseconds since 1970 UTC, whatever the machine believes them to be. */
  wallUs(): number;
  /** Calls back once after `delayMs`; returns what cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallUs: () => Number(Temporal.Now.instant().epochNanoseconds / 1000n),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
