/**
 * Randomness of the integration tests: one seed for a run, printed, taken from HOLDFAST_SEED to
 * play a run again. Each user has a sequence of its own, so that none depends on the others' order.
 */
const given = process.env.HOLDFAST_SEED;
export const SEED = given === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(given);

/** A sequence of numbers from 0 to under 1 (mulberry32), the same for the same seed and name. */
export function randomOf(name: string): () => number {
  let state = SEED;
  for (const letter of name) state = (Math.imul(state, 31) + letter.charCodeAt(0)) >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
