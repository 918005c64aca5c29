/** Figures of contenders as tables: whose is in which cell, what is best, what is said of aims and methods. */
import { strict as assert } from 'node:assert';
import { expect, test } from 'vitest';
import { documentOf, type FigureDocument } from '#bench/document.ts';
import type { Figure } from '#bench/figures.ts';
import {
  type Matrix,
  type MatrixRow,
  matricesOf,
  methodsOf,
  rangeOf,
  timesOf,
} from '#bench/matrix.ts';
import { benchPage } from '#bench/page/page.ts';
import { lines } from '#bench/report.ts';
import { figureOf, partOf, runOf } from './made-up.ts';
import { withTables } from './performance.ts';

type Compared = NonNullable<Figure['compared']>;

/** As a suite tells it: of a rival's figure neither way is better. */
function one(compared: Compared, samples: readonly number[], about: Partial<Figure> = {}): Figure {
  const { contender, measure, case: under, over } = compared;
  const better = contender === 'ours' ? {} : { better: 'neither' as const };
  const name = `${under}, ${contender}${over === undefined ? '' : ` / ${over}`}: ${measure}`;
  return figureOf(name, samples, { unit: 'frames/s', compared, ...better, ...about });
}

function documents(figures: readonly Figure[]): readonly FigureDocument[] {
  return documentOf(runOf([partOf(figures)])).parts[0]?.figures ?? [];
}

function onlyMatrix(figures: readonly Figure[]): Matrix {
  const { matrices, rest } = matricesOf(documents(figures));
  expect(rest).toEqual([]);
  expect(matrices).toHaveLength(1);
  assert(matrices[0] !== undefined);
  return matrices[0];
}

function onlyRow(figures: readonly Figure[]): MatrixRow {
  const { rows } = onlyMatrix(figures);
  expect(rows).toHaveLength(1);
  assert(rows[0] !== undefined);
  return rows[0];
}

const AT_LEAST_1 = [{ of: 'median', at: 'least', value: 1 }] as const;

const drain = { measure: 'drain', case: 'slow link' };
const contest = [
  one({ ...drain, contender: 'first' }, [10, 20, 30]),
  one({ ...drain, contender: 'ours' }, [50, 60, 70]),
  one({ ...drain, contender: 'second' }, [40, 40, 40]),
  one({ ...drain, contender: 'ours', over: 'first' }, [3], { unit: 'ratio' }),
];

test('a table for each case, a column for each contender, ours first; figures of nobody apart', () => {
  const load = figureOf('load', [1]);
  const other = { measure: 'drain', case: 'fast link', contender: 'ours' };
  const alone = one({ measure: 'drain', case: 'no link', contender: 'ours', over: 'first' }, [1]);
  const { matrices, rest } = matricesOf(documents([...contest, load, one(other, [1]), alone]));
  expect(matrices.map((matrix) => [matrix.case, matrix.contenders])).toEqual([
    ['slow link', ['ours', 'first', 'second']],
    ['fast link', ['ours']],
  ]);
  expect(rest.map(({ name }) => name)).toEqual(['load', 'no link, ours / first: drain']);
});

test('a ratio stands below whom ours is divided by, and what was not measured stays empty', () => {
  const memory = one({ measure: 'memory', case: 'slow link', contender: 'second' }, [9]);
  const { rows } = onlyMatrix([...contest, memory]);
  const shown = rows.map(({ title, cells }) => [
    title,
    ...cells.map(({ figure, ratio }) => [figure?.median, ratio?.median]),
  ]);
  expect(shown).toEqual([
    ['drain', [60, undefined], [20, 3], [40, undefined]],
    ['memory', [undefined, undefined], [undefined, undefined], [9, undefined]],
  ]);
});

test.each([
  // More is better, by the unit.
  ['frames/s', [60, 20, 40], [true, false, false]],
  // Less is.
  ['s', [60, 20, 40], [false, true, false]],
  // All that look alike are best.
  ['s', [0, 0, 4], [true, true, false]],
  ['frames/s', [199.96, 199.99, 40], [true, true, false]],
  // There is nothing to choose.
  ['s', [0, 0, 0], [false, false, false]],
  // Neither way is better.
  ['count', [60, 20, 40], [false, false, false]],
] as const)('of %s, %o the best is %o', (unit, medians, best) => {
  const contenders = ['ours', 'first', 'second'];
  const { cells } = onlyRow(
    contenders.map((contender, i) => one({ ...drain, contender }, [medians[i] ?? 0], { unit })),
  );
  expect(cells.map(({ isBest }) => isBest)).toEqual(best);
});

test('aims are told once for all of whom the same is to be said, what was missed of each', () => {
  const ratio = (over: string, value: number) =>
    one({ ...drain, contender: 'ours', over }, [value], { unit: 'ratio', aims: AT_LEAST_1 });
  const own = ['ours', 'first', 'second'].map((contender) =>
    one({ ...drain, contender }, [1], contender === 'ours' ? { aims: AT_LEAST_1 } : {}),
  );
  const met = onlyRow([...own, ratio('first', 2), ratio('second', 3), ratio('best rival', 2)]);
  expect(met.aims).toEqual([{ text: 'median ≥ 1: met', met: true }]);
  expect(met.ratioAims).toEqual([
    { text: 'ours / each: median ≥ 1: met', met: true },
    { text: 'ours / best rival 2: median ≥ 1: met', met: true },
  ]);
  const missed = onlyRow([...own, ratio('first', 2), ratio('second', 0.5)]);
  expect(missed.ratioAims).toEqual([
    { text: 'ours / first: median ≥ 1: met', met: true },
    { text: 'ours / second: missed: median 0.5 is below 1', met: false },
  ]);
  const free = one({ ...drain, contender: 'ours', over: 'best rival' }, [0.4], { unit: 'ratio' });
  // Where no cell has a ratio there is no line for them.
  const { aims, ratioAims } = onlyRow([...own, free]);
  expect(aims).toEqual([...met.aims, { text: 'ours / best rival 0.4', met: undefined }]);
  expect(ratioAims).toEqual([]);
});

test('how often each was measured, and between what it lies', () => {
  expect(timesOf(onlyMatrix(contest))).toBe('n = 3');
  const fourth = one({ ...drain, contender: 'fourth' }, [1]);
  expect(timesOf(onlyMatrix([...contest, fourth]))).toBe('n = 1 to 3');
  expect(documents(contest).map((figure) => rangeOf(figure))).toEqual([
    '10 – 30',
    '50 – 70',
    undefined,
    undefined,
  ]);
});

test('a method is told once for all whom it is of, with the case where it is not of all cases', () => {
  const of = (under: string, contender: string, method: string) =>
    one({ measure: 'drain', case: under, contender }, [1], { method });
  const figures = [
    of('slow', 'ours', 'with 25 ms'),
    of('slow', 'first', 'as ours'),
    of('fast', 'ours', 'with 0 ms'),
    of('fast', 'first', 'as ours'),
    figureOf('load', [1], { method: 'before' }),
  ];
  expect(methodsOf(documents(figures))).toEqual([
    { title: 'slow, ours: drain', method: 'with 25 ms' },
    { title: 'first: drain', method: 'as ours' },
    { title: 'fast, ours: drain', method: 'with 0 ms' },
    { title: 'load', method: 'before' },
  ]);
});

test('terminal, page and docs have the table and none of its figures beside it', () => {
  const run = documentOf(runOf([partOf(contest, { suite: 'flap', name: 'faults' })]));
  const text = lines(run).join('\n');
  expect(text).toContain('slow link, n = 3, * best');
  expect(text).toMatch(/drain \[frames\/s\] +\*60 \(50 – 70\) +20 \(10 – 30\) +40/);
  expect(text).not.toContain('figure  n');
  const page = benchPage(run);
  expect(page.match(/<table class="matrix">/g)).toHaveLength(1);
  expect(page).toContain('<strong>60</strong>');
  expect(page).not.toContain('<figure class="rows">');
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
  expect(withTables('<!-- bench flap -->\n<!-- /bench -->', run, 'docs/bench/full.json')).toBe(
    `<!-- bench flap -->
| slow link (n = 3) | ours | first | second | aim |
|---|---|---|---|---|
| drain [frames/s] | **60** (50 – 70) | 20 (10 – 30) | 40 |  |
| *ours / it* |  | 3 |  |  |
<!-- /bench -->`,
  );
});
