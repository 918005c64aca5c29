/** Lines of charts: rates of counters, gaps that stay gaps, values under a cursor. */
import { describe, expect, test } from 'vitest';
import type { Column } from '#dashboard/columns.ts';
import {
  gaugeLine,
  lateOf,
  nearest,
  newest,
  rateLine,
  sumLine,
  tableOf,
} from '#dashboard/lines.ts';

function column(points: readonly (readonly [at: number, value: number, late?: number])[]): Column {
  const values = points.map(([, value]) => value);
  return {
    metric: 'm',
    unit: 'By',
    attributes: {},
    t: points.map(([at]) => at),
    min: values,
    max: values,
    mean: values,
    count: values.map(() => 1),
    late: points.map(([, , late = 0]) => late),
  };
}

const seconds = (...at: number[]) => at.map((each) => [each * 1_000, each] as const);

describe('gaps', () => {
  test('more than three buckets without a value are one', () => {
    const line = gaugeLine('l', column(seconds(0, 1, 2, 6, 7)), 1_000);
    expect(tableOf([{ line, numbers: line.value }])).toEqual([
      [0, 1_000, 2_000, 2_001, 6_000, 7_000],
      [0, 1, 2, null, 6, 7],
    ]);
  });

  test('three are none: samples are not exactly as far apart as buckets', () => {
    const line = gaugeLine('l', column(seconds(0, 1, 2, 5, 6)), 1_000);
    expect(tableOf([{ line, numbers: line.value }])[1]).not.toContain(null);
  });

  test('a probe that is read every five seconds has none in between', () => {
    const line = gaugeLine('l', column(seconds(0, 5, 10, 15, 31, 36)), 1_000);
    expect(tableOf([{ line, numbers: line.value }])[1]).toEqual([0, 5, 10, 15, null, 31, 36]);
  });

  test('of one line is no gap in another', () => {
    const whole = gaugeLine('a', column(seconds(0, 1, 2, 3, 4, 5, 6)), 1_000);
    const broken = gaugeLine('b', column(seconds(0, 1, 2, 6)), 1_000);
    const [, first, second] = tableOf([
      { line: whole, numbers: whole.value },
      { line: broken, numbers: broken.value },
    ]);
    expect(first).not.toContain(null);
    expect(second).toContain(null);
  });

  test('nothing is an empty table', () => {
    expect(tableOf([])).toEqual([[]]);
  });
});

describe('rates', () => {
  test('are the growth by second', () => {
    const line = rateLine(
      'l',
      column([
        [0, 100],
        [2_000, 300],
        [4_000, 300],
      ]),
      1_000,
    );
    expect(line.t).toEqual([2_000, 4_000]);
    expect(line.value).toEqual([100, 0]);
  });

  test('are none where the counter began anew', () => {
    const line = rateLine(
      'l',
      column([
        [0, 100],
        [1_000, 5],
        [2_000, 7],
      ]),
      1_000,
    );
    expect(line.t).toEqual([2_000]);
  });

  test('are none over a gap', () => {
    const line = rateLine(
      'l',
      column([
        [0, 0],
        [1_000, 1],
        [2_000, 2],
        [9_000, 900],
        [10_000, 901],
      ]),
      1_000,
    );
    expect(line.t).toEqual([1_000, 2_000, 10_000]);
  });

  test('are late where their end is', () => {
    const line = rateLine(
      'l',
      column([
        [0, 0, 1],
        [1_000, 1, 0],
        [2_000, 2, 1],
      ]),
      1_000,
    );
    expect(line.late).toEqual([false, true]);
  });
});

test('a sum is of the same times', () => {
  const a = gaugeLine(
    'a',
    column([
      [0, 1],
      [1_000, 2],
    ]),
    1_000,
  );
  const b = gaugeLine(
    'b',
    column([
      [0, 10],
      [1_000, 20, 1],
    ]),
    1_000,
  );
  expect(sumLine('both', [a, b])).toMatchObject({
    label: 'both',
    value: [11, 22],
    late: [false, true],
  });
  expect(sumLine('none', [])).toBeUndefined();
});

test('what arrived late is a line of its own', () => {
  expect(
    lateOf(
      gaugeLine(
        'a',
        column([
          [0, 1],
          [1_000, 2, 3],
        ]),
        1_000,
      ),
    ),
  ).toEqual([null, 2]);
});

test.each([
  [-5_000, undefined],
  [-1_000, 0],
  [400, 0],
  [600, 1],
  [2_100, 2],
  [50_000, undefined],
])('under a cursor at %i is the value at place %s', (time, place) => {
  expect(nearest(gaugeLine('a', column(seconds(0, 1, 2)), 1_000), time)).toBe(place);
});

test('the last value is the newest only while none can be expected after it', () => {
  const line = gaugeLine('l', column(seconds(0, 1, 2)), 1_000);
  expect(newest(line, 2_500)).toBe(2);
  expect(newest(line, 10_000)).toBe(2);
  expect(newest(line, 10_001)).toBeUndefined();
  expect(newest({ ...line, gap: 60_000 }, 10_001)).toBe(2);
  expect(newest({ t: [], gap: 3_000 }, 0)).toBeUndefined();
});
