/**
 * The fault matrix: the real images under load, each case on networks of its own, each judged by
 * the oracle. Nobody lays a hand on the pipeline: what a fault breaks has to heal by itself.
 */
import { expect, test } from 'vitest';
import { CASES } from './matrix/cases.ts';
import { runCase } from './matrix/run.ts';

test.concurrent.each(CASES)('$name: $what', async (one) => {
  const { result, report, seen, discard } = await runCase(one);
  expect(result.verdict, report).toBe('pass');
  one.also?.(seen);
  discard();
});
