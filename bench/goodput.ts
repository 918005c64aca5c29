/**
 * How many bytes a second a link brought, reckoned from when they arrived. Pure.
 *
 * On a thin link bytes come in lumps, a message of seconds at a time. So a rate is not what arrived
 * in a span over that span, which is off by up to a lump: it begins at the first arrival in the span,
 * which is not counted, and ends at the last.
 */
import { BenchError } from './errors.ts';

export interface Arrival {
  /** By the wall clock, in milliseconds. */
  readonly atMs: number;
  readonly bytes: number;
}

export interface Span {
  /** By the wall clock, in milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** So many equal parts of a span, one after the other. */
export function slicesOf({ fromMs, toMs }: Span, count: number): Span[] {
  const lengthMs = (toMs - fromMs) / count;
  return Array.from({ length: count }, (_, i) => {
    return { fromMs: fromMs + i * lengthMs, toMs: fromMs + (i + 1) * lengthMs };
  });
}

/**
 * Bytes a second; `arrivals` in the order of their times.
 * @throws BenchError where less than two moments of arrival are in the span.
 */
export function bytesPerS(arrivals: readonly Arrival[], { fromMs, toMs }: Span): number {
  const within = arrivals.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
  const [first, last] = [within[0]?.atMs ?? 0, within.at(-1)?.atMs ?? 0];
  if (last <= first) {
    const seconds = (toMs - fromMs) / 1_000;
    throw new BenchError(`too little came over the link in ${seconds} s to tell a rate from`);
  }
  // What came together came as one: frames of a message share their time.
  const bytes = within.reduce((sum, one) => sum + (one.atMs > first ? one.bytes : 0), 0);
  return bytes / ((last - first) / 1_000);
}
