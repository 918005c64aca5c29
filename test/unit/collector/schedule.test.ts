/** The sampling schedule: no drift, no bursts, every missed tick counted. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Schedule } from '#collector/sampler/schedule.ts';
import { seeded } from '#test/unit/seed.ts';

describe('the schedule', () => {
  test('gives tick 0 at the start and none before the next is due', () => {
    const schedule = new Schedule(500, 1_000);
    expect(schedule.poll(500)).toEqual({ number: 0, skipped: 0 });
    expect(schedule.poll(1_499.9)).toBeUndefined();
    expect(schedule.dueMs).toBe(1_500);
  });

  test('a late tick does not move the next one', () => {
    const schedule = new Schedule(0, 1_000);
    schedule.poll(0);
    expect(schedule.poll(1_700)).toEqual({ number: 1, skipped: 0 });
    expect(schedule.dueMs).toBe(2_000);
  });

  test('ticks that passed in a freeze are counted once and not made up for', () => {
    const schedule = new Schedule(0, 1_000);
    schedule.poll(0);
    expect(schedule.poll(7_300)).toEqual({ number: 7, skipped: 6 });
    expect(schedule.poll(7_300)).toBeUndefined();
    expect(schedule.dueMs).toBe(8_000);
  });

  test('whatever the delays: ticks rise, taken and skipped ones add up, none comes early', () => {
    const wakes = fc.array(fc.double({ min: 0, max: 5_000, noNaN: true }), { maxLength: 200 });
    fc.assert(
      fc.property(wakes, fc.integer({ min: 100, max: 3_000 }), (delays, intervalMs) => {
        const schedule = new Schedule(0, intervalMs);
        let nowMs = 0;
        let covered = 0;
        for (const delay of delays) {
          nowMs += delay;
          const tick = schedule.poll(nowMs);
          if (tick === undefined) continue;
          covered += 1 + tick.skipped;
          expect(tick.number).toBe(covered - 1);
          expect(tick.number * intervalMs).toBeLessThanOrEqual(nowMs);
          expect(schedule.dueMs).toBeGreaterThan(nowMs - intervalMs);
        }
      }),
      seeded(),
    );
  });
});
