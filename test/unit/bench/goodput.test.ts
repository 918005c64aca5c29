/** How a link's goodput is reckoned, and the samples that it is measured with. */
import { constants, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { BenchError } from '#bench/errors.ts';
import { bytesPerS, bytesPerSInAll, slicesOf } from '#bench/goodput.ts';
import { type FramePlan, indexOf, payloadOf } from '#bench/source/frames.ts';

/** A message of `bytes` every `everyMs`, from a moment on. */
function lumps(fromMs: number, everyMs: number, bytes: number, count: number) {
  return Array.from({ length: count }, (_, i) => ({ atMs: fromMs + i * everyMs, bytes }));
}

test('a rate does not depend on where the lumps of a thin link fall in the span', () => {
  for (let fromMs = 0; fromMs < 4_000; fromMs += 333) {
    const arrivals = lumps(fromMs, 4_000, 4_000, 10);
    expect(bytesPerS(arrivals, { fromMs: 0, toMs: 20_000 })).toBe(1_000);
  }
});

test('frames that came as one message count as one', () => {
  const arrivals = lumps(0, 1_000, 300, 5).flatMap((one) => [one, one, one]);
  expect(bytesPerS(arrivals, { fromMs: 0, toMs: 10_000 })).toBe(900);
});

test('what lies outside the span is not counted', () => {
  const arrivals = [...lumps(0, 10, 1e6, 10), ...lumps(1_000, 500, 50, 5)];
  expect(bytesPerS(arrivals, { fromMs: 1_000, toMs: 3_000 })).toBe(100);
});

test('where too little came there is no rate', () => {
  const span = { fromMs: 0, toMs: 10_000 };
  expect(() => bytesPerS([], span)).toThrow(BenchError);
  expect(() => bytesPerS(lumps(0, 0, 100, 3), span)).toThrow(/too little came over the link in 10/);
});

test('what a link stood idle counts where all of the span does, wherever in it that falls', () => {
  const span = { fromMs: 0, toMs: 10_000 };
  for (const [idleFromMs, idleToMs] of [
    [0, 4_000],
    [3_000, 7_000],
    [6_000, 10_000],
  ] as const) {
    const arrivals = lumps(50, 100, 100, 100).filter(
      ({ atMs }) => atMs < idleFromMs || atMs > idleToMs,
    );
    expect(bytesPerSInAll(arrivals, span)).toBe(600);
  }
  expect(bytesPerSInAll(lumps(0, 1, 1e6, 10), { fromMs: 20, toMs: 30 })).toBe(0);
});

test('slices follow each other and are the whole span', () => {
  expect(slicesOf({ fromMs: 100, toMs: 700 }, 3)).toEqual([
    { fromMs: 100, toMs: 300 },
    { fromMs: 300, toMs: 500 },
    { fromMs: 500, toMs: 700 },
  ]);
});

const PLAN: FramePlan = { seed: 42, payloadBytes: 0, content: 'samples', startedAt: 0 };

test('samples follow from seed and n, and say which they are', () => {
  for (const n of [0, 1, 10, 12_345]) {
    expect(payloadOf(PLAN, n)).toEqual(payloadOf(PLAN, n));
    expect(indexOf(payloadOf(PLAN, n))).toBe(n);
    expect(payloadOf(PLAN, n)).not.toEqual(payloadOf({ ...PLAN, seed: 43 }, n));
  }
});

test('samples have the schema of the collector, and counters that only grow', () => {
  const totals = new Map<string, number>();
  for (let n = 0; n < 200; n += 1) {
    const sample = JSON.parse(payloadOf(PLAN, n).toString());
    expect(sample).toMatchObject({ n, schema: 'holdfast.sample/1', errors: [] });
    for (const { name, value, attributes } of sample.metrics) {
      if (!/\.(io|operations|operation_time|time)$/.test(name)) continue;
      const key = name + JSON.stringify(attributes);
      expect(value).toBeGreaterThanOrEqual(totals.get(key) ?? 0);
      totals.set(key, value);
    }
  }
  expect(totals.size).toBe(10);
});

// Of a collector in a container, recorded on a host of two cores for two minutes: 3,881 bytes each.
test.each([
  [1, 5.07],
  [5, 12.34],
  [20, 20.74],
  [100, 26.59],
])('%i at a time they compress no better than recorded ones', (count, recorded) => {
  const params = { [constants.ZSTD_c_compressionLevel]: 1 };
  const samples = Array.from({ length: 5 * count }, (_, i) => payloadOf(PLAN, i + 1));
  let [plain, packed] = [0, 0];
  for (let i = 0; i < samples.length; i += count) {
    const together = Buffer.concat(samples.slice(i, i + count));
    plain += together.length;
    packed += zstdCompressSync(together, { params }).length;
  }
  expect(plain / packed).toBeLessThan(recorded);
  expect(plain / packed).toBeGreaterThan(0.8 * recorded);
  expect(plain / samples.length).toBeGreaterThan(3_700);
  expect(plain / samples.length).toBeLessThan(4_100);
});
