/** What ours and its peers come to: a figure for each, and ours over the best of the others. */
import { expect, test } from 'vitest';
import { figuresOf, type Measure } from '#bench/peers/figures.ts';
import type { Contender, Measured, Turns } from '#bench/peers/turns.ts';

function turnsOf(name: string, results: readonly number[], synced = false): Turns<number> {
  const start: Contender['start'] = () => Promise.reject(new Error('not to be started'));
  return { contender: { name, synced, about: `${name} 1.0`, backlog: 1, start }, results };
}

function measured(peers: readonly Turns<number>[], failures: readonly string[] = []) {
  const ours = turnsOf('ours', [10, 20], true);
  return { ours, peers, known: 2, failures } satisfies Measured<number>;
}

const drain: Measure<number> = {
  what: 'drain',
  unit: 'frames/s',
  of: (value) => value,
  best: 'more',
  ahead: true,
  method: 'by hand',
};

const shown = (of: Measured<number>, measure: Measure<number>) =>
  figuresOf(of, [measure]).map(({ name, samples }) => [name, ...samples]);

test('ours is held against the best peer of each round, whichever that is', () => {
  const peers = [turnsOf('one', [5, 8]), turnsOf('two', [2, 16])];
  const figures = figuresOf(measured(peers), [drain]);
  expect(figures.map(({ name, samples }) => [name, ...samples])).toEqual([
    ['drain, ours', 10, 20],
    ['drain, one', 5, 8],
    ['drain, two', 2, 16],
    ['ours / best peer: drain', 2, 1.25],
    ['peers measured', 2],
  ]);
  const ratio = figures[3];
  expect(ratio?.aims).toEqual([{ of: 'median', at: 'least', value: 1 }]);
  expect(ratio?.method).toContain('one with 5, two with 16');
  expect(figures[1]).toMatchObject({ better: 'neither', method: 'as ours; one 1.0' });
});

test('each says what it was given itself, and a ratio what the best was given', () => {
  const given = (results: readonly number[]) => `of ${results.length * 10} records`;
  const figures = figuresOf(measured([turnsOf('one', [5, 8])]), [drain, drain], given);
  const methods = figures.map(({ method }) => method);
  expect(methods.slice(0, 2)).toEqual([
    'by hand; of 20 records; ours 1.0',
    'as ours; of 20 records; one 1.0',
  ]);
  expect(methods[2]).toContain('one with 5 (of 20 records), one with 8 (of 20 records)');
  expect(methods.slice(3, 5)).toEqual(['by hand; of 20 records', 'as ours; of 20 records']);
});

test('what is chance is no news, be it ours', () => {
  const [ours] = figuresOf(measured([]), [{ ...drain, better: 'neither' }]);
  expect(ours).toMatchObject({ name: 'drain, ours', better: 'neither' });
});

test('where less is better the best is the least', () => {
  const peers = [turnsOf('one', [5, 8]), turnsOf('two', [2, 16])];
  const figures = figuresOf(measured(peers), [{ ...drain, best: 'less' }]);
  expect(figures[3]).toMatchObject({
    samples: [5, 2.5],
    aims: [{ of: 'median', at: 'most', value: 1 }],
  });
});

test('peers that sync are compared apart, where some do and some do not', () => {
  const [lax, strict] = [turnsOf('lax', [5, 8]), turnsOf('strict', [2, 4], true)];
  expect(shown(measured([lax, strict]), drain)).toContainEqual([
    'ours / best peer that syncs: drain',
    5,
    5,
  ]);
  expect(figuresOf(measured([lax, strict]), [drain])[4]?.aims).toEqual([
    { of: 'median', at: 'least', value: 1 },
  ]);
  const names = (peers: Turns<number>[]) => shown(measured(peers), drain).map(([name]) => name);
  expect(names([lax])).not.toContain('ours / best peer that syncs: drain');
  expect(names([strict])).not.toContain('ours / best peer that syncs: drain');
});

test('a peer that failed later keeps what it had, and ours is not held against fewer', () => {
  const peers = [turnsOf('one', [5, 8]), turnsOf('two', [8])];
  expect(shown(measured(peers), drain)).toEqual([
    ['drain, ours', 10, 20],
    ['drain, one', 5, 8],
    ['drain, two', 8],
    ['ours / best peer: drain', 1.25],
    ['ours / best peer: drain, rounds compared', 1],
    ['peers measured', 1],
  ]);
  expect(figuresOf(measured(peers), [drain])[4]).toMatchObject({
    aims: [{ of: 'min', at: 'least', value: 2 }],
    method: 'those in which everyone has this figure; without it in round 2: two',
  });
});

test('a number that is none is not taken for one, and its round is not compared', () => {
  const lossy = [turnsOf('one', [Number.NaN, 4]), turnsOf('two', [Number.NaN, Number.NaN])];
  expect(shown(measured(lossy), drain)).toEqual([
    ['drain, ours', 10, 20],
    ['drain, one', 4],
    ['ours / best peer: drain, rounds compared', 0],
    ['peers measured', 2],
  ]);
});

test('a ratio without an aim is left out of such a round, too, and nothing is missed', () => {
  const peers = [turnsOf('one', [5, Number.NaN])];
  const { ahead: _, ...unheld } = drain;
  expect(shown(measured(peers), unheld)).toEqual([
    ['drain, ours', 10, 20],
    ['drain, one', 5],
    ['ours / best peer: drain', 2],
    ['peers measured', 1],
  ]);
});

test('peers that are missing are told, and miss an aim', () => {
  const figures = figuresOf(measured([], ['one: no apt-get', 'two: too slow']), [drain]);
  expect(figures.map(({ name }) => name)).toEqual(['drain, ours', 'peers measured']);
  expect(figures[1]).toMatchObject({
    samples: [0],
    aims: [{ of: 'min', at: 'least', value: 2 }],
    method: 'in every round; failed: one: no apt-get; two: too slow',
  });
});
