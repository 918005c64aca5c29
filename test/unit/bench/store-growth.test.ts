/** What a store that grows is held to: the largest against the smallest, by medians. */
import { expect, test } from 'vitest';
import { missed } from '#bench/figures.ts';
import { ratiosOf } from '#bench/store-growth.ts';

const NAMES = [
  'audit',
  'audit of one collector',
  'series, oldest points',
  'series, newest points',
  'series, all points',
  'export, a page of the middle',
] as const;

function at(rows: number, slower: number) {
  const times = [9, 10, 11].map((ms) => ms * slower);
  return {
    rows,
    ingestPerS: [90_000, 100_000, 110_000].map((rate) => rate / slower),
    ackMs: [times, times],
    timesMs: Object.fromEntries(NAMES.map((name) => [name, times])) as Record<
      (typeof NAMES)[number],
      number[]
    >,
  };
}

const missedOf = (slower: number) =>
  ratiosOf([at(1_000, 1), at(5_000, 7), at(20_000, slower)]).filter((figure) =>
    figure.aims?.some((aim) => missed(figure, aim)),
  );

test('a fifth slower is as much as is allowed, whatever lies between', () => {
  expect(missedOf(1.19)).toEqual([]);
  expect(missedOf(0.5)).toEqual([]);
});

test('whatever is slower by more misses, but the question that is about more points', () => {
  const names = missedOf(1.21).map(({ name }) => name);
  expect(names).toEqual([
    'ingest, largest / smallest',
    'write to ack, p50, largest / smallest',
    ...NAMES.filter((name) => name !== 'series, all points').map(
      (name) => `${name}, largest / smallest`,
    ),
  ]);
});
