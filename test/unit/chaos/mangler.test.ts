/**
 * The mangler on real sockets: each rule does what it is told and no more, the same seed does the
 * same again, and what isn't meant passes untouched.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { ManglerClient } from '#chaos/mangler/client.ts';
import { Control } from '#chaos/mangler/control.ts';
import { Flow } from '#chaos/mangler/flow.ts';
import { Relay } from '#chaos/mangler/relay.ts';
import { RuleInForce, type RuleInput, ruleSchema } from '#chaos/mangler/rules.ts';
import { waitUntil } from '#chaos/observe/wait.ts';
import { MessageWriter, sealEnvelope } from '#protocol/envelope.ts';
import { KINDS, type Kind } from '#protocol/messages.ts';
import { seeded } from '../seed.ts';

const TIMEOUT_MS = 5_000;

/** One end of a connection, and all that has come to it. */
class End {
  readonly socket: Socket;
  readonly #chunks: Buffer[] = [];
  /** How it ended: null while it is open. */
  ended: 'fin' | 'rst' | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#chunks.push(bytes));
    socket.on('end', () => {
      this.ended ??= 'fin';
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') this.ended ??= 'rst';
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async has(bytes: Buffer): Promise<void> {
    await waitUntil(`${bytes.length} bytes come`, () => this.received.length >= bytes.length, {
      deadlineMs: TIMEOUT_MS,
      describe: () => this.received.length,
    });
    expect(this.received.equals(bytes)).toBe(true);
  }

  async ends(how: 'fin' | 'rst'): Promise<void> {
    await waitUntil('the end comes', () => this.ended !== null, { deadlineMs: TIMEOUT_MS });
    expect(this.ended).toBe(how);
  }
}

/** A mangler before a server that only takes; both ends of each connection are at hand. */
class Rig {
  readonly #ends: Socket[] = [];
  readonly #taken: End[] = [];
  readonly #server: Server;
  readonly relay: Relay;
  readonly control: Control;
  readonly mangler: ManglerClient;

  static async open(connectionsMax = 16): Promise<Rig> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const upstream = { host: '127.0.0.1', port: portOf(server) };
    const options = { host: '127.0.0.1', port: 0, upstream, connectionsMax };
    const relay = await Relay.listen({ ...options, onEvent: () => undefined });
    const control = await Control.listen(relay, { host: '127.0.0.1', port: 0 });
    return new Rig(server, relay, control);
  }

  private constructor(server: Server, relay: Relay, control: Control) {
    this.#server = server;
    this.relay = relay;
    this.control = control;
    this.mangler = new ManglerClient(`http://127.0.0.1:${control.port}`);
    server.on('connection', (socket) => {
      this.#ends.push(socket);
      this.#taken.push(new End(socket));
    });
  }

  async pair(): Promise<{ client: End; server: End }> {
    const before = this.#taken.length;
    const socket = connect({ host: '127.0.0.1', port: this.relay.port, allowHalfOpen: true });
    this.#ends.push(socket);
    const client = new End(socket);
    await waitUntil('the server has the connection', () => this.#taken.length > before);
    const server = this.#taken[before];
    if (server === undefined) throw new Error('no connection');
    return { client, server };
  }

  async close(): Promise<void> {
    for (const socket of this.#ends) socket.destroy();
    await this.control.close();
    await this.relay.close();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}

async function arrived({ socket }: End, bytes: number): Promise<void> {
  await waitUntil(`${bytes} bytes come`, () => socket.bytesRead === bytes, {
    deadlineMs: 15_000,
    describe: () => socket.bytesRead,
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return address.port;
}

const rigs: Rig[] = [];

async function rig(connectionsMax?: number): Promise<Rig> {
  const made = await Rig.open(connectionsMax);
  rigs.push(made);
  return made;
}

afterEach(async () => {
  for (const one of rigs.splice(0)) await one.close();
});

/** Envelopes of these kinds in their order, each with a body of its own length and content. */
function messages(...kinds: Kind[]): Buffer[] {
  return kinds.map((kind, i) => sealEnvelope(KINDS[kind], 0, i, Buffer.alloc(20 + 7 * i, i + 1)));
}

function hello(collector: string): Buffer {
  const instance = '01938c5e-8a00-7000-8000-000000000001';
  const bytes = Buffer.alloc(32);
  return new MessageWriter().write({
    kind: 'hello',
    version: 2,
    collector,
    instance,
    nonce: bytes,
    more: false,
    epochs: [],
    mac: bytes,
  }).bytes;
}

function noise(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 131 + (i >> 8)) & 0xff));
}

function bitsThatDiffer(one: Buffer, other: Buffer): number {
  let bits = 0;
  for (let i = 0; i < one.length; i += 1) {
    for (let left = (one[i] ?? 0) ^ (other[i] ?? 0); left > 0; left >>= 1) bits += left & 1;
  }
  return bits;
}

test('without rules it passes bytes both ways, and a half-close as one', async () => {
  const { client, server } = await (await rig()).pair();
  const up = noise(300_000);
  client.socket.end(up);
  await server.has(up);
  await server.ends('fin');
  const down = noise(200_000);
  server.socket.end(down);
  await client.has(down);
  await client.ends('fin');
});

test('a reset passes as a reset', async () => {
  const { client, server } = await (await rig()).pair();
  client.socket.resetAndDestroy();
  await server.ends('rst');
});

test('a client is reset where nobody listens upstream, and the next one is served', async () => {
  const nobody = createServer();
  nobody.listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const upstream = { host: '127.0.0.1', port: portOf(nobody) };
  nobody.close();
  await once(nobody, 'close');
  const events: string[] = [];
  const relay = await Relay.listen({
    host: '127.0.0.1',
    port: 0,
    upstream,
    connectionsMax: 4,
    onEvent: ({ event }) => events.push(event),
  });
  for (let i = 1; i <= 2; i += 1) {
    const client = new End(connect(relay.port, '127.0.0.1'));
    await client.ends('rst');
    expect(events).toEqual(Array(i).fill('dial_failed'));
  }
  await relay.close();
});

test('a reader that stands still is waited for, in bounded memory', async () => {
  const { mangler, pair } = bound(await rig());
  const standing = await pair();
  const other = await pair();
  standing.server.socket.pause();
  // More than the buffers of both kernels hold.
  const bytes = Buffer.alloc(64 * 1_048_576, 7);
  standing.client.socket.write(bytes);
  // While so much passes beside it, a relay that doesn't wait would have taken all of it.
  other.client.socket.write(bytes);
  await arrived(other.server, bytes.length);
  const [connection] = await mangler.connections();
  expect(connection?.bytes.upstream).toBeLessThan(bytes.length / 2);
  standing.server.socket.resume();
  await arrived(standing.server, bytes.length);
});

test('flips one bit at each of so many places, the same for the same seed', async () => {
  const { mangler, pair } = bound(await rig());
  const rule = { do: 'flip', direction: 'upstream', seed: 7, every_bytes: 1_000 } as const;
  const whole = noise(50_000);
  const results: Buffer[] = [];
  for (let i = 0; i < 2; i += 1) {
    const { id } = await mangler.make(rule);
    const { client, server } = await pair();
    client.socket.write(whole);
    await waitUntil('all has come', () => server.received.length === whole.length);
    const { count } = await mangler.lift(id);
    expect(count).toBeGreaterThan(20);
    expect(bitsThatDiffer(whole, server.received)).toBe(count);
    results.push(server.received);
    client.socket.destroy();
    server.socket.destroy();
    await waitUntil('it is gone', async () => (await mangler.connections()).length === 0);
  }
  expect(results[0]?.equals(results[1] ?? Buffer.alloc(0))).toBe(true);
  const other = await mangler.make({ ...rule, seed: 8 });
  const { client, server } = await pair();
  client.socket.write(whole);
  await waitUntil('all has come', () => server.received.length === whole.length);
  expect(results[0]?.equals(server.received)).toBe(false);
  await mangler.lift(other.id);
});

test('flips as often as it may, and only in messages of the kind', async () => {
  const { mangler, pair } = bound(await rig());
  const { client, server } = await pair();
  const rule = { do: 'flip', seed: 1, every_bytes: 5, messages: 'ack', times: 3 } as const;
  const { id } = await mangler.make(rule);
  const [frames, ack, more] = messages('frames', 'ack', 'frames') as [Buffer, Buffer, Buffer];
  client.socket.write(Buffer.concat([frames, ack, more]));
  const length = frames.length + ack.length + more.length;
  await waitUntil('all has come', () => server.received.length === length);
  const end = frames.length + ack.length;
  expect(server.received.subarray(0, frames.length).equals(frames)).toBe(true);
  expect(server.received.subarray(end).equals(more)).toBe(true);
  expect(bitsThatDiffer(ack, server.received.subarray(frames.length, end))).toBe(3);
  const { count, bites } = await mangler.rule(id);
  expect(count).toBe(3);
  expect(bites[0]).toMatchObject({ direction: 'upstream', message: 'ack', connection: 1 });
});

const PIECES = [
  ['double', ([a, b, c]: Buffer[]) => [a, b, b, c]],
  ['drop', ([a, , c]: Buffer[]) => [a, c]],
  ['swap', ([a, b, c]: Buffer[]) => [a, c, b]],
] as const;

test.each(PIECES)('%s: whole messages', async (what, expected) => {
  const { mangler, pair } = bound(await rig());
  const { client, server } = await pair();
  const seed = { seed: 1, every_bytes: 1 };
  const { id } = await mangler.make({ do: what, direction: 'upstream', times: 1, ...seed });
  const three = messages('frames', 'gap', 'ping');
  for (const one of three) {
    client.socket.write(one.subarray(0, 9));
    client.socket.write(one.subarray(9));
  }
  await server.has(Buffer.concat(expected(three) as Buffer[]));
  expect((await mangler.rule(id)).bites).toMatchObject([{ message: 'gap' }]);
});

test.each(PIECES)(
  '%s: so many bytes of a stream that it does not understand',
  async (what, expected) => {
    const { mangler, pair } = bound(await rig());
    const { client, server } = await pair();
    const seed = { seed: 1, every_bytes: 1 };
    await mangler.make({ do: what, direction: 'upstream', piece: 100, times: 1, ...seed });
    const bytes = noise(1_000);
    // The first place lies one byte from the beginning.
    const parts = [bytes.subarray(0, 1), bytes.subarray(1, 101), bytes.subarray(101, 201)];
    client.socket.write(bytes);
    await server.has(Buffer.concat([...(expected(parts) as Buffer[]), bytes.subarray(201)]));
    expect((await mangler.connections())[0]).toMatchObject({ opaque: true, collector: null });
  },
);

test('a piece that a swap holds back is passed on when the stream ends', async () => {
  const { mangler, pair } = bound(await rig());
  const { client, server } = await pair();
  await mangler.make({ do: 'swap', seed: 1, every_bytes: 1 });
  const [one, other] = messages('frames', 'ping') as [Buffer, Buffer];
  client.socket.end(Buffer.concat([one, other]));
  await server.has(Buffer.concat([one, other]));
  await server.ends('fin');
  expect(await mangler.rule(1)).toMatchObject({ count: 0 });
});

test.each(['rst', 'fin'] as const)(
  'cuts at the byte of the message it was told, by %s',
  async (by) => {
    const { mangler, pair } = bound(await rig());
    const { client, server } = await pair();
    const cut = { do: 'cut', direction: 'upstream', messages: 'frames', nth: 2, bytes: 5 } as const;
    const { id } = await mangler.make({ ...cut, by, times: 1 });
    const [a, b, c, d] = messages('frames', 'ping', 'frames', 'frames') as Buffer[] as [
      Buffer,
      Buffer,
      Buffer,
      Buffer,
    ];
    client.socket.write(Buffer.concat([a, b, c, d]));
    await server.ends(by);
    await client.ends(by);
    expect(server.received.equals(Buffer.concat([a, b, c.subarray(0, 5)]))).toBe(true);
    expect(await mangler.rule(id)).toMatchObject({ count: 1, bites: [{ message: 'frames' }] });
    const next = await pair();
    next.client.socket.write(Buffer.concat([a, b, c, d]));
    await next.server.has(Buffer.concat([a, b, c, d]));
  },
);

test('cuts downstream, before the first byte or at the end of a message', async () => {
  const { mangler, pair } = bound(await rig());
  const [greeting, welcome] = messages('greeting', 'welcome') as [Buffer, Buffer];
  for (const [bytes, expected] of [
    [0, greeting],
    [1_000, Buffer.concat([greeting, welcome])],
  ] as const) {
    const rule = { do: 'cut', direction: 'downstream', messages: 'welcome', bytes } as const;
    const { id } = await mangler.make(rule);
    const { client, server } = await pair();
    server.socket.write(Buffer.concat([greeting, welcome]));
    await client.ends('rst');
    expect(client.received.equals(expected)).toBe(true);
    await mangler.lift(id);
  }
});

test('cuts a stream that it does not understand at a byte', async () => {
  const { mangler, pair } = bound(await rig());
  await mangler.make({ do: 'cut', direction: 'upstream', bytes: 321, by: 'fin' });
  const { client, server } = await pair();
  const bytes = noise(1_000);
  client.socket.write(bytes);
  await server.ends('fin');
  expect(server.received.equals(bytes.subarray(0, 321))).toBe(true);
});

test('a black hole takes one connection, and the others pass', async () => {
  const { mangler, pair } = bound(await rig());
  const [first, second, third] = [await pair(), await pair(), await pair()];
  const hellos = ['one', 'two', 'two'].map(hello);
  for (const [i, { client, server }] of [first, second, third].entries()) {
    client.socket.write(hellos[i] ?? '');
    await server.has(hellos[i] ?? Buffer.alloc(0));
  }
  const { id, connection } = await mangler.make({
    do: 'black_hole',
    collector: 'two',
    only: 'oldest',
  });
  expect(connection).toBe(2);
  const bytes = messages('frames')[0] ?? Buffer.alloc(0);
  for (const { client } of [first, second, third]) client.socket.write(bytes);
  for (const { server } of [first, second, third]) server.socket.write(bytes);
  await first.server.has(Buffer.concat([hello('one'), bytes]));
  await third.server.has(Buffer.concat([hello('two'), bytes]));
  await third.client.has(bytes);
  await waitUntil(
    'it has swallowed both ways',
    async () => (await mangler.rule(id)).count === 2 * bytes.length,
  );
  expect(second.server.received.equals(hello('two'))).toBe(true);
  expect(second.client.received).toHaveLength(0);
});

test('the end of a connection in a black hole reaches the other end when it is lifted', async () => {
  const { mangler, pair } = bound(await rig());
  const { client, server } = await pair();
  const { id } = await mangler.make({ do: 'black_hole', only: 'newest' });
  client.socket.resetAndDestroy();
  const other = await pair();
  other.client.socket.write('x');
  await other.server.has(Buffer.from('x'));
  expect(server.ended).toBe(null);
  await mangler.lift(id);
  await server.ends('rst');
});

test('a connection that lived through a black hole lacks what was in it', async () => {
  const { mangler, pair } = bound(await rig());
  const { client, server } = await pair();
  const { id } = await mangler.make({ do: 'black_hole', direction: 'upstream', only: 'newest' });
  client.socket.write('lost');
  await waitUntil('it was swallowed', async () => (await mangler.rule(id)).count === 4);
  await mangler.lift(id);
  client.socket.write('kept');
  await server.has(Buffer.from('kept'));
});

test('writes in single bytes lose none', async () => {
  const { mangler, pair } = bound(await rig());
  const { client, server } = await pair();
  let reads = 0;
  server.socket.on('data', () => {
    reads += 1;
  });
  await mangler.make({ do: 'crumble', direction: 'upstream' });
  const bytes = noise(2_000);
  client.socket.write(bytes);
  await server.has(bytes);
  expect(reads).toBeGreaterThan(10);
});

test('a rule about one collector leaves the others alone', async () => {
  const { mangler, pair } = bound(await rig());
  const seed = { seed: 1, every_bytes: 1 };
  await mangler.make({ do: 'drop', direction: 'upstream', collector: 'one', ...seed });
  const [mine, theirs] = [await pair(), await pair()];
  const rest = Buffer.concat(messages('frames', 'ping'));
  mine.client.socket.write(Buffer.concat([hello('one'), rest]));
  theirs.client.socket.write(Buffer.concat([hello('other'), rest]));
  await theirs.server.has(Buffer.concat([hello('other'), rest]));
  const [connection] = await mangler.connections();
  expect(connection).toMatchObject({ id: 1, collector: 'one', opaque: false });
  expect(mine.server.received.length).toBeLessThan(hello('one').length + rest.length);
});

test('says what is wrong with an order, and which connection it misses', async () => {
  const { mangler } = bound(await rig());
  const wrong: unknown[] = [
    { do: 'flip', seed: 1 },
    { do: 'flip', seed: 1, every_bytes: 10, evry: 1 },
    { do: 'cut', direction: 'upstream', nth: 2 },
    { do: 'burn' },
  ];
  for (const rule of wrong) {
    await expect(mangler.make(rule as RuleInput)).rejects.toMatchObject({ status: 400 });
  }
  await expect(mangler.make({ do: 'black_hole', only: 'newest' })).rejects.toMatchObject({
    status: 409,
  });
  await expect(mangler.lift(9)).rejects.toMatchObject({ status: 404 });
});

test('more connections than it may have are closed, and those that it has go on', async () => {
  const { pair, relay } = bound(await rig(1));
  const { client, server } = await pair();
  const second = new End(connect(relay.port, '127.0.0.1'));
  await waitUntil('it is closed', () => second.ended !== null || second.socket.destroyed);
  client.socket.write('still');
  await server.has(Buffer.from('still'));
});

/** Whatever chunks the bytes come in. */
test('what comes out does not depend on the chunks that came in', () => {
  const rules: RuleInput[] = [
    { do: 'flip', seed: 3, every_bytes: 40 },
    { do: 'double', seed: 4, every_bytes: 200 },
    { do: 'swap', seed: 5, every_bytes: 150 },
    { do: 'drop', seed: 6, every_bytes: 90, piece: 13 },
    { do: 'crumble', messages: 'ack', bytes: 3 },
    { do: 'cut', direction: 'upstream', messages: 'gap', nth: 3, bytes: 30 },
  ];
  const kinds = ['frames', 'ack', 'ping', 'gap', 'hello'] as const;
  const bytes = Buffer.concat([
    hello('some-collector'),
    ...messages(...Array.from({ length: 20 }, (_, i) => kinds[i % 5] ?? 'ping')),
  ]);
  const through = (chunks: readonly Buffer[], chosen: readonly RuleInput[]): string => {
    const flow = new Flow({ connection: 1, direction: 'upstream', collector: () => undefined });
    for (const [i, rule] of chosen.entries()) {
      flow.add(new RuleInForce(i, ruleSchema.parse(rule), undefined), 0);
    }
    const out: string[] = [];
    for (const step of [...chunks.map((chunk) => () => flow.push(chunk)), () => flow.flush()]) {
      for (const one of step()) {
        if ('cut' in one) return `${out.join('')} cut`;
        out.push(one.bytes.toString('hex'));
      }
    }
    return out.join('');
  };
  fc.assert(
    fc.property(
      fc.subarray(rules, { minLength: 0 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }),
      (chosen, sizes) => {
        const chunks: Buffer[] = [];
        for (let at = 0, i = 0; at < bytes.length; i += 1) {
          const size = sizes[i % sizes.length] ?? 1;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(through(chunks, chosen)).toBe(through([bytes], chosen));
      },
    ),
    seeded(),
  );
});

function bound(one: Rig): { mangler: ManglerClient; relay: Relay; pair: Rig['pair'] } {
  return { mangler: one.mangler, relay: one.relay, pair: () => one.pair() };
}
