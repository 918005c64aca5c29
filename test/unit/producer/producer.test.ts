/**
 * The public producer, against a real server on a real socket: what its promises mean, and how it
 * behaves before it is open, at its limits and at its end. What a failed disk does to it is in
 * `reopen.test.ts`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  OptionsError,
  Producer,
  type ProducerEvent,
  type ProducerOptions,
} from '#collector/producer/producer.ts';
import type { Surroundings } from '#collector/producer/surroundings.ts';
import { issue, makeAuthority, validFor } from '#lab/certificates.ts';
import { type Serving, serve, stopServing } from '../server/serving.ts';
import { TOKEN } from '../server/wire-client.ts';
import { ModelledQueue } from './modelled-queue.ts';
import { Relay } from './relay.ts';

const DEADLINE = { timeout: 15_000, interval: 10 };
/** Nothing listens there. */
const NOBODY = '127.0.0.1:1';

let folder: string;
const producers: Producer[] = [];
const relays: Relay[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-producer-'));
});

afterEach(async () => {
  for (const producer of producers.splice(0)) await producer.close();
  for (const relay of relays.splice(0)) relay.close();
  await stopServing();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

function make(options: Partial<ProducerOptions> = {}, surroundings?: Surroundings): Producer {
  const producer = new Producer(
    { server: NOBODY, token: TOKEN, queuePath: join(folder, 'queue'), ...options },
    surroundings,
  );
  producers.push(producer);
  return producer;
}

function serverOf({ port }: Serving): string {
  return `127.0.0.1:${port}`;
}

async function relayed(): Promise<{ relay: Relay; server: string }> {
  const relay = new Relay();
  relays.push(relay);
  return { relay, server: await relay.listen() };
}

function eventsOf(producer: Producer): ProducerEvent[] {
  const events: ProducerEvent[] = [];
  producer.on('event', (event) => events.push(event));
  return events;
}

async function rows({ store }: Serving) {
  return (await Array.fromAsync(store.export({}))).flat();
}

describe('options', () => {
  test('that are wrong are named all at once, without the token, and nothing is opened', () => {
    const wrong = {
      server: 'nowhere',
      token: 'a secret word',
      tls: { ca: 'a CA', cert: 'without its key' },
      queuePath: '',
      collectorId: 'No Such Name',
      queueLimitBytes: 1,
      queueWhenFull: 'explode',
      flushIntervalMs: Number.NaN,
      queuLimitBytes: 5,
    };
    let thrown: unknown;
    try {
      new Producer(wrong as unknown as ProducerOptions);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(OptionsError);
    const { code, problems, message } = thrown as OptionsError;
    expect(code).toBe('options_invalid');
    expect(problems.map(({ option }) => option)).toEqual(Object.keys(wrong));
    for (const option of Object.keys(wrong)) expect(message).toContain(option);
    expect(message).not.toContain('secret');
  });

  test('may be text or their parts, and name nothing that is missing twice', () => {
    const server = { host: '::1', port: 9_004 };
    expect(() => new Producer({} as ProducerOptions)).toThrow(/server.*\n.*token.*\n.*queuePath/);
    expect(() => make({ server, token: '0123456789abcdef' })).not.toThrow();
    expect(() => make({ tls: { ca: 'a CA' }, queuePath: join(folder, 'other') })).not.toThrow();
  });
});

describe('over TLS', () => {
  test('a link that breaks again and again drains whole, each frame once', async () => {
    const ca = makeAuthority('a CA', validFor(1));
    const server = issue(ca, 'server', ['server'], validFor(1));
    const client = issue(ca, 'client', ['client'], validFor(1));
    const serving = await serve({ tls: { ...server, clientCa: ca.cert } });
    const { relay, server: address } = await relayed();
    const producer = make({
      server: address,
      collectorId: 'c1',
      tls: () => ({ ca: ca.cert, servername: 'server', ...client }),
    });
    for (let round = 0; round < 5; round += 1) {
      relay.upstreamPort = serving.port;
      const receipts = await Promise.all(
        Array.from({ length: 100 }, () => producer.send('x'.repeat(1_000))),
      );
      await receipts[round * 20]?.settled;
      relay.cut();
    }
    relay.upstreamPort = serving.port;
    await producer.flush();
    const stored = await rows(serving);
    expect(stored.map(({ seq }) => seq)).toEqual(Array.from({ length: 500 }, (_, n) => n + 1));
    const [audit] = await serving.store.audit('c1');
    expect(audit?.epochs).toMatchObject([{ stored: 500, pending: [], missing: [], declared: [] }]);
  });

  test('a name that is not the server’s keeps frames back, and says what is wrong', async () => {
    const ca = makeAuthority('a CA', validFor(1));
    const server = issue(ca, 'server', ['server'], validFor(1));
    const serving = await serve({ tls: { ...server, clientCa: undefined } });
    const producer = make({ server: serverOf(serving), tls: { ca: ca.cert } });
    await producer.send('x');
    await expect
      .poll(() => producer.status().lastError, DEADLINE)
      .toMatchObject({
        code: 'tls_name',
        retry: 'permanent',
        message: expect.stringContaining('127.0.0.1'),
      });
    expect(await rows(serving)).toEqual([]);
  });
});

describe('send', () => {
  test('answers the identity once the frame is durable, and `settled` once it is stored', async () => {
    const serving = await serve();
    const producer = make({ server: serverOf(serving), collectorId: 'c1' });
    const receipts = [
      await producer.send('grüße', { capturedAt: 1_234_567 }),
      await producer.send(Buffer.from([0, 255])),
    ];
    expect(receipts.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(JSON.parse(JSON.stringify(receipts[0]))).toEqual({ epoch: receipts[0]?.epoch, seq: 1 });
    for (const { settled } of receipts) expect(await settled).toEqual({ state: 'stored' });
    const stored = await rows(serving);
    expect(stored.map(({ epoch, seq }) => [epoch, seq])).toEqual(
      receipts.map(({ epoch, seq }) => [epoch, seq]),
    );
    expect(stored[0]?.capturedAt).toBe(1_234_567);
    expect(Buffer.from(stored[0]?.payload ?? []).toString()).toBe('grüße');
  });

  test('takes frames before the queue is open, in the order of the calls', async () => {
    const queue = new ModelledQueue();
    queue.held = true;
    const producer = make({}, queue.surroundings);
    const order: number[][] = [];
    const send = async (n: number): Promise<void> => {
      const { seq } = await producer.send(`frame ${n}`);
      order.push([n, seq]);
    };
    const sent = [1, 2, 3].map(send);
    expect(producer.status()).toMatchObject({ lifecycle: 'opening', unsynced: { waiting: 3 } });
    queue.release();
    await producer.opened();
    await Promise.all([...sent, send(4)]);
    expect(order).toEqual([1, 2, 3, 4].map((n) => [n, n]));
    expect(producer.status()).toMatchObject({
      lifecycle: 'open',
      unsynced: { frames: 0, bytes: 0, waiting: 0 },
      counters: { accepted: 4 },
    });
  });

  test('refuses what can not be a frame, each with its code', async () => {
    const producer = make();
    const wrong = 5 as unknown as string;
    await expect(producer.send(wrong)).rejects.toMatchObject({ code: 'argument_invalid' });
    for (const capturedAt of [-1, 0.5, Number.NaN]) {
      await expect(producer.send('', { capturedAt })).rejects.toMatchObject({
        name: 'ArgumentError',
        code: 'argument_invalid',
      });
    }
    await expect(producer.send(Buffer.alloc(1_048_577))).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    await expect(producer.declareLost(0)).rejects.toMatchObject({ code: 'argument_invalid' });
    expect((await producer.send('')).seq).toBe(1);
  });

  test('and other calls refuse options that can not be meant, and nothing is done', async () => {
    const producer = make();
    const wrong = { captured_at: 1 } as object;
    const noSignal = { signal: new AbortController() as unknown as AbortSignal };
    for (const call of [
      () => producer.send('', wrong),
      () => producer.send('', noSignal),
      () => producer.send('', { capturedAt: Date.now() }),
      () => producer.send('', Date.now() as unknown as object),
      ...[wrong, noSignal].flatMap((options) => [
        () => producer.opened(options),
        () => producer.flush(options),
        () => producer.reopen(options),
        () => producer.close(options),
      ]),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'argument_invalid' });
    }
    await expect(producer.send('', { capturedAt: Date.now() })).rejects.toThrow(
      'Date.now() * 1000',
    );
    expect((await producer.send('', { capturedAt: Date.now() * 1_000 })).seq).toBe(1);
  });

  test('never fails for the link, whatever became of it before', async () => {
    const { relay, server } = await relayed();
    const producer = make({ server });
    const receipts = [await producer.send('without a server')];
    await expect.poll(() => producer.status().lastError?.code, DEADLINE).toBeDefined();
    receipts.push(await producer.send('after an error'));
    const serving = await serve();
    relay.upstreamPort = serving.port;
    for (const { settled } of receipts) expect(await settled).toEqual({ state: 'stored' });
  });

  test('waits for its turn beyond `unsyncedBytesMax`, in order', async () => {
    const queue = new ModelledQueue();
    const producer = make({ unsyncedBytesMax: 1_000 }, queue.surroundings);
    await producer.opened();
    queue.held = true;
    const sent = Array.from({ length: 20 }, () => producer.send(Buffer.alloc(136)));
    expect(producer.status().unsynced).toEqual({
      frames: 5,
      bytes: 1_000,
      limitBytes: 1_000,
      waiting: 15,
    });
    queue.release();
    const seqs = (await Promise.all(sent)).map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(producer.status().unsynced).toMatchObject({ frames: 0, bytes: 0, waiting: 0 });
  });

  test('lets a frame pass alone that is larger than the whole bound', async () => {
    const producer = make({ unsyncedBytesMax: 10 });
    const sent = [producer.send(Buffer.alloc(100)), producer.send(Buffer.alloc(100))];
    expect((await Promise.all(sent)).map(({ seq }) => seq)).toEqual([1, 2]);
  });
});

describe('an aborted wait', () => {
  test('before its turn makes no frame, and after it says that the frame may be stored', async () => {
    const queue = new ModelledQueue();
    const producer = make({ unsyncedBytesMax: 100 }, queue.surroundings);
    await producer.opened();
    queue.held = true;
    const [early, first, second] = [1, 2, 3].map(() => new AbortController());
    early?.abort(new Error('too late'));
    const refused = producer.send('never', { signal: early?.signal });
    await expect(refused).rejects.toMatchObject({
      name: 'AbortError',
      code: 'aborted',
      mayBeStored: false,
      cause: new Error('too late'),
    });
    const handedOver = producer.send(Buffer.alloc(90), { signal: first?.signal });
    const waiting = producer.send(Buffer.alloc(80), { signal: second?.signal });
    const behind = producer.send('behind');
    second?.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted', mayBeStored: false });
    first?.abort();
    await expect(handedOver).rejects.toMatchObject({ code: 'aborted', mayBeStored: true });
    queue.release();
    expect((await behind).seq).toBe(2);
    expect(producer.status().counters.accepted).toBe(2);
  });

  test('leaves no listener at a signal that outlives it', async () => {
    const producer = make();
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    await producer.opened({ signal });
    for (let n = 0; n < 5; n += 1) await producer.send('', { signal });
    await producer.flush({ deadlineMs: 0, signal });
    await expect.poll(() => removed.mock.calls.length, DEADLINE).toBe(added.mock.calls.length);
    expect(added.mock.calls.length).toBeGreaterThan(6);
  });

  test('for the opening or a flush changes nothing else', async () => {
    const queue = new ModelledQueue();
    queue.held = true;
    const producer = make({}, queue.surroundings);
    const opening = new AbortController();
    const opened = producer.opened({ signal: opening.signal });
    opening.abort();
    await expect(opened).rejects.toMatchObject({ code: 'aborted' });
    queue.release();
    await producer.send('stays');
    const flushing = new AbortController();
    const flushed = producer.flush({ signal: flushing.signal });
    flushing.abort();
    await expect(flushed).rejects.toMatchObject({ code: 'aborted' });
    expect(await producer.flush({ deadlineMs: 0 })).toEqual({ settled: false, pending: 1 });
  });
});

describe('settled', () => {
  test('is right over reconnects, asked before and after', async () => {
    const { relay, server } = await relayed();
    const serving = await serve();
    relay.upstreamPort = serving.port;
    const producer = make({ server });
    const first = await producer.send('first');
    expect(await first.settled).toEqual({ state: 'stored' });
    relay.cut();
    await expect.poll(() => producer.status().state, DEADLINE).not.toBe('Ready');
    const second = await producer.send('second');
    const third = await producer.send('third');
    const asked = second.settled;
    relay.upstreamPort = serving.port;
    expect(await asked).toEqual({ state: 'stored' });
    await producer.flush();
    expect(await third.settled).toEqual({ state: 'stored' });
    expect(third.settled).toBe(third.settled);
  });

  test('is `declared` with the reason of a frame that the queue gives up, asked before or after', async () => {
    const producer = make({ queueLimitBytes: 65_536 });
    const [first, second] = [await producer.send('the oldest'), await producer.send('the next')];
    const asked = first?.settled;
    const fill = async (): Promise<boolean> => {
      await producer.send(Buffer.alloc(4_096));
      return producer.status().counters.declared >= 2;
    };
    await expect.poll(fill, { ...DEADLINE, interval: 0 }).toBe(true);
    const declared = { state: 'declared', reason: 'evicted' };
    expect(await asked).toEqual(declared);
    expect(await second?.settled).toEqual(declared);
  });

  test('is `rejected` with the code and the words of the server, asked before or after', async () => {
    const serving = await serve({ payloadBytesMax: 100 });
    const producer = make({ server: serverOf(serving) });
    const refused = await producer.send(Buffer.alloc(101));
    const refusedToo = await producer.send(Buffer.alloc(102));
    const taken = await producer.send('small');
    expect(await refused.settled).toMatchObject({
      state: 'rejected',
      code: 'too_large',
      text: expect.stringMatching(/./),
    });
    expect(await taken.settled).toEqual({ state: 'stored' });
    await producer.flush();
    expect(await refusedToo.settled).toEqual({ state: 'rejected', code: 'too_large' });
  });

  test('rejects at the end where nobody knows yet, and disturbs nobody who did not look', async () => {
    const producer = make();
    const [asked, looked, late] = await Promise.all(
      ['a', 'b', 'c'].map((text) => producer.send(text)),
    );
    const settled = asked?.settled;
    void looked?.settled;
    expect(await producer.close()).toEqual({ settled: false, pending: 3 });
    const { epoch } = asked ?? {};
    await expect(settled).rejects.toMatchObject({ code: 'not_settled', epoch, seq: 1 });
    await expect(late?.settled).rejects.toMatchObject({ code: 'not_settled', epoch, seq: 3 });
    const next = make();
    expect((await next.opened()).recovery.frames).toBe(3);
  });
});

describe('flush', () => {
  test('waits for a frame on its way to the disk, though one behind it was refused at once', async () => {
    const queue = new ModelledQueue();
    const producer = make({}, queue.surroundings);
    await producer.opened();
    queue.held = true;
    const sent = producer.send('under way');
    const refused = producer.send(Buffer.alloc(1_048_577));
    const flushed = producer.flush({ deadlineMs: 300 });
    await expect(refused).rejects.toMatchObject({ code: 'payload_too_large' });
    queue.release();
    await sent;
    // It can't be settled: there is no server.
    expect(await flushed).toEqual({ settled: false, pending: 1 });
  });

  test('answers once what was sent before it is settled, whatever is sent meanwhile', async () => {
    const { relay, server } = await relayed();
    const serving = await serve();
    const producer = make({ server });
    let over = false;
    for (let n = 0; n < 100; n += 1) void producer.send('before');
    const flushed = producer.flush().finally(() => {
      over = true;
    });
    relay.upstreamPort = serving.port;
    while (!over) await producer.send('meanwhile');
    expect(await flushed).toEqual({ settled: true, pending: 0 });
    const stored = (await rows(serving)).map(({ payload }) => Buffer.from(payload).toString());
    expect(stored.filter((text) => text === 'before')).toHaveLength(100);
  });

  test('lets no frame wait for company, and says what is pending at its deadline', async () => {
    const serving = await serve();
    const producer = make({ server: serverOf(serving), flushIntervalMs: 60_000 });
    // The first message of a connection waits for nobody.
    await (await producer.send(Buffer.alloc(1_000))).settled;
    await producer.send('alone');
    expect(await producer.flush({ deadlineMs: 0 })).toEqual({ settled: false, pending: 1 });
    expect(await producer.flush()).toEqual({ settled: true, pending: 0 });
    await expect(producer.flush({ deadlineMs: -1 })).rejects.toMatchObject({
      code: 'argument_invalid',
    });
  });
});

describe('close', () => {
  test('makes durable what was sent before, and takes nothing more', async () => {
    const producer = make({ unsyncedBytesMax: 1 });
    const events = eventsOf(producer);
    const sent = Array.from({ length: 20 }, (_, n) => producer.send(`frame ${n}`));
    const closed = producer.close();
    expect(producer.status().lifecycle).toBe('closing');
    const after = { code: 'closed', name: 'ClosedError' };
    await expect(producer.send('too late')).rejects.toMatchObject(after);
    expect(await closed).toEqual({ settled: false, pending: 20 });
    expect((await Promise.all(sent)).map(({ seq }) => seq)).toEqual(sent.map((_, i) => i + 1));
    for (const call of [
      () => producer.send(''),
      () => producer.flush(),
      () => producer.opened(),
      () => producer.reopen(),
      () => producer.declareLost(1),
    ]) {
      await expect(call()).rejects.toMatchObject(after);
    }
    expect(await producer.close()).toEqual(await closed);
    expect(producer.status()).toMatchObject({ lifecycle: 'closed', state: 'Stopped' });
    expect(events.at(-1)).toEqual({ type: 'closed' });
  });

  test('waits for delivery as far as its deadline or its signal allows', async () => {
    const serving = await serve();
    const producer = make({ server: serverOf(serving) });
    await Promise.all(Array.from({ length: 500 }, (_, n) => producer.send(`frame ${n}`)));
    expect(await producer.close({ deadlineMs: 15_000 })).toEqual({ settled: true, pending: 0 });
    expect(await rows(serving)).toHaveLength(500);

    const { relay, server } = await relayed();
    relay.upstreamPort = serving.port;
    const cut = make({ queuePath: join(folder, 'cut'), server });
    await expect.poll(() => cut.status().state, DEADLINE).toBe('Ready');
    relay.strand();
    await cut.send('never delivered');
    expect(await cut.close({ deadlineMs: 1e9, signal: AbortSignal.abort() })).toEqual({
      settled: false,
      pending: 1,
    });
  });

  test('does not wait for a link that somebody has to mend', async () => {
    const producer = make({
      server: serverOf(await serve()),
      token: 'not the token of the server',
    });
    await producer.send('waits');
    // Its first attempt may still be under way.
    expect(await producer.close({ deadlineMs: 600_000 })).toEqual({ settled: false, pending: 1 });
    expect(producer.status().lastError).toMatchObject({ code: 'bye_unauthorized' });
  });

  test('ends a flush that is under way as closed', async () => {
    const producer = make();
    await producer.send('');
    const flushed = producer.flush();
    const expected = expect(flushed).rejects.toMatchObject({ code: 'closed' });
    await producer.close();
    await expected;
  });
});

describe('events', () => {
  test('tell each change, by name and all together', async () => {
    const serving = await serve();
    const producer = make({ server: serverOf(serving), collectorId: 'c1' });
    const events = eventsOf(producer);
    const stored = vi.fn();
    producer.on('stored', stored);
    const { epoch } = await producer.send('');
    await producer.flush();
    expect(stored).toHaveBeenCalledWith({ type: 'stored', epoch, from: 1, to: 1 });
    expect(events[0]).toMatchObject({ type: 'opened', collector: 'c1', recovery: { frames: 0 } });
    const states = events.flatMap((event) => (event.type === 'state' ? [event.to.name] : []));
    expect(states.at(-1)).toBe('Ready');
  });

  test('of a listener that throws reach the others, and the pipeline goes on', async () => {
    const serving = await serve();
    const producer = make({ server: serverOf(serving) });
    const mistake = new Error('a mistake of the user');
    const failed = vi.fn();
    const other = vi.fn();
    producer.on('state', () => {
      throw mistake;
    });
    producer.on('state', other);
    producer.on('listener_failed', failed);
    const { settled } = await producer.send('');
    expect(await settled).toEqual({ state: 'stored' });
    expect(other).toHaveBeenCalled();
    const [{ event, error }] = failed.mock.calls[0] ?? [];
    expect([event.type, error]).toEqual(['state', mistake]);
  });

  test('without a listener for it, what a listener throws is thrown outside the producer', async () => {
    const outside: unknown[] = [];
    const schedule = globalThis.queueMicrotask;
    vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((call) =>
      schedule(() => {
        try {
          call();
        } catch (error) {
          outside.push(error);
        }
      }),
    );
    const producer = make();
    const mistake = new Error('a mistake of the user');
    producer.on('opened', () => {
      throw mistake;
    });
    await producer.opened();
    expect((await producer.send('')).seq).toBe(1);
    expect(outside).toEqual([mistake]);
  });
});

describe('two producers', () => {
  test('can not share a queue: the second says so, and comes in with `reopen` once it is free', async () => {
    const first = make();
    await first.send('from the first');
    const second = make();
    const events = eventsOf(second);
    const code = 'queue_in_use';
    await expect(second.opened()).rejects.toMatchObject({ code });
    await expect(second.send('')).rejects.toMatchObject({ code });
    await expect(second.flush()).rejects.toMatchObject({ code });
    expect(second.status()).toMatchObject({ lifecycle: 'failed', failure: { code } });
    expect(events).toMatchObject([{ type: 'open_failed', error: { code } }]);
    await expect(second.reopen()).rejects.toMatchObject({ code });
    await first.close();
    const { recovery } = await second.reopen();
    expect(recovery.frames).toBe(1);
    expect((await second.send('')).seq).toBe(1);
    expect(events.filter(({ type }) => type !== 'state')).toMatchObject([
      { type: 'open_failed' },
      { type: 'open_failed' },
      { type: 'reopened', recovery: { frames: 1 } },
    ]);
  });

  test('with one collector id take turns: the second waits without losing anything', async () => {
    const serving = await serve();
    const server = serverOf(serving);
    const first = make({ server, collectorId: 'c1' });
    await first.send('');
    await first.flush();
    const second = make({ server, collectorId: 'c1', queuePath: join(folder, 'other') });
    const { settled } = await second.send('patient');
    await expect.poll(() => second.status().lastError?.code, DEADLINE).toBe('bye_in_use');
    await first.close();
    expect(await settled).toEqual({ state: 'stored' });
  });

  test('a queue with a broken id file says so', async () => {
    const producer = make();
    await producer.opened();
    await producer.close();
    writeFileSync(join(folder, 'queue', 'collector-id'), 'No Such Name\n');
    await expect(make().opened()).rejects.toMatchObject({ code: 'collector_id_invalid' });
  });
});
