/**
 * Chance from a seed: sequences that each have a name, so that what is drawn from one doesn't
 * depend on how often another was asked.
 */

/** Numbers from 0 to under 1 (mulberry32), the same for the same seed and name. */
export function randomOf(seed: number, name: string): () => number {
  let state = seed >>> 0;
  for (const letter of name) state = (Math.imul(state, 31) + letter.charCodeAt(0)) >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

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

/** In tenths, so that it reads well in a file. */
export function between(random: () => number, from: number, to: number): number {
  return Math.round((from + random() * Math.max(0, to - from)) * 10) / 10;
}
