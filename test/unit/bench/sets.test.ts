/** What the sets are made of, and that they can keep to their time. */
import { expect, test } from 'vitest';
import { MINUTES_MAX, partsOf, setOf } from '#bench/sets.ts';
import { SUITES, type SuiteName } from '#bench/suites.ts';

const names = Object.keys(SUITES) as SuiteName[];
const key = ({ suite, part }: { readonly suite: string; readonly part: string }) =>
  `${suite} ${part}`;

test.each(['short', 'full'] as const)('the %s set fits into its time, each part once', (size) => {
  const set = setOf(size);
  const seconds = set.reduce((sum, one) => sum + one.seconds, 0);
  expect(seconds).toBeLessThanOrEqual(MINUTES_MAX[size] * 60);
  expect(new Set(set.map(key)).size).toBe(set.length);
});

test('the full set leaves nothing of the short one out', () => {
  const full = setOf('full').map(key);
  expect(
    setOf('short')
      .map(key)
      .filter((one) => !full.includes(one)),
  ).toEqual([]);
});

test('a suite by its name is all of it, or the parts that are named', () => {
  for (const suite of names) {
    expect(partsOf(suite, []).map(({ part }) => part)).toEqual(Object.keys(SUITES[suite].parts));
  }
  expect(partsOf('heart', ['drain', 'lone']).map(({ part }) => part)).toEqual(['lone', 'drain']);
});
