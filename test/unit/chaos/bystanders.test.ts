/** Collectors that no fault was aimed at: how late their frames were, and that faults skip them. */
import { expect, test } from 'vitest';
import { COLLECTOR, codesOf, forge, judgeHistory } from './histories.ts';

const KINDS = Array.from({ length: 60 }, () => ({ bytes: 40, fate: 9 }));

function judged(limitMs: number | undefined, bystanders: string[]) {
  const history = forge(KINDS);
  const { expected, observations } = history;
  const limit = limitMs === undefined ? {} : { bystander_lag_ms_p99_max: limitMs };
  return judgeHistory({
    ...history,
    expected: { ...expected, ...limit },
    observations: { ...observations, bystanders },
  });
}

test('a bystander whose frames came late fails the case that limits it', () => {
  const result = judged(50, [COLLECTOR]);
  expect(codesOf(result)).toContain('bystander_late');
  expect(result.bystander_lag).toMatchObject({ frames: 60, p50_ms: 2 });
  // The cut held back a third of its frames, for 100 ms at most.
  expect(result.bystander_lag?.p99_ms).toBeGreaterThan(50);
  expect(result.bystander_lag?.p99_ms).toBeLessThan(110);
});

test('one that went on as usual does not', () => {
  expect(codesOf(judged(110, [COLLECTOR]))).not.toContain('bystander_late');
});

test('a limit without a bystander is no limit, so nothing is decided', () => {
  expect(codesOf(judged(50, []))).toEqual(['no_bystander']);
});

test('what a fault did is told of those that it hit', () => {
  expect(judged(undefined, []).faults[0]?.queued).toBeGreaterThan(0);
  expect(judged(undefined, [COLLECTOR]).faults[0]?.queued).toBe(0);
});
