/** The source's schedule, payloads and settings. */
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SOURCE_SETTINGS } from '#chaos/source/config.ts';
import { Pacer } from '#chaos/source/pacer.ts';
import { Payloads } from '#chaos/source/payloads.ts';
import { readSettings } from '#protocol/settings.ts';
import { seeded } from '../seed.ts';

const TOKEN = { HOLDFAST_TOKEN: '0123456789abcdef' };

describe('the pacer', () => {
  test('holds the rate, whatever the times at which it is looked at', () => {
    const looks = fc.array(fc.double({ min: 0.01, max: 400, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), looks, (rate, gapsMs) => {
        const pacer = new Pacer(5_000, rate);
        let nowMs = 5_000;
        let made = 0;
        for (const gapMs of gapsMs) {
          const { attempts, stalled } = pacer.take(nowMs);
          expect(stalled).toBe(0);
          made += attempts;
          const due = ((nowMs - 5_000) * rate) / 1_000;
          expect(made).toBeGreaterThan(due - 1e-3);
          expect(made).toBeLessThanOrEqual(due + 1 + 1e-3);
          expect(pacer.nextMs).toBeGreaterThan(nowMs - 1e-3);
          nowMs += gapMs;
        }
      }),
      seeded(),
    );
  });

  test('makes up for a second of standstill and gives up the rest', () => {
    const pacer = new Pacer(0, 200);
    expect(pacer.take(0)).toEqual({ attempts: 1, stalled: 0 });
    expect(pacer.take(20_000)).toEqual({ attempts: 200, stalled: 3_800 });
    expect(pacer.take(20_000)).toEqual({ attempts: 0, stalled: 0 });
    expect(pacer.nextMs).toBe(20_005);
  });

  test('makes a single attempt after a standstill at one a second', () => {
    const pacer = new Pacer(0, 1);
    expect(pacer.take(10_000)).toEqual({ attempts: 1, stalled: 10 });
  });
});

describe('payloads', () => {
  const { sizes } = readSettings(SOURCE_SETTINGS, TOKEN, () => '');

  test('follow from seed and number alone, and differ by either', () => {
    const mix = { sizes: [{ min: 16, max: 300, weight: 1 }], incompressiblePercent: 50 };
    const [one, same, other] = [new Payloads(1, mix), new Payloads(1, mix), new Payloads(2, mix)];
    const seen = new Set<string>();
    for (let n = 1; n <= 2_000; n += 1) {
      same.of(n + 1);
      expect(one.of(n)).toEqual(same.of(n));
      seen.add(one.of(n).toString('hex')).add(other.of(n).toString('hex'));
    }
    expect(seen.size).toBe(4_000);
  });

  test('are mostly small by default, and reach both ends', () => {
    const payloads = new Payloads(3, { sizes, incompressiblePercent: 50 });
    const lengths = Array.from({ length: 20_000 }, (_, n) => payloads.of(n).length);
    expect(lengths.filter((length) => length <= 512).length).toBeGreaterThan(16_000);
    expect(Math.min(...lengths)).toBe(1);
    expect(Math.max(...lengths)).toBe(65_536);
  });

  test('are as compressible as asked for', () => {
    const size = [{ min: 4_096, max: 4_096, weight: 1 }];
    const shrunk = (incompressiblePercent: number) => {
      const payloads = new Payloads(4, { sizes: size, incompressiblePercent });
      return Array.from({ length: 100 }, (_, n) => zstdCompressSync(payloads.of(n)).length).filter(
        (length) => length < 2_048,
      ).length;
    };
    expect([shrunk(100), shrunk(0)]).toEqual([0, 100]);
    expect(shrunk(50)).toBeGreaterThan(20);
    expect(shrunk(50)).toBeLessThan(80);
  });
});

describe('the settings of the source', () => {
  test('take sizes as ranges with weights, and single sizes', () => {
    const environment = { ...TOKEN, HOLDFAST_LOAD_PAYLOADS: '1:3,64-65536:1' };
    expect(readSettings(SOURCE_SETTINGS, environment, () => '').sizes).toEqual([
      { min: 1, max: 1, weight: 3 },
      { min: 64, max: 65_536, weight: 1 },
    ]);
  });

  test.each(['', ' ', '0:1', '1-65537:1', '9-3:1', '1-2', '1-2:0', '1-2:1,', 'small'])(
    'refuse the sizes %j',
    (text) => {
      const environment = { ...TOKEN, HOLDFAST_LOAD_PAYLOADS: text };
      const read = () => readSettings(SOURCE_SETTINGS, environment, () => '');
      // An empty variable counts as not set.
      if (text === '') expect(read().sizes).toHaveLength(4);
      else expect(read).toThrow(/HOLDFAST_LOAD_PAYLOADS must be min-max:weight/);
    },
  );
});
