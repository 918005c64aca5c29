/**
 * The fuzzer with a small number of inputs. `./holdfast fuzz --inputs 1000000` is the long run.
 */
import { describe, expect, test } from 'vitest';
import { seed } from '../../unit/seed.ts';
import { fuzz, REQUIRED, summaryOf, type Target } from './run.ts';

const INPUTS = 10_000;

describe.each<Target>(['server', 'collector'])('the %s', (target) => {
  test('bears whatever it is told', async () => {
    const options = { target, inputs: INPUTS, seed };
    const result = await fuzz(options);
    console.info(summaryOf(options, result));
    const { failure, met } = result;
    const again = failure && `--target ${target} --seed ${failure.seed} --path ${failure.path}`;
    expect(failure?.error, `./holdfast fuzz ${again}`).toBe(undefined);
    expect(REQUIRED[target].filter((what) => !met.has(what))).toEqual([]);
  });
});
