/** Series as they are held, and newer answers for their end merged in. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Column, firstFrom, type Held, heldOf, keyOf, mergeTail } from '#dashboard/columns.ts';
import { seeded } from '../seed.ts';

const START = Date.UTC(2026, 10, 26, 12);

function column(t: readonly number[], value: number, metric = 'm'): Column {
  const all = t.map(() => value);
  const none = t.map(() => 0);
  return {
    metric,
    unit: '1',
    attributes: {},
    t,
    min: all,
    max: all,
    mean: all,
    count: t.map(() => 1),
    late: none,
  };
}

function held(from: number, to: number, columns: readonly Column[], width = 1): Held {
  return { from, to, width, completeTo: to, columns };
}

describe('heldOf', () => {
  const answer = heldOf({
    complete_to: null,
    from: '2026-11-26T12:00:00.000000Z',
    to: '2026-11-26T12:00:10.000000Z',
    bucket_seconds: 0.5,
    series: [
      {
        metric: 'm',
        unit: '1',
        attributes: {},
        t: [0, 500],
        mean: [1, 2],
        min: null,
        max: [3, 4],
        count: null,
        late: [0, 1],
      },
    ],
  });

  test('has times, widths in milliseconds', () => {
    expect(answer).toMatchObject({ from: START, to: START + 10_000, width: 500 });
    expect(answer.completeTo).toBeUndefined();
    expect(answer.columns[0]?.t).toEqual([START, START + 500]);
  });

  test('fills in what an answer leaves out since it would tell nothing', () => {
    expect(answer.columns[0]).toMatchObject({
      min: [1, 2],
      max: [3, 4],
      count: [1, 1],
      late: [0, 1],
    });
  });
});

describe('mergeTail', () => {
  test('from its beginning on the tail is what holds', () => {
    const merged = mergeTail(
      held(0, 5, [column([0, 1, 2, 4], 1)]),
      held(2, 7, [column([2, 3, 5], 9)]),
      0,
    );
    expect(merged?.columns[0]).toMatchObject({ t: [0, 1, 2, 3, 5], mean: [1, 1, 9, 9, 9] });
    expect(merged).toMatchObject({ from: 0, to: 7, completeTo: 7 });
  });

  test('forgets what is no longer looked at', () => {
    const merged = mergeTail(
      held(0, 5, [column([0, 1, 2, 3], 1)]),
      held(3, 6, [column([5], 9)]),
      2,
    );
    expect(merged?.columns[0]?.t).toEqual([2, 5]);
    expect(merged?.from).toBe(2);
  });

  test('a series that begins is there, one that is over goes when it is out of sight', () => {
    const before = held(0, 5, [column([0], 1, 'over'), column([4], 1, 'stays')]);
    const merged = mergeTail(before, held(4, 6, [column([5], 9, 'new')]), 2);
    expect(merged?.columns.map(({ metric }) => metric)).toEqual(['new']);
    const wider = mergeTail(before, held(5, 6, [column([5], 9, 'new')]), 0);
    expect(wider?.columns.map(({ metric }) => metric)).toEqual(['over', 'stays', 'new']);
  });

  test.each([
    ['other buckets', held(3, 6, [], 2)],
    ['time between the two', held(6, 8, [])],
    ['more than is held', held(-1, 8, [])],
  ])('does not merge %s', (_, tail) => {
    expect(mergeTail(held(0, 5, []), tail, 0)).toBeUndefined();
  });

  test('gives what the whole answer would have, wherever it is cut', () => {
    const times = fc
      .uniqueArray(fc.integer({ min: 0, max: 40 }))
      .map((t) => t.sort((a, b) => a - b));
    fc.assert(
      fc.property(times, fc.integer({ min: 0, max: 30 }), (t, cut) => {
        const before = held(0, 30, [
          column(
            t.filter((at) => at < 30 && at % 3 > 0),
            1,
          ),
        ]);
        const whole = column(
          t.filter((at) => (at < cut ? at < 30 && at % 3 > 0 : true)),
          1,
        );
        const tail = held(cut, 41, [
          column(
            t.filter((at) => at >= cut),
            1,
          ),
        ]);
        expect(mergeTail(before, tail, 0)?.columns[0]?.t ?? []).toEqual(whole.t);
      }),
      seeded(),
    );
  });
});

test('a series is known by its attributes, in any order', () => {
  const key = { metric: 'm', unit: '1' };
  expect(keyOf({ ...key, attributes: { a: '1', b: '2' } })).toBe(
    keyOf({ ...key, attributes: { b: '2', a: '1' } }),
  );
  expect(keyOf({ ...key, attributes: { a: '1' } })).not.toBe(keyOf({ ...key, attributes: {} }));
});

test.each([
  [0, 0],
  [1, 0],
  [2, 1],
  [5, 2],
  [6, 3],
])('firstFrom %i is place %i', (time, place) => {
  expect(firstFrom([1, 3, 5], time)).toBe(place);
});
