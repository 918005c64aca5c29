/** Draws by weight and from ranges, out of a sequence that a seed gives. */

/** One of them, each as likely as its weight says; at least one must weigh something. */
export function weighted<T>(
  random: () => number,
  list: readonly T[],
  weightOf: (one: T) => number,
): T {
  let left = random() * list.reduce((sum, one) => sum + weightOf(one), 0);
  let last: T | undefined;
  for (const one of list) {
    if (weightOf(one) <= 0) continue;
    last = one;
    left -= weightOf(one);
    if (left < 0) break;
  }
  if (last === undefined) throw new RangeError('there is nothing to draw from');
  return last;
}

/** In whole tenths, which read well in a file. */
export function tenthsBetween(random: () => number, from: number, to: number): number {
  return Math.round((from + random() * Math.max(0, to - from)) * 10) / 10;
}
