/**
 * A disk that fails under the public producer, and the way back: what was not durable is rejected,
 * everything durable goes on. The queue's files are modelled, the server is real.
 */
import { afterEach, expect, test, vi } from 'vitest';
import {
  Producer,
  type ProducerEvent,
  type ProducerOptions,
} from '#collector/producer/producer.ts';
import { DEADLINE, type Serving, serve, stopServing } from '../server/serving.ts';
import { TOKEN } from '../server/wire-client.ts';
import { ModelledQueue } from './modelled-queue.ts';
import { Relay } from './relay.ts';

let producer: Producer;
let relay: Relay | undefined;

afterEach(async () => {
  await producer.close();
  relay?.close();
  await stopServing();
});

function start(queue: ModelledQueue, options: Partial<ProducerOptions> = {}): ProducerEvent[] {
  const given = { server: '127.0.0.1:1', token: TOKEN, queuePath: 'modelled', ...options };
  producer = new Producer(given, queue.surroundings);
  const events: ProducerEvent[] = [];
  producer.on('event', (event) => events.push(event));
  return events;
}

/** The names of events, those of the link apart. */
function named(events: readonly ProducerEvent[]): string[] {
  return events.map(({ type }) => type).filter((type) => type !== 'state' && type !== 'stored');
}

async function stored({ store }: Serving): Promise<string[]> {
  const rows = (await Array.fromAsync(store.export({}))).flat();
  return rows.map(({ payload }) => Buffer.from(payload).toString());
}

test('what waits is rejected with the failure, what comes too, and `reopen` goes on with all that is durable', async () => {
  relay = new Relay();
  const queue = new ModelledQueue();
  const events = start(queue, { server: await relay.listen(), unsyncedBytesMax: 100 });
  const durable = [await producer.send('durable 1'), await producer.send('durable 2')];
  const askedBefore = durable[0]?.settled;
  const mend = queue.breakSyncs();
  const failure = { code: 'queue_failed', name: 'QueueFailedError' };
  const sent = await Promise.allSettled(
    ['on its way', 'waiting'].map((text) => producer.send(text)),
  );
  expect(sent).toMatchObject([
    { status: 'rejected', reason: failure },
    { status: 'rejected', reason: failure },
  ]);
  for (const call of [
    () => producer.send('refused'),
    () => producer.declareLost(1),
    () => producer.opened(),
  ]) {
    await expect(call()).rejects.toMatchObject(failure);
  }
  expect(producer.status()).toMatchObject({ lifecycle: 'failed', failure });
  expect(named(events)).toEqual(['opened', 'failed']);
  const askedMeanwhile = durable[1]?.settled;

  mend();
  const [one, other] = [producer.reopen(), producer.reopen()];
  const early = producer.send('sent while it is reopened');
  expect(producer.status().lifecycle).toBe('opening');
  expect((await one).recovery.frames).toBeGreaterThanOrEqual(2);
  expect(await other).toBe(await one);
  expect(queue.openings).toBe(2);
  const again = await early;
  expect(again.seq).toBe(1);
  expect(again.epoch).not.toBe(durable[0]?.epoch);
  expect(await producer.reopen()).toBe(await one);
  expect(named(events)).toEqual(['opened', 'failed', 'reopened']);

  const serving = await serve();
  relay.upstreamPort = serving.port;
  expect(await producer.flush()).toEqual({ settled: true, pending: 0 });
  for (const settled of [askedBefore, askedMeanwhile, again.settled]) {
    expect(await settled).toEqual({ state: 'stored' });
  }
  const texts = (await stored(serving)).filter((text) => text !== 'on its way');
  expect(texts).toEqual(['durable 1', 'durable 2', 'sent while it is reopened']);
  expect(producer.status().counters).toMatchObject({ accepted: 3 });
});

test('what is durable is delivered although the disk takes nothing more', async () => {
  relay = new Relay();
  const queue = new ModelledQueue();
  start(queue, { server: await relay.listen() });
  const { settled } = await producer.send('durable');
  queue.breakSyncs();
  await expect(producer.send('lost')).rejects.toMatchObject({ code: 'queue_failed' });
  const serving = await serve();
  relay.upstreamPort = serving.port;
  expect(await settled).toEqual({ state: 'stored' });
  expect(await producer.flush()).toEqual({ settled: true, pending: 0 });
});

test('the server takes what is opened anew for the same producer, at once', async () => {
  const queue = new ModelledQueue();
  const serving = await serve();
  const events = start(queue, { server: `127.0.0.1:${serving.port}` });
  expect(await (await producer.send('before')).settled).toEqual({ state: 'stored' });
  const mend = queue.breakSyncs();
  await expect(producer.send('lost')).rejects.toMatchObject({ code: 'queue_failed' });
  mend();
  await producer.reopen();
  expect(await (await producer.send('after')).settled).toEqual({ state: 'stored' });
  const errors = events.flatMap((event) =>
    event.type === 'state' && event.to.name === 'Backoff' ? [event.to.error.code] : [],
  );
  expect(errors).toEqual([]);
  const { accepted, acked } = producer.status().counters;
  expect([accepted, acked]).toEqual([2, expect.toBeOneOf([2, 3])]);
});

test('a flush goes on over `reopen`', async () => {
  relay = new Relay();
  const queue = new ModelledQueue();
  start(queue, { server: await relay.listen() });
  await producer.send('durable');
  const flushed = producer.flush();
  const mend = queue.breakSyncs();
  await expect(producer.send('lost')).rejects.toMatchObject({ code: 'queue_failed' });
  mend();
  await producer.reopen();
  const serving = await serve();
  relay.upstreamPort = serving.port;
  expect(await flushed).toEqual({ settled: true, pending: 0 });
});

test('an opening that fails again says so each time, and sends that wait for it are rejected', async () => {
  const queue = new ModelledQueue();
  queue.inUse = true;
  const events = start(queue);
  const code = 'queue_in_use';
  await expect(producer.send('waits for the opening')).rejects.toMatchObject({ code });
  const again = producer.reopen();
  const waiting = producer.send('waits for the next');
  await expect(again).rejects.toMatchObject({ code });
  await expect(waiting).rejects.toMatchObject({ code });
  queue.inUse = false;
  await producer.reopen();
  expect((await producer.send('')).seq).toBe(1);
  expect(named(events)).toEqual(['open_failed', 'open_failed', 'reopened']);
});

test('a dead letter that can not be kept is a failed disk, and the frame goes on after `reopen`', async () => {
  const queue = new ModelledQueue();
  const serving = await serve({ payloadBytesMax: 10 });
  let broken = true;
  const options = { server: `127.0.0.1:${serving.port}`, token: TOKEN, queuePath: 'modelled' };
  producer = new Producer(options, {
    ...queue.surroundings,
    keepDeadLetter: async () => {
      if (broken) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    },
  });
  // By its type, too: it has a code.
  const failed = new Promise<string>((resolve) => {
    producer.on('failed', ({ error }) => resolve(error.code));
  });
  const { settled } = await producer.send('more than ten bytes');
  expect(await failed).toBe('queue_failed');
  expect(producer.status().failure).toMatchObject({ operation: 'keep a dead letter' });
  await expect(producer.send('')).rejects.toMatchObject({ code: 'queue_failed' });
  broken = false;
  void settled;
  await producer.reopen();
  expect(await settled).toMatchObject({ state: 'rejected', code: 'too_large' });
});

test('a failure on top of a failure is not told again', async () => {
  relay = new Relay();
  const queue = new ModelledQueue();
  let letters = 0;
  const options = { server: await relay.listen(), token: TOKEN, queuePath: 'modelled' };
  producer = new Producer(options, {
    ...queue.surroundings,
    keepDeadLetter: async () => {
      letters += 1;
      throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    },
  });
  const events: ProducerEvent[] = [];
  producer.on('event', (event) => events.push(event));
  await producer.send('durable, and more than ten bytes');
  queue.breakSyncs();
  await expect(producer.send('lost')).rejects.toMatchObject({ code: 'queue_failed' });
  const { failure } = producer.status();
  // What is durable is still sent; now keeping the refused frame fails, too.
  relay.upstreamPort = (await serve({ payloadBytesMax: 10 })).port;
  await vi.waitFor(() => expect(producer.status().state).toBe('Stopped'), DEADLINE);
  expect(letters).toBe(1);
  expect(named(events)).toEqual(['opened', 'failed']);
  expect(producer.status().failure).toBe(failure);
});

test('the server takes what is opened anew for the same producer, though it has not heard of the end', async () => {
  relay = new Relay();
  const serving = await serve();
  relay.upstreamPort = serving.port;
  const queue = new ModelledQueue();
  const events = start(queue, { server: await relay.listen() });
  expect(await (await producer.send('before')).settled).toEqual({ state: 'stored' });
  relay.strand();
  const mend = queue.breakSyncs();
  await expect(producer.send('lost')).rejects.toMatchObject({ code: 'queue_failed' });
  mend();
  await producer.reopen();
  expect(await (await producer.send('after')).settled).toEqual({ state: 'stored' });
  const errors = events.flatMap((event) =>
    event.type === 'state' && event.to.name === 'Backoff' ? [event.to.error.code] : [],
  );
  expect(errors).toEqual([]);
});

test('what else fails of a queue that is being given up is no failure of the one that is opened', async () => {
  const queue = new ModelledQueue();
  const serving = await serve({ payloadBytesMax: 10 });
  let broken = true;
  const options = { server: `127.0.0.1:${serving.port}`, token: TOKEN, queuePath: 'modelled' };
  producer = new Producer(options, {
    ...queue.surroundings,
    keepDeadLetter: async () => {
      if (broken) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    },
  });
  const events: string[] = [];
  producer.on('event', ({ type }) => events.push(type));
  const failed = new Promise((resolve) => producer.on('failed', resolve));
  await producer.send('more than ten bytes');
  await failed;
  broken = false;
  const mend = queue.breakSyncs();
  const { before } = queue.files;
  queue.files.before = (call, files) => {
    // The first of them: what the closing would have written down.
    if (call.operation === 'sync') mend();
    before(call, files);
  };
  await producer.reopen();
  expect(producer.status()).toMatchObject({ lifecycle: 'open', failure: undefined });
  await producer.send('taken');
  expect(events.filter((type) => type === 'failed')).toHaveLength(1);
});

test('a producer that has failed can be closed; durable frames stay for the next', async () => {
  const queue = new ModelledQueue();
  start(queue);
  const { settled } = await producer.send('durable');
  void settled;
  const mend = queue.breakSyncs();
  await expect(producer.send('lost')).rejects.toMatchObject({ code: 'queue_failed' });
  await producer.close();
  await expect(producer.reopen()).rejects.toMatchObject({ code: 'closed' });
  await expect(settled).rejects.toMatchObject({ code: 'not_settled' });
  mend();
  start(queue);
  expect((await producer.opened()).recovery.frames).toBeGreaterThanOrEqual(1);
});

test('one that is closed while it opens takes what was sent, and gives the queue free', async () => {
  const queue = new ModelledQueue();
  queue.held = true;
  start(queue);
  const sent = producer.send('early');
  const closed = producer.close();
  queue.release();
  expect((await sent).seq).toBe(1);
  expect(await closed).toEqual({ settled: false, pending: 1 });
  expect(producer.status().lifecycle).toBe('closed');
});

test('a frame that is damaged on the disk before it was sent is settled as declared', async () => {
  const queue = new ModelledQueue();
  start(queue);
  const receipt = await producer.send('x'.repeat(100));
  const { settled } = receipt;
  const mend = queue.breakSyncs();
  await expect(producer.send('')).rejects.toMatchObject({ code: 'queue_failed' });
  mend();
  for (const name of queue.files.names('segment-')) {
    queue.files.edit(name, (content) => {
      const at = content.indexOf('xxxx');
      if (at >= 0) content[at + 50] = 0;
      return content;
    });
  }
  const { recovery } = await producer.reopen();
  expect(recovery.gaps).toMatchObject([{ epoch: receipt.epoch, from: 1, reason: 'damaged' }]);
  expect(await settled).toEqual({ state: 'declared', reason: 'damaged' });
});
