/**
 * How fast something grows, told robustly: by its floor, which is the least that it comes back to in
 * each stretch of time, and by the median of the slopes between all pairs of floors (Theil-Sen).
 * Peaks, outliers, and a heap that is filled and swept again and again don't move it.
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Pairs grow with the square of the stretches. */
const STRETCHES_MAX = 300;

/** The lowest point of each stretch of `width`, or of wider ones where there would be too many. */
export function floorsOf(points: readonly Point[], width: number): Point[] {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return [];
  const wide = Math.max(width, (last.x - first.x) / STRETCHES_MAX);
  const floors = new Map<number, Point>();
  for (const point of points) {
    const stretch = Math.floor((point.x - first.x) / wide);
    const floor = floors.get(stretch);
    if (floor === undefined || point.y < floor.y) floors.set(stretch, point);
  }
  return [...floors.values()];
}

/** Of several series, each compared with itself alone; undefined without two points in any. */
export function slopeOf(series: readonly (readonly Point[])[]): number | undefined {
  const slopes = series.flatMap((points) =>
    points.flatMap((to, index) =>
      points
        .slice(0, index)
        .filter(({ x }) => x !== to.x)
        .map((from) => (to.y - from.y) / (to.x - from.x)),
    ),
  );
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  const upper = slopes[middle];
  const lower = slopes[slopes.length % 2 === 0 ? middle - 1 : middle];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}
