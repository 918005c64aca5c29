/** What a figure's samples come to, and when it has missed its aim. */
import { expect, test } from 'vitest';
import {
  type Aim,
  describeAim,
  type Figure,
  missed,
  readingOf,
  round,
  summaryOf,
  titleOf,
} from '#bench/figures.ts';

function figure(...samples: number[]): Figure {
  return { name: 'a figure', unit: 's', samples, method: 'by hand' };
}

test('a figure is summed up whatever the order of its samples', () => {
  const between = { p25: 1.75, p75: 3.25, p95: expect.closeTo(3.85) };
  expect(summaryOf(figure(4, 1, 3, 2))).toEqual({ n: 4, median: 2.5, ...between, min: 1, max: 4 });
  const all = { p25: 7, median: 7, p75: 7, p95: 7, min: 7, max: 7 };
  expect(summaryOf(figure(7))).toEqual({ n: 1, ...all });
});

test('a figure without a sample is a mistake, not a number', () => {
  expect(() => summaryOf(figure())).toThrow('without a sample');
});

test('an aim holds the number that it names, at its bound too', () => {
  const aim = (of: Aim['of'], at: Aim['at'], value: number): Aim => ({ of, at, value });
  const measured = figure(1, 2, 6);
  expect(missed(measured, aim('median', 'most', 2))).toBeUndefined();
  expect(missed(measured, aim('max', 'most', 6))).toBeUndefined();
  expect(missed(measured, aim('median', 'least', 2))).toBeUndefined();
  expect(missed(measured, aim('median', 'most', 1.9))).toBe('missed: median 2 is over 1.9');
  expect(missed(measured, aim('max', 'most', 5))).toBe('missed: max 6 is over 5');
  expect(missed(measured, aim('median', 'least', 3))).toBe('missed: median 2 is below 3');
  expect(missed(figure(Number.NaN), aim('max', 'most', 5))).toBe('missed: max NaN is over 5');
  expect(describeAim(aim('median', 'most', 0.6))).toBe('median ≤ 0.6');
});

test('numbers are printed with no more digits than they are good for', () => {
  expect([131_849.3, 0.054_712_3, 1.5, 0].map(round)).toEqual(['131849', '0.05471', '1.5', '0']);
});

test('which way is better follows from an aim, else from the unit, and never for a limit', () => {
  const one = (about: Partial<Figure>) => readingOf({ ...figure(1), ...about });
  expect(one({ unit: 'frames/s' })).toEqual({ better: 'more', bound: 'processor' });
  expect(one({ unit: 'ms', bound: 'disk' })).toEqual({ better: 'less', bound: 'disk' });
  expect(one({ unit: 's' })).toEqual({ better: 'less', bound: 'none' });
  expect(one({ unit: 'ratio' })).toEqual({ better: 'neither', bound: 'none' });
  const least = [{ of: 'median', at: 'least', value: 1 }] as const;
  expect(one({ unit: 'ratio', aims: least }).better).toBe('more');
  expect(one({ unit: 'frames/s', name: 'limit: file' }).better).toBe('neither');
  expect(one({ unit: 's', better: 'neither' }).better).toBe('neither');
});

test('a figure of several sizes is titled by its size', () => {
  expect(titleOf(figure(1))).toBe('a figure');
  expect(titleOf({ ...figure(1), at: { value: 10_000, unit: 'frames' } })).toBe(
    'a figure, 10,000 frames',
  );
});
