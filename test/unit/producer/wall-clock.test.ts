/** The wall clock between two questions to the real one: never ahead, and never long behind it. */
import { beforeEach, expect, test } from 'vitest';
import { wallClock } from '#collector/producer/wall-clock.ts';

const START_US = 1_764_000_000_000_250;

let wallUs = START_US;
let monotonicMs = 5_000.5;
let asked = 0;
let clock: () => number;

beforeEach(() => {
  [wallUs, monotonicMs, asked] = [START_US, 5_000.5, 0];
  clock = wallClock({
    wallUs: () => {
      asked += 1;
      return wallUs;
    },
    wallMs: () => Math.floor(wallUs / 1_000),
    monotonicMs: () => monotonicMs,
  });
});

function pass(us: number): void {
  wallUs += us;
  monotonicMs += us / 1_000;
}

test('within a millisecond it goes on by itself, to the microsecond', () => {
  expect(clock()).toBe(START_US);
  for (const us of [0, 1, 300, 698]) {
    pass(us);
    // The monotonic clock's fractions are binary ones.
    expect(wallUs - clock()).toBeLessThanOrEqual(1);
    expect(clock()).toBeLessThanOrEqual(wallUs);
  }
  expect(asked).toBe(1);
  pass(1_000);
  expect(clock()).toBe(wallUs);
  expect(asked).toBe(2);
});

test.each([
  ['forward', 60_000_000],
  ['back', -60_000_000],
])('a clock that is set %s is followed at once', (_, us) => {
  clock();
  pass(10);
  wallUs += us;
  expect(clock()).toBe(wallUs);
});

test('the sleep of the machine, which the monotonic clock does not count, is seen at once', () => {
  clock();
  wallUs += 3_600_000_000;
  monotonicMs += 0.1;
  expect(clock()).toBe(wallUs);
});

test('it is never in a millisecond before that of the wall clock', () => {
  clock();
  // As where the thread was set aside between its two questions.
  wallUs += 900;
  monotonicMs += 0.4;
  expect(clock()).toBe(wallUs);
});
