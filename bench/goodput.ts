/**
 * How many bytes a second a link brought, reckoned from when they arrived. Pure.
 *
 * On a thin link bytes come in lumps, a message of seconds at a time. So its rate is not what arrived
 * in a span over that span, which is off by up to a lump: it begins at the first arrival in the span,
 * which is not counted, and ends at the last. Where lumps are short and a link may stand idle, that
 * would leave out what it stood idle at the ends: there it is all that came over the whole span.
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
 * Bytes a second from one arrival to another; `arrivals` in the order of their times.
 * @throws BenchError where less than two moments of arrival are in the span.
 */
export function bytesPerS(arrivals: readonly Arrival[], span: Span): number {
  const { fromMs, toMs } = span;
  const within = arrivalsIn(arrivals, span);
  const [first, last] = [within[0]?.atMs ?? 0, within.at(-1)?.atMs ?? 0];
  if (last <= first) {
    const seconds = (toMs - fromMs) / 1_000;
    throw new BenchError(`too little came over the link in ${seconds} s to tell a rate from`);
  }
  // What came together came as one: frames of a message share their time.
  const bytes = within.reduce((sum, one) => sum + (one.atMs > first ? one.bytes : 0), 0);
  return bytes / ((last - first) / 1_000);
}

/** Bytes a second over the whole span, whatever of it nothing came in. */
export function bytesPerSInAll(arrivals: readonly Arrival[], span: Span): number {
  const bytes = arrivalsIn(arrivals, span).reduce((sum, one) => sum + one.bytes, 0);
  return bytes / ((span.toMs - span.fromMs) / 1_000);
}

function arrivalsIn(arrivals: readonly Arrival[], { fromMs, toMs }: Span): Arrival[] {
  return arrivals.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
}
