/**
 * One seed for all random tests of a run: printed with every failure by fast-check, taken from
 * HOLDFAST_SEED to replay a run.
 */
import type { Parameters } from 'fast-check';

const given = process.env.HOLDFAST_SEED;
export const seed = given === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(given);
console.info(`seed ${seed} (replay with HOLDFAST_SEED=${seed})`);

/** fast-check's parameters with the run's seed. */
export function seeded<T>(parameters: Parameters<T> = {}): Parameters<T> {
  return { ...parameters, seed };
}
