/** One instance of a collector at a time: whole producers and bare connections over real sockets. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Producer } from '#collector/producer/producer.ts';
import { wallTime } from '#server/surroundings.ts';
import { DEADLINE, openStore, type Serving, serve, stopServing, TestCollector } from './serving.ts';
import { epochOf, framesOf } from './store-contract.ts';
import { TOKEN } from './wire-client.ts';

const producers: Producer[] = [];
const directories: string[] = [];

afterEach(async () => {
  for (const producer of producers.splice(0)) await producer.close({ deadlineMs: 0 });
  await stopServing();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

/** One of several processes that were given the same id, each with a queue of its own. */
async function openClone(port: number): Promise<Producer> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-clone-'));
  directories.push(directory);
  const producer = new Producer({
    server: { host: '127.0.0.1', port },
    token: TOKEN,
    collectorId: 'clone',
    queuePath: join(directory, 'queue'),
  });
  producers.push(producer);
  await producer.opened();
  return producer;
}

async function send(producer: Producer, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, i) => producer.send(Buffer.from(`frame ${i}`))),
  );
}

async function totals({ store }: Serving) {
  const [audit] = await store.audit('clone');
  const epochs = audit?.epochs ?? [];
  return {
    stored: epochs.reduce((sum, { stored }) => sum + stored, 0),
    missing: epochs.flatMap(({ missing }) => missing),
    conflicts: epochs.reduce((sum, { conflictsRefused }) => sum + conflictsRefused, 0),
  };
}

test('of two clones side by side one drains and the other waits; both are named; nothing is lost', {
  timeout: 60_000,
}, async () => {
  const serving = await serve();
  const { registry, port } = serving;
  const first = await openClone(port);
  await send(first, 500);
  await expect.poll(() => first.status().queue.frames, DEADLINE).toBe(0);
  const second = await openClone(port);
  await send(second, 300);
  await expect.poll(() => registry.waiting('clone', wallTime()), DEADLINE).toHaveLength(1);
  await send(first, 500);
  await expect.poll(() => first.status().queue.frames, DEADLINE).toBe(0);
  // It asks again and again, and has sent nothing so far.
  const since = registry.waiting('clone', wallTime())[0]?.since;
  const askedAgain = () =>
    registry.waiting('clone', wallTime()).some((one) => one.askedAt > one.since);
  await expect.poll(askedAgain, DEADLINE).toBe(true);
  const [waiting] = registry.waiting('clone', wallTime());
  const holder = registry.connected('clone');
  expect(waiting?.since).toBe(since);
  expect(waiting?.instance).not.toBe(holder?.instance);
  expect(holder?.address).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(second.status().queue.frames).toBe(300);
  expect(await totals(serving)).toMatchObject({ stored: 1_000 });

  await first.close();
  await expect.poll(() => second.status().queue.frames, { ...DEADLINE, timeout: 20_000 }).toBe(0);
  expect(registry.connected('clone')?.instance).toBe(waiting?.instance);
  expect(registry.waiting('clone', wallTime())).toEqual([]);
  expect(await totals(serving)).toEqual({ stored: 1_300, missing: [], conflicts: 0 });
});

test('of many that come at the same moment one is let in, and all others are told to wait', async () => {
  // Each is asked at the store for a while: the others come in the middle of that.
  const { port, registry, store } = await serve({ store: await openStore() });
  const clones = Array.from({ length: 20 }, () => new TestCollector(port));
  const epochs = clones.map(() => randomUUID());
  await Promise.all(
    clones.map((clone, i) =>
      clone.hello([epochOf(epochs[i] ?? '', 1, 1)], { instance: randomUUID() }),
    ),
  );
  const told = (kind: string) =>
    clones.filter(({ wire }) => wire.messages.some((message) => message.kind === kind));
  await expect.poll(() => told('welcome').length + told('bye').length, DEADLINE).toBe(20);
  const [winner, ...others] = told('welcome');
  expect(others).toEqual([]);
  for (const loser of told('bye')) {
    expect(await loser.next('bye')).toMatchObject({ reason: 'in_use', retryAfterMs: 2_000 });
  }
  // However many there are, some are named.
  expect(registry.waiting('c1', wallTime())).toHaveLength(8);
  const epoch = epochs[clones.indexOf(winner as TestCollector)] ?? '';
  winner?.send({ kind: 'frames', epochIndex: 0, frames: framesOf(epoch, 1, 1) });
  await winner?.next('ack');
  const [audit] = await store.audit('c1');
  expect(audit?.epochs.map(({ epoch: one }) => one)).toEqual([epoch]);
});
