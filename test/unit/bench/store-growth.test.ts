/** What a store that grows is held to: the largest against the smallest, round by round. */
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

const ROUNDS = [9, 10, 30];

function at(rows: number, slower: number) {
  const samples = ROUNDS.map((slowness) => {
    const times = [0.9, 1, 1.1].map((ms) => ms * slowness * slower);
    return {
      ingestPerS: 100_000 / slowness / slower,
      cpuS: 1,
      writtenBytes: 1,
      ackMs: times,
      timesMs: Object.fromEntries(NAMES.map((name) => [name, times])) as Record<
        (typeof NAMES)[number],
        number[]
      >,
    };
  });
  return { rows, samples };
}

const ratios = (slower: number) => ratiosOf([at(1_000, 1), at(5_000, 7), at(20_000, slower)]);
const missedOf = (slower: number) =>
  ratios(slower).filter((figure) => figure.aims?.some((aim) => missed(figure, aim)));

test('what slows a whole round down is in no ratio', () => {
  for (const { samples } of ratios(1)) expect(samples).toEqual(ROUNDS.map(() => 1));
});

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
