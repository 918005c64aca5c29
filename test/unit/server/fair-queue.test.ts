/** The order in which lanes share: kept within each, and nobody's backlog before another's little. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FairQueue } from '#server/store/fair-queue.ts';
import { seeded } from '../seed.ts';

interface Item {
  readonly lane: string;
  readonly number: number;
  readonly weight: number;
}

const LIMITS = { weight: 4_194_304, items: 4_096 };
const LARGE = 262_144;

class Rig {
  readonly queue = new FairQueue<Item>();
  pushed = 0;

  push(lane: string, weight: number): Item {
    const item = { lane, weight, number: this.pushed };
    this.pushed += 1;
    this.queue.push(lane, weight, item);
    return item;
  }

  /** Takes until it is empty; answers what was taken at a time. */
  drain(): Item[][] {
    const taken: Item[][] = [];
    while (!this.queue.empty) taken.push(this.queue.take(LIMITS));
    return taken;
  }
}

test('whatever comes and goes, each item is taken once, within the limits, and a lane keeps its order', () => {
  const lanes = ['a', 'b', 'c', 'd'];
  const push = fc.record({
    lane: fc.constantFrom(...lanes),
    weight: fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 0, max: 6_000_000 })),
  });
  const step = fc.oneof({ arbitrary: push, weight: 5 }, fc.constant('take' as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const rig = new Rig();
      const taken: Item[][] = [];
      for (const one of steps) {
        if (one === 'take') taken.push(rig.queue.take(LIMITS));
        else rig.push(one.lane, one.weight);
      }
      taken.push(...rig.drain());
      for (const items of taken) {
        const weight = items.reduce((sum, item) => sum + item.weight, 0);
        expect(items.length === 1 || weight <= LIMITS.weight).toBe(true);
        expect(items.length).toBeLessThanOrEqual(LIMITS.items);
      }
      const all = taken.flat();
      expect(all.length).toBe(rig.pushed);
      for (const lane of lanes) {
        const numbers = all.filter((item) => item.lane === lane).map(({ number }) => number);
        expect(numbers).toEqual(numbers.toSorted((x, y) => x - y));
      }
    }),
    seeded(),
  );
});

test('lanes with a backlog share by weight, not by items', () => {
  const rig = new Rig();
  for (let i = 0; i < 20_000; i += 1) rig.push('small', 1_024);
  for (let i = 0; i < 200; i += 1) rig.push('large', LARGE);
  const weights = { small: 0, large: 0 };
  for (const { lane, weight } of rig.drain().slice(0, 8).flat()) {
    weights[lane as 'small' | 'large'] += weight;
  }
  expect(weights.small / weights.large).toBeGreaterThan(0.8);
  expect(weights.small / weights.large).toBeLessThan(1.25);
});

test.each([1, 50, 500])('who had nothing waiting comes next, behind %i backlogs', (backlogs) => {
  const rig = new Rig();
  for (let i = 0; i < 40 * backlogs; i += 1) rig.push(`b${i % backlogs}`, LARGE);
  rig.queue.take(LIMITS);
  for (let i = 0; i < 10; i += 1) rig.push('live', 800);
  const next = rig.queue.take(LIMITS);
  expect(next.filter(({ lane }) => lane === 'live').length).toBe(10);
  expect(next.filter(({ lane }) => lane !== 'live').length).toBe(15);
});

test('however many are live, those with a backlog have half of what is taken', () => {
  const rig = new Rig();
  for (let i = 0; i < 100; i += 1) rig.push('backlog', LARGE);
  rig.queue.take(LIMITS);
  for (let i = 0; i < 20_000; i += 1) rig.push(`live${i}`, 800);
  const next = rig.queue.take(LIMITS);
  const weight = next.reduce((sum, item) => sum + (item.lane === 'backlog' ? item.weight : 0), 0);
  expect(weight).toBeGreaterThanOrEqual(LIMITS.weight / 2 - LARGE);
});
