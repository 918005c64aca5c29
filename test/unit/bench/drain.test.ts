/** What a drain is held against: the slowest of its round's limits. */
import { expect, test } from 'vitest';
import { type Limited, limitFiguresOf } from '#bench/drain.ts';
import { missed } from '#bench/figures.ts';

const FAST = { fileLimitPerS: 900, ingestLimitPerS: 800, socketLimitPerS: 1_000 };
const figureOf = (name: string, ...rounds: readonly Limited[]) =>
  limitFiguresOf(rounds).find((figure) => figure.name === name) ?? expect.fail(`no ${name}`);

test.each(['fileLimitPerS', 'ingestLimitPerS', 'socketLimitPerS'] as const)(
  'it is held to half of what %s says where that is the slowest',
  (slowest) => {
    const of = (drainPerS: number) =>
      figureOf('drain / slowest limit', { ...FAST, [slowest]: 200, drainPerS });
    expect(of(101).samples).toEqual([101 / 200]);
    const missedAt = (drainPerS: number) =>
      (of(drainPerS).aims ?? []).filter((aim) => missed(of(drainPerS), aim)).length;
    expect([missedAt(101), missedAt(99)]).toEqual([0, 1]);
  },
);

test('each round has a slowest limit of its own, and each limit a ratio that is shown', () => {
  const rounds = [
    { drainPerS: 300, fileLimitPerS: 600, ingestLimitPerS: 400, socketLimitPerS: 500 },
    { drainPerS: 300, fileLimitPerS: 600, ingestLimitPerS: 400, socketLimitPerS: 100 },
  ];
  const samplesOf = (name: string) => figureOf(name, ...rounds).samples;
  expect(samplesOf('drain / file limit')).toEqual([0.5, 0.5]);
  expect(samplesOf('drain / ingest limit')).toEqual([0.75, 0.75]);
  expect(samplesOf('drain / bare socket limit')).toEqual([0.6, 3]);
  expect(samplesOf('drain / slowest limit')).toEqual([0.75, 3]);
});
