/**
 * A wall clock that can be asked for every frame of a fill. The operating system's takes about a
 * microsecond to tell microseconds. So it is asked once in a while; between, time goes on by the
 * monotonic clock, for a millisecond at most, and only while the wall clock in milliseconds, which is
 * cheap, says the same: it may be set, and the machine may sleep.
 *
 * Never ahead of the operating system's, nor in another millisecond; within it, late by what passes
 * between its two questions.
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
      if (Math.floor(us / 1_000) === wallMs()) return us;
    }
    askedUs = wallUs();
    // Behind the wall clock: so what passes between the two makes this one late, and not early.
    askedAtMs = monotonicMs();
    return askedUs;
  };
}
