/**
 * The only randomness of a run: sequences drawn from its seed. Each user has one of its own, so that
 * none depends on what others drew before.
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
