/** Where a value lies in a picture. */
import { expect, test } from 'vitest';
import { linear, scaleOf } from '#bench/page/scale.ts';

test('a linear scale begins at 0 and ends at a round number over the greatest', () => {
  const { at, ticks } = scaleOf([300, 170]);
  expect(ticks).toEqual([0, 150, 300]);
  expect([0, 75, 300, 900, -1].map(at)).toEqual([0, 0.25, 1, 1, 0]);
  expect(linear(0.23).ticks.at(-1)).toBeCloseTo(0.25);
  expect(linear(0).ticks).toEqual([0, 0.5, 1]);
});

test('values that lie far apart stand by powers of ten, so that the small ones are seen', () => {
  const { at, ticks } = scaleOf([0.02, 5]);
  expect(ticks.map((tick) => Math.log10(tick))).toEqual([-2, -1, 0, 1]);
  expect([0.01, 0.1, 10].map((value) => Math.round(at(value) * 30) / 30)).toEqual([0, 1 / 3, 1]);
  expect(at(0)).toBe(0);
});

test('one that holds 0 stays linear: 0 has no power of ten', () => {
  expect(scaleOf([0, 1_000]).ticks).toEqual([0, 500, 1_000]);
});
