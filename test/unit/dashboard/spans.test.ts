/** Stretches of time over the charts: states, faults, gaps, what came late. */
import { describe, expect, test } from 'vitest';
import {
  faultSpans,
  gapSpans,
  idleSpans,
  lateSpans,
  spanAt,
  stateSpans,
} from '#dashboard/charts/spans.ts';
import type { Column, Held } from '#dashboard/columns.ts';

function column(
  metric: string,
  attributes: Record<string, string>,
  points: [number, number, number?][],
): Column {
  const values = points.map(([, value]) => value);
  return {
    metric,
    unit: '1',
    attributes,
    t: points.map(([at]) => at),
    min: values,
    max: values,
    mean: values,
    count: values.map(() => 1),
    late: points.map(([, , late = 0]) => late),
  };
}

describe('states of the producer', () => {
  const state = (name: string, points: [number, number][]) =>
    column('holdfast.producer.state', { state: name }, points);

  test('last until the next one', () => {
    const spans = stateSpans(
      [
        state('Ready', [
          [0, 1],
          [1_000, 1],
          [2_000, 0],
          [3_000, 0],
        ]),
        state('Backoff', [
          [0, 0],
          [1_000, 0],
          [2_000, 1],
          [3_000, 1],
        ]),
      ],
      1_000,
    );
    expect(spans).toEqual([
      { from: 0, to: 2_000, kind: 'plain', text: 'Ready' },
      { from: 2_000, to: 4_000, kind: 'bad', text: 'Backoff' },
    ]);
  });

  test('of a bucket are what held for most of it', () => {
    const spans = stateSpans([state('Ready', [[0, 0.4]]), state('Recovering', [[0, 0.6]])], 1_000);
    expect(spans.map(({ text }) => text)).toEqual(['Recovering']);
  });

  test('are not known where there is no sample', () => {
    const spans = stateSpans(
      [
        state('Ready', [
          [0, 1],
          [1_000, 1],
          [9_000, 1],
          [10_000, 1],
        ]),
      ],
      1_000,
    );
    expect(spans.map(({ from, to }) => [from, to])).toEqual([
      [0, 2_000],
      [9_000, 11_000],
    ]);
  });
});

test('a fault that lasts reaches to now', () => {
  const [fault] = faultSpans(
    [{ from: '2026-11-26T12:00:00.000000Z', to: null, state: 'slow', details: ['250 ms'] }],
    Date.UTC(2026, 10, 26, 12, 5),
  );
  expect(fault).toEqual({
    from: Date.UTC(2026, 10, 26, 12),
    to: Date.UTC(2026, 10, 26, 12, 5),
    kind: 'warn',
    text: 'slow · 250 ms',
  });
});

test('gaps lie between their neighbours, or reach to the edge, and say why', () => {
  const gap = { epoch: 'e', from: 3, to: 12, captured_before: null } as const;
  const spans = gapSpans(
    {
      as_of: '',
      collector: 'c',
      complete: true,
      gaps: [
        { ...gap, kind: 'declared', reason: 'queue_full', captured_after: '1970-01-01T00:00:05Z' },
        { ...gap, kind: 'pending', reason: null, captured_after: null },
      ],
    },
    { from: 1_000, to: 9_000 },
  );
  expect(spans).toEqual([
    { from: 5_000, to: 9_000, kind: 'gap', text: '10 frames declared: queue_full' },
    { from: 1_000, to: 9_000, kind: 'waiting', text: '10 frames pending' },
  ]);
});

test('what came late is in stretches', () => {
  const points: [number, number, number][] = [
    [0, 1, 0],
    [1_000, 1, 1],
    [2_000, 1, 1],
    [3_000, 1, 0],
    [20_000, 1, 1],
  ];
  expect(lateSpans([column('m', {}, points)], 1_000).map(({ from, to }) => [from, to])).toEqual([
    [1_000, 3_000],
    [20_000, 21_000],
  ]);
});

test('of stretches that lie over each other the later one is told', () => {
  const span = { kind: 'gap', from: 0 } as const;
  const spans = [
    { ...span, to: 10, text: 'a' },
    { ...span, to: 5, text: 'b' },
  ];
  expect(spanAt(spans, 3)?.text).toBe('b');
  expect(spanAt(spans, 7)?.text).toBe('a');
  expect(spanAt(spans, 10)).toBeUndefined();
});

test('of a short stretch is told beside it too, unless the time is in another', () => {
  const spans = [
    { kind: 'gap', from: 0, to: 10, text: 'a' },
    { kind: 'gap', from: 12, to: 13, text: 'b' },
  ] as const;
  expect(spanAt(spans, 11, 2)?.text).toBe('b');
  expect(spanAt(spans, 9, 4)?.text).toBe('a');
  expect(spanAt(spans, 20, 4)).toBeUndefined();
});

describe('where nothing was captured', () => {
  const points = [0, 1, 2, 30, 31].map((at): [number, number] => [at * 1_000, 1]);
  const held: Held = {
    from: 0,
    to: 32_000,
    width: 1_000,
    completeTo: 31_500,
    columns: [column('holdfast.producer.state', { state: 'Ready' }, points)],
  };

  test('is between samples that are further apart than usual', () => {
    expect(idleSpans(held, [])).toMatchObject([
      { from: 3_000, to: 30_000, kind: 'idle', text: 'nothing captured' },
    ]);
    expect(idleSpans(held, [])[0]?.long).toContain('for 28 s');
  });

  test('is not where frames are known not to be stored', () => {
    const gap = { kind: 'waiting', from: 20_000, to: 25_000, text: '5 frames pending' } as const;
    expect(idleSpans(held, [gap])).toEqual([]);
    expect(idleSpans(held, [{ ...gap, from: 30_000, to: 31_000 }])).toHaveLength(1);
  });

  test('is not told while the server is still charting what it has', () => {
    expect(idleSpans({ ...held, completeTo: undefined }, [])).toEqual([]);
    expect(idleSpans({ ...held, completeTo: 15_000 }, [])).toEqual([]);
  });

  test('is not known of those whose frames need have no numbers', () => {
    expect(idleSpans({ ...held, columns: [column('m', {}, points)] }, [])).toEqual([]);
  });

  test('is a matter of what is usual: the same in wide buckets and of slow samplers', () => {
    const slow = [0, 10, 20, 40, 50].map((at): [number, number] => [at * 1_000, 1]);
    const columns = [column('holdfast.producer.state', { state: 'Ready' }, slow)];
    expect(idleSpans({ ...held, columns, to: 60_000, completeTo: 60_000 }, [])).toEqual([]);
    expect(idleSpans({ ...held, width: 10_000 }, [])).toEqual([]);
  });
});
