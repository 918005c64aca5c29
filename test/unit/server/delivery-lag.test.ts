/** Delivery lag by collector and over all, against plain sorting. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeliveryLag, LAG_BOUNDS_S } from '#server/delivery-lag.ts';
import { seeded } from '../seed.ts';

const NOW = 1_700_000_000_000_000;
const MINUTE = 60_000_000;

function stored(lag: DeliveryLag, collector: string, lagsMs: readonly number[], at = NOW): void {
  lag.onStored(
    collector,
    lagsMs.map((ms) => at - ms * 1_000),
    at,
  );
}

describe('of a collector', () => {
  test('quantiles are at most a bucket too high, and never too low', () => {
    const lags = fc.array(fc.integer({ min: 0, max: 2 ** 35 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(lags, (lagsMs) => {
        const lag = new DeliveryLag();
        stored(lag, 'c1', lagsMs);
        const summary = lag.of('c1', NOW);
        const sorted = lagsMs.toSorted((a, b) => a - b);
        expect(summary?.frames).toBe(lagsMs.length);
        expect(summary?.maxMs).toBe(sorted.at(-1));
        for (const [share, got] of [
          [0.5, summary?.p50Ms ?? 0],
          [0.99, summary?.p99Ms ?? 0],
        ] as const) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
          expect(got).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
          expect(got).toBeLessThanOrEqual(Math.max(1, exact * 1.2));
        }
      }),
      seeded(),
    );
  });

  test('what was long ago is forgotten, and since says from when on it counts', () => {
    const lag = new DeliveryLag();
    stored(lag, 'c1', [60_000]);
    const soon = NOW + 4 * MINUTE;
    stored(lag, 'c1', [10], soon);
    expect(lag.of('c1', soon)).toMatchObject({ since: NOW, frames: 2, maxMs: 60_000 });
    const later = NOW + 9 * MINUTE;
    stored(lag, 'c1', [10], later);
    expect(lag.of('c1', later)).toMatchObject({ since: NOW, frames: 3, maxMs: 60_000 });
    const last = NOW + 11 * MINUTE;
    expect(lag.of('c1', last)).toMatchObject({ since: NOW + 5 * MINUTE, frames: 1, maxMs: 10 });
    const quiet = NOW + 60 * MINUTE;
    expect(lag.of('c1', quiet)).toEqual({ since: quiet, frames: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 });
  });

  test('a clock that goes back begins anew, and frames from the future have no lag', () => {
    const lag = new DeliveryLag();
    stored(lag, 'c1', [5]);
    stored(lag, 'c1', [-1_000], NOW - MINUTE);
    expect(lag.of('c1', NOW - MINUTE)).toMatchObject({ since: NOW - MINUTE, frames: 1, maxMs: 0 });
  });

  test('only so many are kept: those heard of last', () => {
    const lag = new DeliveryLag();
    for (let n = 0; n < 10_000; n += 1) stored(lag, `c${n}`, [5]);
    stored(lag, 'c0', [5]);
    stored(lag, 'one more', [5]);
    expect(lag.of('c0', NOW)).toBeDefined();
    expect(lag.of('c1', NOW)).toBeUndefined();
    expect(lag.of('nobody', NOW)).toBeUndefined();
  });
});

test('over all, each frame is in the bucket of its bound', () => {
  const lag = new DeliveryLag();
  stored(lag, 'c1', [5, 6, 1_000]);
  stored(lag, 'c2', [10 * 86_400_000]);
  const { counts, sumS } = lag.totals;
  const filled = counts.flatMap((count, i) => (count === 0 ? [] : [[LAG_BOUNDS_S[i], count]]));
  expect(filled).toEqual([
    [0.005, 1],
    [0.01, 1],
    [1, 1],
    [undefined, 1],
  ]);
  expect(sumS).toBeCloseTo(864_001.011);
});
