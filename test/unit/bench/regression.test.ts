/** What one run has lost against another, told from what chance and the machines do. */
import { expect, test } from 'vitest';
import { documentOf, type MeasuredPart } from '#bench/document.ts';
import { type Figure, summaryOf } from '#bench/figures.ts';
import { compare, comparisonLines } from '#bench/regression.ts';
import { figureOf, partOf, runOf } from './made-up.ts';

function document(figures: readonly Figure[], about: Partial<MeasuredPart> = {}) {
  return documentOf(runOf([partOf(figures, about)]));
}

const tight = [0.99, 1, 1.01];
const times = (samples: readonly number[], factor: number) => samples.map((one) => one * factor);
const titles = (changes: readonly { readonly title: string }[]) =>
  changes.map(({ title }) => title);

test('a run against itself has nothing to tell', () => {
  const run = document([figureOf('a', tight), figureOf('b', [1, 2, 3], { unit: 'MB' })]);
  const { worse, better, withinNoise, differences } = compare(run, run);
  expect({ worse, better, withinNoise, differences }).toEqual({
    worse: [],
    better: [],
    withinNoise: 1,
    differences: [],
  });
});

test('worse is less where more is better, and more where less is', () => {
  const figures = (factor: number) => [
    figureOf('speed', times(tight, factor), { better: 'more' }),
    figureOf('memory', times(tight, factor), { unit: 'MB' }),
    figureOf('neither', times(tight, factor)),
  ];
  const slower = compare(document(figures(0.5)), document(figures(1)));
  expect(titles(slower.worse)).toEqual(['speed']);
  expect(slower.worse[0]?.worseBy).toBeCloseTo(1);
  expect(titles(slower.better)).toEqual(['memory']);
  const larger = compare(document(figures(2)), document(figures(1)));
  expect(titles(larger.worse)).toEqual(['memory']);
  expect(titles(larger.better)).toEqual(['speed']);
});

test('an aim says which way is better, where nothing else does', () => {
  const figures = (factor: number) => [
    figureOf('ratio', times(tight, factor), { aims: [{ of: 'median', at: 'least', value: 1 }] }),
  ];
  const { worse, aimsMissed } = compare(document(figures(0.5)), document(figures(1)));
  expect(titles(worse)).toEqual(['ratio']);
  expect(aimsMissed).toEqual(['suite part: ratio: missed: median 0.5 is below 1']);
});

test('what the samples of either run could be by chance is no change', () => {
  const wide = [1, 2, 3, 4, 5];
  const narrow = (factor: number) =>
    document([figureOf('a', times(tight, factor), { better: 'less' })]);
  const loose = (factor: number) =>
    document([figureOf('a', times(wide, factor), { better: 'less' })]);
  expect(compare(narrow(1.2), narrow(1)).worse).toHaveLength(1);
  expect(compare(loose(1.2), loose(1)).worse).toHaveLength(0);
  expect(compare(narrow(3 * 1.2), loose(1)).worse).toHaveLength(0);
  expect(compare(loose(10), loose(1)).worse).toHaveLength(1);
});

test('many samples tell a small change that few of the same spread could not', () => {
  const many = Array.from({ length: 400 }, (_, i) => 1 + (i % 21) / 20);
  const few = [1, 1.5, 2];
  const runs = (samples: readonly number[]) =>
    compare(
      document([figureOf('a', times(samples, 1.2), { better: 'less' })]),
      document([figureOf('a', samples, { better: 'less' })]),
    );
  expect(runs(many).worse).toHaveLength(1);
  expect(runs(few).worse).toHaveLength(0);
});

test('small changes are nothing, and with one or two samples nothing under a quarter is', () => {
  const one = (...samples: number[]) => document([figureOf('a', samples, { better: 'less' })]);
  expect(compare(one(1.09, 1.09, 1.09), one(1, 1, 1)).worse).toHaveLength(0);
  expect(compare(one(1.11, 1.11, 1.11), one(1, 1, 1)).worse).toHaveLength(1);
  expect(compare(one(1.2), one(1)).worse).toHaveLength(0);
  expect(compare(one(1.3), one(1)).worse).toHaveLength(1);
});

test('rates and times are told by what their machines could do, ratios and memory as they are', () => {
  const on = (speed: number, syncMs: number) => ({
    probes: {
      processorPerS: summaryOf({ samples: times([1_000, 1_000, 1_000], speed) }),
      fdatasyncMs: summaryOf({ samples: [syncMs, syncMs, syncMs] }),
    },
  });
  const figures = (speed: number, syncMs: number) => [
    figureOf('rate', times(tight, speed), { unit: 'frames/s' }),
    figureOf('time', times(tight, 1 / speed), { unit: 'ms' }),
    figureOf('sync', times(tight, syncMs), { unit: 'ms', bound: 'disk' }),
    figureOf('memory', tight, { unit: 'MB' }),
  ];
  const base = document(figures(1, 0.2), on(1, 0.2));
  const slowMachine = document(figures(0.5, 1), on(0.5, 1));
  expect(compare(slowMachine, base)).toMatchObject({ worse: [], better: [], withinNoise: 4 });
  // The same figures on a machine that is no slower.
  const slowProgram = document(figures(0.5, 1), on(1, 0.2));
  expect(titles(compare(slowProgram, base).worse)).toEqual(['sync', 'rate', 'time']);
});

test('that machines differ is said, and in what', () => {
  const base = documentOf(runOf([partOf([figureOf('a', tight)])]));
  const machine = { ...base.machine, cpu: 'another CPU', cores: 4 };
  const { differences } = compare({ ...base, size: 'full', machine }, base);
  expect(differences).toEqual([
    'how much was measured: full here, short there',
    'cores: 4 here, 2 there',
    'CPU: another CPU here, a CPU there',
  ]);
  const slow = partOf([figureOf('a', tight)], {
    probes: {
      processorPerS: summaryOf({ samples: [500] }),
      fdatasyncMs: summaryOf({ samples: [0.2] }),
    },
  });
  expect(compare(documentOf(runOf([slow])), base).differences).toEqual([
    'the fixed piece of work, pieces a second: 500 here, 1000 there',
  ]);
});

test('sizes of a figure are told apart, and what one run lacks is named', () => {
  const at = (value: number, factor = 1) =>
    figureOf('memory', times(tight, factor), { unit: 'MB', at: { value, unit: 'frames' } });
  const comparison = compare(document([at(10), at(1_000, 2)]), document([at(1_000), at(5_000)]));
  expect(titles(comparison.worse)).toEqual(['memory, 1,000 frames']);
  expect(comparison.onlyRun).toEqual(['suite part: memory, 10 frames']);
  expect(comparison.onlyBase).toEqual(['suite part: memory, 5,000 frames']);
});

test('what was measured otherwise is named and not compared, but for ratios', () => {
  const figures = (factor: number, method: string) => [
    figureOf('time', times(tight, factor), { unit: 'ms', method }),
    figureOf('ratio', times(tight, factor), { better: 'less', method }),
  ];
  const comparison = compare(
    document(figures(2, '300 frames')),
    document(figures(1, '200 frames')),
  );
  expect(titles(comparison.worse)).toEqual(['ratio']);
  expect(comparison.otherwise).toEqual(['suite part: time']);
});

test('parts that one run lacks are named as such, not by each of their figures', () => {
  const [one, other] = [
    partOf([figureOf('a', tight), figureOf('b', tight)], { name: 'one' }),
    partOf([figureOf('c', tight), figureOf('d', tight)], { name: 'other' }),
  ];
  const comparison = compare(documentOf(runOf([one])), documentOf(runOf([one, other])));
  expect(comparison).toMatchObject({ onlyBase: [], partsOnlyBase: ['suite other'] });
  const text = comparisonLines(comparison, { run: 'here', base: 'there' }).join('\n');
  expect(text).toContain('Measured there alone:\n  all of suite other');
});

test('what was nothing and is something got worse; what is below nothing is not compared', () => {
  const one = (value: number) =>
    document([figureOf('a', [value, value, value], { better: 'less' })]);
  expect(compare(one(1), one(0)).worse).toHaveLength(1);
  expect(compare(one(0), one(0))).toMatchObject({ worse: [], withinNoise: 1 });
  expect(compare(one(-1), one(1))).toMatchObject({ worse: [], better: [], withinNoise: 0 });
});

test('the lines name the runs, what got worse, by how much, and what noise is', () => {
  const figures = (factor: number) => [figureOf('speed', times(tight, factor), { better: 'more' })];
  const comparison = compare(document(figures(0.5)), document(figures(1)));
  const text = comparisonLines(comparison, { run: 'here.json', base: 'there.json' }).join('\n');
  expect(text).toContain('here.json\n  against there.json');
  expect(text).toContain('The same kind of machine');
  expect(text).toContain(
    '✗ Worse by more than noise:\n  suite part: speed [ratio]: 0.5, there 1; 100 % worse by comparison, noise 10 %',
  );
  expect(text).toContain('0 figures within noise, 0 better, 1 worse.');
});
