/** What samples say they lack. */
import { describe, expect, test } from 'vitest';
import { isSample, lacksOf, lacksText } from '#dashboard/sample-errors.ts';

const sample = (...errors: unknown[]) => ({ schema: 'holdfast.sample/1', metrics: [], errors });
const cpu = { probe: 'cpu', error: 'deadline of 800 ms passed' };
const memory = { probe: 'memory', error: 'deadline of 800 ms passed' };

describe('what the newest samples lack', () => {
  test('is nothing where all probes told', () => {
    expect(lacksOf([sample(), sample()])).toEqual([]);
    expect(lacksOf([])).toEqual([]);
  });

  test('is said once, with its newest reason, and how often', () => {
    const older = { probe: 'cpu', error: 'not to be read' };
    const lacks = lacksOf([sample(cpu), sample(older), sample()]);
    expect(lacks).toEqual([{ ...cpu, count: 2, of: 3 }]);
    expect(lacksText(lacks)).toBe('probe cpu: deadline of 800 ms passed (2 of the last 3 samples)');
  });

  test('in all of them is said without a count, and probes with one reason together', () => {
    expect(lacksText(lacksOf([sample(cpu, memory)]))).toBe(
      'probes cpu, memory: deadline of 800 ms passed',
    );
  });

  test('for several reasons is said with the one that is given most', () => {
    const hung = { probe: 'disk', error: 'still hangs' };
    const lacks = lacksOf([sample(cpu, memory, hung), sample(hung)]);
    expect(lacksText(lacks)).toBe('probe disk: still hangs; 2 other probes too');
    expect(lacksText(lacks.slice(1))).toContain('; 1 other probe too');
  });

  test('is not taken from what is no sample', () => {
    const strange = [
      null,
      3,
      'text',
      {},
      { errors: [cpu] },
      sample(null, 7, { probe: 1, error: 2 }),
    ];
    expect(lacksOf(strange)).toEqual([]);
    expect(lacksOf([{ schema: 'holdfast.sample/1', errors: 'many' }])).toEqual([]);
    expect([sample(), ...strange].map(isSample)).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
  });

  test('is cut where it is long', () => {
    const text = lacksText(lacksOf([sample({ probe: 'cpu', error: 'x'.repeat(1_000) })]));
    expect(text.length).toBeLessThan(200);
    expect(text).toMatch(/x…$/);
  });
});
