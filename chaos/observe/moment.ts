/** A moment on both clocks of this machine, in the form that the oracle takes. */
import type { Moment } from '#lab/ground/ground.ts';

export function now(): Moment {
  const wallUs = Number(Temporal.Now.instant().epochNanoseconds / 1_000n);
  return { wall_us: wallUs, monotonic_ms: performance.now() };
}

/** Milliseconds since then. */
export function msSince({ monotonic_ms }: Moment): number {
  return performance.now() - monotonic_ms;
}
