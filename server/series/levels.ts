/**
 * The widths of time buckets, and which of them answers a question. Pure. Times are microseconds
 * since 1970 UTC; a bucket has the number floor(time / width), so bounds never depend on a query.
 */

const SECOND_US = 1_000_000;
const MINUTE_US = 60 * SECOND_US;
const HOUR_US = 60 * MINUTE_US;
const DAY_US = 24 * HOUR_US;

/** The widths that are kept, finest first; each divides the next. A level is a place in this list. */
export const LEVELS: readonly number[] = [
  SECOND_US / 100,
  SECOND_US / 10,
  SECOND_US,
  10 * SECOND_US,
  MINUTE_US,
  10 * MINUTE_US,
  HOUR_US,
  DAY_US,
];
export const COARSEST = LEVELS.length - 1;

/** The widths that are answered: round ones, each a few buckets of a level. */
const STEPS: readonly number[] = [
  ...[1, 2, 5, 10, 20, 50].map((n) => (n * SECOND_US) / 100),
  ...[1, 2, 5, 10, 20, 30].map((n) => n * SECOND_US),
  ...[1, 2, 5, 10, 20, 30].map((n) => n * MINUTE_US),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR_US),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000].map(
    (n) => n * DAY_US,
  ),
];

/** The width of a level's buckets. */
export function widthOf(level: number): number {
  return LEVELS[level] ?? DAY_US;
}

export function bucketAt(level: number, time: number): number {
  return Math.floor(time / widthOf(level));
}

export interface Resolution {
  /** Width of the answer's buckets; a multiple of the level's width. */
  readonly step: number;
  readonly level: number;
  /** Start of the first bucket. */
  readonly from: number;
  /** End of the last one. */
  readonly to: number;
}

/**
 * The finest resolution that puts the range [from, to) into so many buckets at most, all of which
 * are kept. `keptFrom` tells for a level from which time on it is complete.
 */
export function resolutionFor(
  range: { readonly from: number; readonly to: number },
  points: number,
  keptFrom: (level: number) => number,
): Resolution {
  let coarsest: Resolution = { step: DAY_US, level: COARSEST, ...range };
  for (const step of STEPS) {
    const level = LEVELS.findLastIndex((width) => step % width === 0);
    const from = Math.floor(range.from / step) * step;
    const to = Math.ceil(range.to / step) * step;
    coarsest = { step, level, from, to };
    const kept = level === COARSEST || keptFrom(level) <= from;
    if (kept && (to - from) / step <= points) return coarsest;
  }
  return coarsest;
}
