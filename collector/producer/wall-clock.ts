/**
 * A wall clock that can be asked for every frame of a fill. The operating system's costs about a
 * microsecond to be asked in microseconds. So it is asked once in a while; between, time goes on by the
 * monotonic clock, for a millisecond at most, and not once the wall clock in milliseconds, which is
 * cheap, contradicts: it was set, or the machine slept.
 */

/** What tells the time. */
export interface Clocks {
  /** Microseconds since 1970 UTC. */
  readonly wallUs: () => number;
  /** The same in milliseconds; cheap. */
  readonly wallMs: () => number;
  /** Monotonic milliseconds, and parts of them; cheap. */
  readonly monotonicMs: () => number;
}

const TRUSTED_MS = 1;

/** Answers a clock of whole microseconds since 1970 UTC. */
export function wallClock({ wallUs, wallMs, monotonicMs }: Clocks): () => number {
  let askedUs = 0;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const elapsedMs = monotonicMs() - askedAtMs;
    if (elapsedMs < TRUSTED_MS) {
      const us = askedUs + Math.floor(elapsedMs * 1_000);
      if (Math.abs(us / 1_000 - wallMs()) <= TRUSTED_MS) return us;
    }
    askedUs = wallUs();
    // Asked behind the wall clock: the time that passes between the two makes none run ahead.
    askedAtMs = monotonicMs();
    return askedUs;
  };
}
