/**
 * Sequences of chance that a seed gives: the same for the same seed, on any machine. Each user has
 * one of its own, so that none depends on what others drew before.
 */

/** Of u32 (mulberry32). */
function wordsFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** Of u32, another one for each lane (u32) of a seed. */
export function laneFrom(seed: number, lane: number): () => number {
  return wordsFrom(Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(lane, 0xc2b2_ae35));
}

/** Of numbers from 0 to under 1, another one for each name. */
export function randomOf(seed: number, name: string): () => number {
  let state = seed >>> 0;
  for (const letter of name) state = (Math.imul(state, 31) + letter.charCodeAt(0)) >>> 0;
  const words = wordsFrom(state);
  return () => words() / 2 ** 32;
}
