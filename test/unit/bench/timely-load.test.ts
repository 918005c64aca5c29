/** The load on a schedule: all frames, each when it is due, in their order where some are refused. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { capturedAtOf, type FramePlan, framesDue } from '#bench/source/frames.ts';
import { TimelyLoad } from '#bench/source/timely-load.ts';

const COUNT = 200;

function planFrom(startedAtMs: number): FramePlan {
  return { seed: 42, payloadBytes: 200, startedAt: startedAtMs * 1_000, stepUs: 500 };
}

test('no frame is due before its capture time, the first one at it', () => {
  const plan = planFrom(Date.now() + 3_600_000);
  expect(framesDue(plan)).toBe(0);
  expect(framesDue(planFrom(Date.now()))).toBeGreaterThanOrEqual(1);
});

test('each frame is offered once, in order, and none before its time', async () => {
  const plan = planFrom(Date.now() + 5);
  const offered: number[] = [];
  const early: number[] = [];
  await new TimelyLoad(plan, COUNT, async (n) => {
    offered.push(n);
    if (Date.now() * 1_000 < capturedAtOf(plan, n)) early.push(n);
    return true;
  }).run();
  expect(offered).toEqual(Array.from({ length: COUNT }, (_, n) => n));
  expect(early).toEqual([]);
});

test.each([
  ['that come due one by one', 0],
  ['that are all due', 3_600_000],
])('where there is no room for a while, frames %s are taken in their order', async (_, agoMs) => {
  const plan = planFrom(Date.now() - agoMs);
  const first = COUNT / 4;
  const taken: number[] = [];
  let offers = 0;
  await new TimelyLoad(plan, COUNT, async (n) => {
    if (n === first) offers += 1;
    // Full from that one on, until it is offered for the third time.
    const isFull = n >= first && offers < 3;
    if (!isFull) taken.push(n);
    // The answers come later, and not all at the same time, as from a queue in another thread.
    await delay(isFull && n % 2 === 1 ? 5 : 0);
    return !isFull;
  }).run();
  expect(offers).toBe(3);
  expect(taken).toEqual(Array.from({ length: COUNT }, (_, n) => n));
});
