/** Buckets as bytes, the widths that are chosen, and that damage is noticed. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BucketDamage,
  decodeBucket,
  encodeBucket,
  isLone,
  readBucket,
} from '#server/series/bucket.ts';
import { LEVELS, resolutionFor } from '#server/series/levels.ts';
import { seeded } from '#test/unit/seed.ts';

const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0),
  fc.integer(),
  fc.integer({ min: -1_000_000, max: 1_000_000 }).map((n) => n / 10_000),
  fc.maxSafeInteger(),
);
const summary = fc
  .record({ values: fc.tuple(value, value, value), more: fc.maxSafeNat(), late: fc.nat() })
  .map(({ values, more, late }) => {
    const [min = 0, mean = 0, max = 0] = values.sort((a, b) => a - b);
    return { min, max, mean: min === max ? min : mean, count: 1 + Math.floor(more / 5), late };
  });
const series = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 50_000 }), summary), { selector: ([n]) => n })
  .map((pairs) => new Map(pairs));
const bucket = fc
  .record({ frames: fc.integer({ min: 1, max: 2 ** 40 }), offsetUs: fc.nat(), series })
  .map((one) => ({ ...one, offsetUs: one.frames === 1 ? one.offsetUs : 0 }));

test('a bucket comes out of its bytes as it went in', () => {
  fc.assert(
    fc.property(bucket, (one) => {
      const bytes = encodeBucket(one);
      const back = decodeBucket(bytes);
      expect({ ...back, series: sorted(back.series) }).toEqual({
        ...one,
        series: sorted(one.series).map(([n, { min, max, mean, count, late }]) => [
          n,
          { min: min + 0, max: max + 0, mean: mean + 0, count, late },
        ]),
      });
      expect(isLone(bytes)).toBe(one.frames === 1);
      const wanted = new Set([...one.series.keys()].filter((n) => n % 2 === 0));
      const found: number[] = [];
      readBucket(bytes, wanted, (n) => found.push(n));
      expect(new Set(found)).toEqual(wanted);
    }),
    seeded({ numRuns: 500 }),
  );
});

function sorted<T>(map: ReadonlyMap<number, T>): [number, T][] {
  return [...map].sort(([a], [b]) => a - b);
}

test('bytes that changed are noticed', () => {
  const flip = fc.record({ one: bucket, at: fc.nat(), bit: fc.integer({ min: 0, max: 7 }) });
  fc.assert(
    fc.property(flip, ({ one, at, bit }) => {
      const bytes = Uint8Array.from(encodeBucket(one));
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
      expect(() => decodeBucket(bytes)).toThrow(BucketDamage);
    }),
    seeded(),
  );
});

test('levels divide each other, so a bucket of one is whole buckets of the one below', () => {
  for (const [level, width] of LEVELS.entries()) {
    if (level > 0) expect(width % (LEVELS[level - 1] ?? 1)).toBe(0);
  }
});

test('a resolution covers the range with no more buckets than asked, few of them per answered one', () => {
  const time = fc.integer({ min: 0, max: 2 ** 53 - 1 });
  const question = fc.record({ a: time, b: time, points: fc.integer({ min: 2, max: 5_000 }) });
  fc.assert(
    fc.property(question, ({ a, b, points }) => {
      const range = { from: Math.min(a, b), to: Math.max(a, b) + 1 };
      const { step, level, from, to } = resolutionFor(range, points, () => 0);
      expect(from).toBeLessThanOrEqual(range.from);
      expect(to).toBeGreaterThanOrEqual(range.to);
      expect((to - from) / step).toBeLessThanOrEqual(points);
      expect(step % (LEVELS[level] ?? 1)).toBe(0);
    }),
    seeded({ numRuns: 1_000 }),
  );
});

test.each([
  [1_000_000 * 1_000_000, 1_000, 1_200],
  [3_600 * 1_000_000, 1_000, 5],
  [3_600 * 1_000_000, 3_600, 1],
  [10 * 1_000_000, 1_000, 0.01],
])('%d µs in %d points are buckets of %d s', (to, points, seconds) => {
  expect(resolutionFor({ from: 0, to }, points, () => 0).step).toBe(seconds * 1e6);
});

test('a later part of an answer, of so many whole buckets, comes in buckets as wide', () => {
  const time = fc.integer({ min: 0, max: 2 ** 52 });
  const question = fc.record({
    from: time,
    length: fc.integer({ min: 10_000, max: 2 ** 45 }),
    points: fc.integer({ min: 2, max: 5_000 }),
    first: fc.nat({ max: 10_000 }),
    count: fc.integer({ min: 1, max: 5_000 }),
  });
  fc.assert(
    fc.property(question, ({ from, length, points, first, count }) => {
      const whole = resolutionFor({ from, to: from + length }, points, () => 0);
      const start = whole.from + first * whole.step;
      const part = { from: start, to: start + count * whole.step };
      expect(resolutionFor(part, count, () => 0)).toEqual({ ...whole, ...part });
    }),
    seeded({ numRuns: 1_000 }),
  );
});

test('a level whose beginning was removed is not answered from', () => {
  const range = { from: 0, to: 100 * 1_000_000 };
  const second = LEVELS.indexOf(1_000_000);
  const chosen = resolutionFor(range, 1_000, (level) => (level <= second ? 50_000_000 : 0));
  expect(chosen).toMatchObject({ step: 10_000_000, level: second + 1 });
});
