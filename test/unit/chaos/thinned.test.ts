/** What a long run keeps of its samples. */
import { expect, test } from 'vitest';
import { Thinned } from '#chaos/observe/thinned.ts';

test('all are kept while there is room', () => {
  const list = new Thinned<number>(100);
  for (let one = 1; one < 100; one += 1) list.add(one);
  expect(list.kept).toEqual(Array.from({ length: 99 }, (_, index) => index + 1));
});

test('past that those that are kept are spread evenly over all of the time', () => {
  const list = new Thinned<number>(100);
  for (let one = 1; one <= 10_000; one += 1) {
    list.add(one);
    expect(list.kept.length).toBeLessThan(100);
  }
  const steps = new Set(list.kept.slice(1).map((one, index) => one - (list.kept[index] ?? 0)));
  expect(steps.size).toBe(1);
  expect(list.kept.length).toBeGreaterThan(45);
  expect(list.kept.at(-1)).toBeGreaterThan(9_700);
});
