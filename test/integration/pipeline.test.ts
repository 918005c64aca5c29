/**
 * The pipeline on the real images, through a real Toxiproxy: a clean run, and a cut of ten seconds.
 * Each run ends in a comparison of every captured frame with every stored one.
 */
import { afterEach, expect, test } from 'vitest';
import { waitUntil } from '#chaos/observe/wait.ts';
import { type Comparison, compare } from './support/compare.ts';
import { Stack } from './support/stack.ts';

const SAMPLE_INTERVAL_MS = 100;
const CUT_MS = 10_000;
const COLLECTOR = {
  environment: { HOLDFAST_SAMPLE_INTERVAL_MS: String(SAMPLE_INTERVAL_MS) },
} as const;

let stack: Stack | undefined;

afterEach(async () => {
  await stack?.stop();
  stack = undefined;
});

/** Stops capturing, waits until nothing is pending, and compares. */
async function settle(running: Stack): Promise<Comparison> {
  await running.collector.stop();
  const captured = await running.captured();
  await waitUntil(
    'everything captured is stored',
    async () => (await running.audit()).totals.stored >= captured.length,
    { describe: () => running.audit() },
  );
  return compare(captured, await running.exported());
}

const WHOLE = { lost: [], doubled: [], unexpected: [], altered: [] };

test('a clean run stores every captured frame once, as it was captured', async () => {
  stack = await Stack.start('clean', COLLECTOR);
  const running = stack;
  await waitUntil('50 frames are stored', async () => (await running.audit()).totals.stored >= 50);

  const { counters } = await running.status();
  expect(counters.connections).toBe(1);

  const comparison = await settle(running);
  expect(comparison).toMatchObject(WHOLE);
  expect(comparison.captured).toBeGreaterThanOrEqual(50);
  const { totals } = await running.audit();
  expect(totals).toMatchObject({ declared: 0, pending: 0, missing: 0 });
});

test('a cut of ten seconds loses, doubles and alters nothing, and heals by itself', async () => {
  stack = await Stack.start('cut', COLLECTOR);
  const running = stack;

  await running.link.cut();
  const cutAt = Date.now();
  await waitUntil(
    'the server says since when the collector is silent',
    async () => (await running.audit()).silent_since !== null,
  );
  await waitUntil(
    'the collector has noticed the cut',
    async () => (await running.status()).state !== 'Ready',
  );
  const before = await running.audit();
  await waitUntil(
    'ten seconds of frames wait in the queue',
    async () =>
      Date.now() - cutAt >= CUT_MS &&
      (await running.status()).queue.frames >= (0.9 * CUT_MS) / SAMPLE_INTERVAL_MS,
    { describe: () => running.status() },
  );
  const during = await running.audit();
  expect(during.totals.stored).toBe(before.totals.stored);
  expect(during.totals.missing).toBe(0);

  await running.link.restore();
  const missing: number[] = [];
  await waitUntil(
    'the queue has drained',
    async () => {
      const { totals } = await running.audit();
      missing.push(totals.missing);
      return (await running.status()).queue.frames <= 2 && totals.pending <= 2;
    },
    { describe: () => running.status() },
  );
  expect(Math.max(...missing)).toBe(0);

  const comparison = await settle(running);
  expect(comparison).toMatchObject(WHOLE);
  const late = (await running.exported()).filter(
    (row) => Date.parse(row.received_at) - Date.parse(row.captured_at) > CUT_MS / 2,
  );
  expect(late.length, 'frames of the cut keep the time of their capture').toBeGreaterThan(0);
  expect((await running.audit()).totals).toMatchObject({ declared: 0, pending: 0, missing: 0 });
});
