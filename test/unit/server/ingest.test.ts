/** Ingest over real sockets: what a collector gets, and what hostile ones don't. */
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Message } from '#protocol/messages.ts';
import type { ServerEvent } from '#server/events.ts';
import { shutdownRetryMs } from '#server/ingest/terms.ts';
import { type Store, StoreError } from '#server/store/store.ts';
import {
  connectionCount,
  DEADLINE,
  openStore,
  serve,
  stopServing,
  TestCollector,
} from './serving.ts';
import { EPOCH_A, EPOCH_B, epochOf, frameOf, framesOf, stored } from './store-contract.ts';
import { INSTANCE, ping } from './wire-client.ts';

afterEach(stopServing);

function frames(from: number, to: number): Message {
  return { kind: 'frames', epochIndex: 0, frames: framesOf(EPOCH_A, from, to) };
}

/** Reads what comes and says nothing. */
function silentConnection(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  return socket.on('error', () => {}).resume();
}

/** A store that does something else than commit, or something beside it. */
function committing(store: Store, commit: Store['commit']): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'commit') return commit;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A store whose commits fail as long as it is told so. */
function failing(store: Store, error: () => StoreError | undefined): Store {
  return committing(store, (batch) => {
    const failure = error();
    return failure ? Promise.reject(failure) : store.commit(batch);
  });
}

test('frames are acknowledged, stored, and not asked for again', async () => {
  const { port, store, events } = await serve();
  const seen: ServerEvent[] = [];
  events.watch((event) => seen.push(event));
  const first = new TestCollector(port);
  const welcome = await first.join([epochOf(EPOCH_A, 1, 3)]);
  expect(welcome).toMatchObject({ settled: [], retrySpreadMs: 0, retryCapMs: 1_000, zstd: true });
  expect(first.wire.welcomed).toBe(true);
  first.send(frames(1, 3));
  expect((await first.next('ack')).settled).toEqual([{ epochIndex: 0, ...stored(1, 3) }]);
  first.socket.destroy();
  const second = new TestCollector(port);
  const again = await second.join([epochOf(EPOCH_A, 1, 4)]);
  expect(again.settled).toEqual([{ epochIndex: 0, ...stored(1, 3) }]);
  const [audit] = await store.audit('c1');
  expect(audit?.epochs).toMatchObject([{ stored: 3, pending: [{ from: 4, to: 4 }], missing: [] }]);
  expect(seen.map(({ type }) => type)).toEqual(['collector', 'stored', 'collector', 'collector']);
});

test('a wrong token is told so, logged, and learns nothing', async () => {
  const { port, logged } = await serve();
  const collector = new TestCollector(port, Buffer.from('another token 16'));
  await collector.hello();
  expect(await collector.next('bye')).toMatchObject({ reason: 'unauthorized', text: '' });
  await collector.untilClosed();
  await expect
    .poll(() => logged.find(({ event }) => event === 'attempt_failed'), DEADLINE)
    .toMatchObject({
      level: 40,
      reason: 'wrong_token',
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      msg: 'c1 did not prove that it has its token',
    });
});

test('the same process’s newer connection takes over, and the older one is told', async () => {
  const { port, registry } = await serve();
  const older = new TestCollector(port);
  await older.join();
  const newer = new TestCollector(port);
  await newer.join();
  expect(await older.next('bye')).toMatchObject({ reason: 'superseded' });
  await older.untilClosed();
  expect(registry.connectedCount).toBe(1);
  newer.send(ping(1));
  await newer.next('pong');
});

test('an older connection whose HELLO comes late neither takes over nor makes frames missing', async () => {
  const { port, store } = await serve();
  const older = new TestCollector(port);
  await expect.poll(() => older.wire.messages.length, DEADLINE).toBe(1);
  const newer = new TestCollector(port);
  await newer.join([epochOf(EPOCH_A, 1, 10)]);
  await older.hello([epochOf(EPOCH_A, 1, 5)]);
  expect(await older.next('bye')).toMatchObject({ reason: 'superseded' });
  newer.send(ping(1));
  await newer.next('pong');
  const [audit] = await store.audit('c1');
  expect(audit?.epochs).toMatchObject([{ pending: [{ from: 1, to: 10 }], missing: [] }]);
});

test('a collector that declares what this store had lost makes an error of it', async () => {
  const { port, logged } = await serve();
  const collector = new TestCollector(port);
  await collector.join([epochOf(EPOCH_A, 1, 3)]);
  const gap = { epochIndex: 0, from: 1, to: 3, reason: 'lost_after_ack' } as const;
  collector.send({ kind: 'gap', gaps: [gap] });
  await collector.next('ack');
  expect(logged.find(({ event }) => event === 'store_lost')).toMatchObject({
    level: 50,
    gaps: [{ from: 1, to: 3 }],
  });
});

test('another process under the same id waits until the first is gone', async () => {
  const { port } = await serve();
  const holder = new TestCollector(port);
  await holder.join();
  const clone = new TestCollector(port);
  await clone.hello([], { instance: randomUUID() });
  expect(await clone.next('bye')).toMatchObject({ reason: 'in_use', retryAfterMs: 2_000 });
  holder.socket.destroy();
  await expect
    .poll(async () => {
      const later = new TestCollector(port);
      await later.hello([], { instance: randomUUID() });
      await expect.poll(() => later.wire.messages.length > 1, DEADLINE).toBe(true);
      return later.wire.messages[1]?.kind;
    }, DEADLINE)
    .toBe('welcome');
});

test('another process takes over from one that has fallen silent', async () => {
  const { port } = await serve();
  const silent = new TestCollector(port);
  await silent.join();
  await expect
    .poll(
      async () => {
        const other = new TestCollector(port);
        await other.hello([], { instance: randomUUID() });
        await expect.poll(() => other.wire.messages.length > 1, DEADLINE).toBe(true);
        return other.wire.messages[1]?.kind;
      },
      { timeout: 10_000, interval: 200 },
    )
    .toBe('welcome');
  expect(await silent.next('bye')).toMatchObject({ reason: 'superseded' });
});

test('what came before a protocol error is acknowledged before the end', async () => {
  const { port } = await serve();
  const collector = new TestCollector(port);
  await collector.join([epochOf(EPOCH_A, 1, 3)]);
  collector.send(frames(1, 2));
  collector.socket.write('garbage that is long enough for a header');
  expect((await collector.next('ack')).settled).toEqual([{ epochIndex: 0, ...stored(1, 2) }]);
  expect(await collector.next('bye')).toMatchObject({
    reason: 'protocol_error',
    text: expect.stringContaining('magic'),
  });
  await collector.untilClosed();
});

test('garbage is closed without a word, and the others notice nothing', async () => {
  const { port, ingest } = await serve();
  const good = new TestCollector(port);
  await good.join([epochOf(EPOCH_A, 1, 3)]);
  const hostile = Array.from({ length: 12 }, () => new TestCollector(port));
  for (const client of hostile) client.socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await Promise.all(hostile.map((client) => client.untilClosed()));
  expect(hostile.every(({ wire }) => wire.messages.every(({ kind }) => kind === 'greeting'))).toBe(
    true,
  );
  good.send(frames(1, 1));
  await good.next('ack');
  await expect.poll(() => connectionCount(ingest), DEADLINE).toBe(1);
});

test('at the cap collectors stay, and one more is told to come again later', async () => {
  const { port, ingest, logged } = await serve({ connectionsMax: 1 });
  const first = new TestCollector(port);
  await first.join();
  const second = new TestCollector(port);
  await second.hello([], { collector: 'c2' });
  expect(await second.next('bye')).toMatchObject({ reason: 'overloaded', retryAfterMs: 10_000 });
  await second.untilClosed();
  expect(logged.find(({ event }) => event === 'collector_turned_away')).toMatchObject({
    collector: 'c2',
  });
  first.send(ping(1));
  await first.next('pong');
  // The same collector's newer connection takes the place of its own older one.
  const newer = new TestCollector(port);
  await newer.join();
  expect(await first.next('bye')).toMatchObject({ reason: 'superseded' });
  newer.socket.destroy();
  await expect.poll(() => connectionCount(ingest), DEADLINE).toBe(0);
  await new TestCollector(port).join([], { collector: 'c2' });
});

test('at the cap of one address collectors stay, and one more is told to come again later', async () => {
  const { port } = await serve({ connectionsPerAddressMax: 1 });
  const first = new TestCollector(port);
  await first.join();
  const second = new TestCollector(port);
  await second.hello([], { collector: 'c2' });
  expect(await second.next('bye')).toMatchObject({ reason: 'overloaded' });
});

test('at the cap silent connections make room, the oldest first', async () => {
  const { port, ingest } = await serve({ connectionsMax: 2 });
  const oldest = new TestCollector(port);
  await oldest.next('greeting');
  const younger = new TestCollector(port);
  await younger.next('greeting');
  const collector = new TestCollector(port);
  await collector.join();
  await oldest.untilClosed();
  expect(younger.socket.destroyed).toBe(false);
  expect(connectionCount(ingest)).toBe(2);
});

test('a backlog larger than the window passes, in order, and is all acknowledged', async () => {
  const { port, store } = await serve({ windowBytes: 20_000 });
  const collector = new TestCollector(port);
  await collector.join([epochOf(EPOCH_A, 1, 300)]);
  const text = 'x'.repeat(1_000);
  for (let seq = 1; seq <= 300; seq += 3) {
    const three = [seq, seq + 1, seq + 2].map((each) => frameOf(EPOCH_A, each, text));
    collector.send({ kind: 'frames', epochIndex: 0, frames: three });
  }
  await expect.poll(() => collector.acked, DEADLINE).toBe(300);
  const [audit] = await store.audit('c1');
  expect(audit?.epochs).toMatchObject([{ stored: 300, pending: [], duplicatesRefused: 0 }]);
});

test('a collector that never reads what it is told is cut off', async () => {
  const { port, logged } = await serve();
  const collector = new TestCollector(port);
  await collector.join([epochOf(EPOCH_A, 1, 3)]);
  collector.socket.pause();
  // Each PING asks for a PONG that nobody reads.
  const pings = Array.from({ length: 2_000 }, (_, id) => ping(id));
  await expect
    .poll(
      () => {
        if (!collector.socket.destroyed && collector.socket.writableLength < 1_000_000) {
          collector.send(...pings);
        }
        return logged.some(({ reason }) => reason === 'overloaded');
      },
      { timeout: 20_000, interval: 5 },
    )
    .toBe(true);
});

test('when the store cannot commit nothing is acknowledged and the collector is told to wait', async () => {
  let failure: StoreError | undefined = new StoreError('full', 'no room');
  const { port } = await serve({ store: failing(await openStore(), () => failure) });
  const collector = new TestCollector(port);
  await collector.join([epochOf(EPOCH_A, 1, 3)]);
  collector.send(frames(1, 3));
  const bye = await collector.next('bye');
  expect(bye).toMatchObject({ reason: 'store_unavailable' });
  expect(bye.retryAfterMs).toBeGreaterThan(0);
  await collector.untilClosed();
  expect(collector.wire.take('ack')).toEqual([]);
  failure = undefined;
  const again = new TestCollector(port);
  expect((await again.join([epochOf(EPOCH_A, 1, 3)])).settled).toEqual([]);
  again.send(frames(1, 3));
  await again.next('ack');
});

test('a large fleet is told to spread its dials', async () => {
  const { port, store } = await serve();
  const announcement = { instance: INSTANCE, at: 1, epochs: [], complete: true };
  await Promise.all(
    Array.from({ length: 999 }, (_, index) =>
      store.announce({ ...announcement, collector: `f${index}`, connection: randomUUID() }),
    ),
  );
  const welcome = await new TestCollector(port).join();
  expect(welcome).toMatchObject({ retrySpreadMs: 2_000, retryCapMs: 4_000 });
});

test('a fleet is asked to come back one after the other, whoever else is connected', async () => {
  const { port, ingest } = await serve();
  for (let i = 0; i < 10; i += 1) silentConnection(port);
  await expect.poll(() => connectionCount(ingest), DEADLINE).toBe(10);
  const collectors = Array.from({ length: 60 }, () => new TestCollector(port));
  await Promise.all(
    collectors.map((collector, index) => collector.join([], { collector: `f${index}` })),
  );
  const closing = ingest.close();
  const byes = await Promise.all(collectors.map((collector) => collector.next('bye')));
  await closing;
  const asked = byes.map(({ retryAfterMs }) => retryAfterMs).sort((a, b) => a - b);
  expect(asked).toEqual(Array.from({ length: 60 }, (_, place) => shutdownRetryMs(place, 60)));
});

test('stopping lets what is under way be acknowledged, says BYE, and takes nobody more', async () => {
  const { port, ingest } = await serve();
  const collector = new TestCollector(port);
  await collector.join([epochOf(EPOCH_A, 1, 3)]);
  const unproven = new TestCollector(port);
  await unproven.next('greeting');
  collector.send(frames(1, 3));
  await expect.poll(() => collector.socket.writableLength, DEADLINE).toBe(0);
  await collector.next('ack');
  const closing = ingest.close();
  expect(await collector.next('bye')).toMatchObject({ reason: 'shutdown', retryAfterMs: 0 });
  await closing;
  await unproven.untilClosed();
  const late = new TestCollector(port);
  await late.untilClosed();
  expect(late.wire.messages).toEqual([]);
});

test('a huge backlog delays a frame of another collector by two commits at most', async () => {
  // Counted from when the store is handed the frame until it has answered.
  let committed = 0;
  const waits: number[] = [];
  const store = await openStore({
    onCommit: () => {
      committed += 1;
    },
  });
  const counting = committing(store, async (batch) => {
    const before = committed;
    const outcome = await store.commit(batch);
    if (batch.collector === 'live') waits.push(committed - before);
    return outcome;
  });
  const { port } = await serve({ store: counting, windowBytes: 33_554_432 });
  const backlog = new TestCollector(port);
  const live = new TestCollector(port);
  await backlog.join([epochOf(EPOCH_A, 1, 20_000)], { collector: 'backlog' });
  await live.join([epochOf(EPOCH_B, 1, 1)], { collector: 'live' });
  const text = 'x'.repeat(2_000);
  for (let seq = 1; seq <= 20_000; seq += 100) {
    const hundred = Array.from({ length: 100 }, (_, i) => frameOf(EPOCH_A, seq + i, text));
    backlog.send({ kind: 'frames', epochIndex: 0, frames: hundred });
  }
  await expect.poll(() => backlog.acked, DEADLINE).toBeGreaterThan(0);
  let seq = 0;
  while (backlog.acked < 18_000) {
    seq += 1;
    live.send({ kind: 'frames', epochIndex: 0, frames: [frameOf(EPOCH_B, seq, 'tick')] });
    await expect.poll(() => live.acked, { ...DEADLINE, interval: 1 }).toBe(seq);
  }
  expect(waits.length).toBeGreaterThan(2);
  expect(Math.max(...waits)).toBeLessThanOrEqual(2);
  await expect.poll(() => backlog.acked, DEADLINE).toBe(20_000);
});

test('five thousand silent connections are bounded and keep no collector out', async () => {
  const { port, ingest } = await serve({ connectionsMax: 200 });
  const good = new TestCollector(port);
  await good.join([epochOf(EPOCH_A, 1, 50)]);
  const silent: Socket[] = [];
  for (let seq = 1; seq <= 50; seq += 1) {
    for (let i = 0; i < 100; i += 1) silent.push(silentConnection(port));
    good.send(frames(seq, seq));
    await expect.poll(() => good.acked, DEADLINE).toBe(seq);
    expect(connectionCount(ingest)).toBeLessThanOrEqual(200 + 64 + 64);
    if (seq % 10 === 0) await new TestCollector(port).join([], { collector: `late-${seq}` });
  }
  await expect
    .poll(() => silent.filter(({ closed }) => closed).length, DEADLINE)
    .toBeGreaterThan(4_799);
  expect(connectionCount(ingest)).toBeLessThanOrEqual(200);
  for (const socket of silent) socket.destroy();
});

test('what all connections hold is bounded whatever comes, and all of it gets through', async () => {
  const bytesMax = 8_388_608;
  const store = await openStore();
  const opened = Promise.withResolvers<void>();
  const slow = committing(store, async (batch) => {
    await opened.promise;
    return store.commit(batch);
  });
  const { port, ingest } = await serve({ store: slow, bytesMax });
  const collectors = Array.from({ length: 12 }, () => new TestCollector(port));
  // Frames as large as may be: a part of each has come when there is no more room.
  const payload = 'x'.repeat(1_000_000);
  for (const [i, collector] of collectors.entries()) {
    await collector.join([epochOf(EPOCH_A, 1, 3)], { collector: `c${i}` });
    for (let seq = 1; seq <= 3; seq += 1) {
      collector.send({ kind: 'frames', epochIndex: 0, frames: [frameOf(EPOCH_A, seq, payload)] });
    }
  }
  await expect.poll(() => ingest.bytesHeld, DEADLINE).toBeGreaterThan(bytesMax);
  // One that has little to say is heard all the same.
  const live = new TestCollector(port);
  await live.join([epochOf(EPOCH_B, 1, 1)], { collector: 'live' });
  live.send(ping(1));
  await live.next('pong');
  let most = 0;
  const acked = () => {
    most = Math.max(most, ingest.bytesHeld);
    return collectors.reduce((sum, collector) => sum + collector.acked, 0);
  };
  opened.resolve();
  await expect.poll(acked, DEADLINE).toBe(36);
  // The budget, the reserves, what a socket gives at a time, and one window with its message.
  expect(most).toBeLessThan(2 * bytesMax + 12 * 65_536 + 4_194_304 + 1_114_112);
  expect(ingest.bytesHeld).toBe(0);
});
