/**
 * TLS on the port for collectors: real sockets, certificates made on the spot. What a collector is
 * told when it goes wrong is here as well: it takes a server to go wrong with.
 */
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { dial, Link, type LinkTls } from '#collector/producer/link.ts';
import type { LinkError } from '#collector/producer/link-error.ts';
import { byeError, tlsError } from '#collector/producer/link-error.ts';
import {
  type Authority,
  type Identity,
  issue,
  makeAuthority,
  validFor,
} from '#lab/certificates.ts';
import { decodeBody } from '#protocol/codec.ts';
import { Framer } from '#protocol/framer.ts';
import type { Bye, Message } from '#protocol/messages.ts';
import { checkTlsFiles, type TlsFiles } from '#server/access/tls.ts';
import {
  connectionCount,
  DEADLINE,
  type Serving,
  serve,
  stopServing,
  TestCollector,
} from './serving.ts';
import { EPOCH_A, epochOf, frameOf, stored } from './store-contract.ts';
import { ping } from './wire-client.ts';

const CA = makeAuthority('a CA', validFor(30));
const OTHER_CA = makeAuthority('another CA', validFor(30));
const PAST = { from: new Date(Date.now() - 2e9), to: new Date(Date.now() - 1e9) };
const SERVER = issue(CA, 'server', ['server', '127.0.0.1'], validFor(30));
const CLIENT = issue(CA, 'client', ['a collector'], validFor(30));

const ONE_SIDED: TlsFiles = { ...SERVER, clientCa: undefined };
const MUTUAL: TlsFiles = { ...SERVER, clientCa: CA.cert };

const undo: (() => void)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0)) step();
  await stopServing();
});

/** A socket as the collector's link makes it. */
function socketOf(port: number, tls: LinkTls = { ca: CA.cert }): Socket {
  return dial({ host: '127.0.0.1', port, tls: { servername: 'server', ...tls } });
}

function collectorOf({ port }: Serving, tls?: LinkTls): TestCollector {
  return new TestCollector(port, undefined, socketOf(port, tls));
}

/** What the link says of a dial: how it ended, or the first message. */
function dialled(port: number, tls: LinkTls | (() => LinkTls) | undefined) {
  const answered = Promise.withResolvers<{ error?: LinkError | undefined; message?: Message }>();
  const framer = new Framer();
  const link = new Link(
    { host: '127.0.0.1', port, tls },
    {
      onConnected: () => {},
      onBytes: (_connection, bytes) => {
        framer.push(bytes);
        const raw = framer.next();
        if (raw) answered.resolve({ message: decodeBody(raw.kind, raw.flags, raw.body) });
      },
      onClosed: (_connection, error) => answered.resolve({ error }),
    },
    {
      dial,
      after: (ms, call) => {
        const timer = setTimeout(call, ms);
        return () => clearTimeout(timer);
      },
    },
  );
  undo.push(() => link.close(1));
  link.dial(1);
  return answered.promise;
}

const attempt =
  ({ logged }: Serving) =>
  () =>
    logged.filter(({ event }) => event === 'attempt_failed').at(-1);

describe('a secured link', () => {
  test('takes the handshake and frames, and acknowledges them', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    const collector = collectorOf(serving);
    await collector.join([epochOf(EPOCH_A, 1, 3)]);
    expect(collector.wire.welcomed).toBe(true);
    const frames = [1, 2, 3].map((seq) => frameOf(EPOCH_A, seq, 'x'));
    collector.send({ kind: 'frames', epochIndex: 0, frames });
    expect((await collector.next('ack')).settled).toEqual([{ epochIndex: 0, ...stored(1, 3) }]);
    expect(serving.registry.connectedCount).toBe(1);
    expect(connectionCount(serving.ingest)).toBe(1);
  });

  test('counts the bytes of the messages, not those of TLS', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    const collector = collectorOf(serving);
    await collector.join();
    collector.send(ping(1));
    const { bytesReceived } = await collector.next('pong');
    collector.send(ping(2));
    const next = await collector.next('pong');
    const pingBytes = collector.wire.bytesOf(ping(3)).length;
    expect(next.bytesReceived - bytesReceived).toBe(pingBytes);
  });

  test('passes a backlog larger than the window, in order, while the store is slower', async () => {
    const serving = await serve({ tls: ONE_SIDED, windowBytes: 20_000 });
    const collector = collectorOf(serving);
    await collector.join([epochOf(EPOCH_A, 1, 300)]);
    for (let seq = 1; seq <= 300; seq += 3) {
      const frames = [seq, seq + 1, seq + 2].map((n) => frameOf(EPOCH_A, n, 'x'.repeat(1_000)));
      collector.send({ kind: 'frames', epochIndex: 0, frames });
    }
    await expect.poll(() => collector.acked, DEADLINE).toBe(300);
    const [audit] = await serving.store.audit('c1');
    expect(audit?.epochs).toMatchObject([{ stored: 300, pending: [], duplicatesRefused: 0 }]);
  });

  test('is cut off where its acks are never read, though Node buffers for TLS too', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    const collector = collectorOf(serving);
    await collector.join([epochOf(EPOCH_A, 1, 3)]);
    collector.socket.pause();
    const pings = Array.from({ length: 2_000 }, (_, id) => ping(id));
    await expect
      .poll(
        () => {
          const { destroyed, writableLength } = collector.socket;
          if (!destroyed && writableLength < 1_000_000) collector.send(...pings);
          return serving.logged.some(({ reason }) => reason === 'overloaded');
        },
        { timeout: 20_000, interval: 5 },
      )
      .toBe(true);
  });

  test('brings a goodbye over before it closes, in both directions', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    const older = collectorOf(serving);
    await older.join();
    await collectorOf(serving).join();
    expect(await older.next('bye')).toMatchObject({ reason: 'superseded' });
    await older.untilClosed();
    const { message } = await dialled(serving.port, { ca: CA.cert });
    expect(message).toMatchObject({ kind: 'greeting' });
  });

  test('needs a client certificate where the server has a CA for it', async () => {
    const serving = await serve({ tls: MUTUAL });
    await collectorOf(serving, { ca: CA.cert, ...CLIENT }).join();
    expect(serving.registry.connectedCount).toBe(1);
  });

  test('takes certificates up without a new start, and living connections stay', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    const collector = collectorOf(serving);
    await collector.join();
    const renewed = issue(OTHER_CA, 'server', ['server'], validFor(30));
    serving.door?.replace({ ...renewed, clientCa: undefined });
    const tls = { servername: 'server' };
    expect(await dialled(serving.port, { ca: OTHER_CA.cert, ...tls })).toMatchObject({
      message: { kind: 'greeting' },
    });
    expect(await dialled(serving.port, { ca: CA.cert, ...tls })).toMatchObject({
      error: { code: 'tls_untrusted' },
    });
    collector.send(ping(1));
    await collector.next('pong');
  });
});

describe('a collector is told', () => {
  const expired = issue(CA, 'server', ['server', '127.0.0.1'], PAST);
  const elsewhere = issue(CA, 'server', ['elsewhere'], validFor(30));
  const selfMade = issue(OTHER_CA, 'server', ['127.0.0.1'], validFor(30));

  test.each<[string, Identity, LinkTls, Partial<LinkError>, RegExp]>([
    ['no trusted CA', SERVER, {}, { code: 'tls_untrusted' }, /HOLDFAST_TLS_CA_FILE/],
    ['another CA', selfMade, { ca: CA.cert }, { code: 'tls_untrusted' }, /nothing was sent to it/],
    ['an expired certificate', expired, { ca: CA.cert }, { code: 'tls_expired' }, /clock/],
    ['another name', elsewhere, { ca: CA.cert }, { code: 'tls_name' }, /HOLDFAST_TLS_SERVERNAME/],
  ])('of %s, as permanent, with what to do', async (_, identity, tls, expected, words) => {
    const { port } = await serve({ tls: { ...identity, clientCa: undefined } });
    const { error } = await dialled(port, tls);
    expect(error).toMatchObject({ ...expected, retry: 'permanent' });
    expect(error?.message).toMatch(words);
    expect(error?.message).toContain(`127.0.0.1:${port}: `);
  });

  test('that the server speaks no TLS', async () => {
    const serving = await serve();
    const { error } = await dialled(serving.port, { ca: CA.cert });
    expect(error).toMatchObject({ code: 'tls_plain', retry: 'permanent' });
    expect(error?.message).toContain('HOLDFAST_TLS_CERT_FILE');
    await expect.poll(attempt(serving), DEADLINE).toMatchObject({
      reason: 'protocol',
      msg: expect.stringContaining('TLS'),
    });
  });

  test('that a proxy closed before TLS was up, as of any other close', async () => {
    const proxy = createServer((socket) => {
      socket.on('error', () => {});
      socket.destroy();
    });
    undo.push(() => proxy.close());
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const address = proxy.address() as { port: number };
    expect(await dialled(address.port, { ca: CA.cert })).toEqual({ error: undefined });
  });

  test('that its own files can not be used, by the dial, and not before', async () => {
    const { port } = await serve({ tls: ONE_SIDED });
    const missing = (): LinkTls => {
      throw new Error('ENOENT: no such file, open ca.pem');
    };
    const { error } = await dialled(port, missing);
    expect(error).toMatchObject({ code: 'tls_files', retry: 'permanent' });
    expect(error?.message).toContain('ca.pem');
    const garbage = await dialled(port, { ca: CA.cert, cert: 'x', key: 'y' });
    expect(garbage.error).toMatchObject({ code: 'tls_files', retry: 'permanent' });
  });

  test('that what comes later is damaged, as transient', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    // A proxy that loses a byte of the server's second write, as Toxiproxy can.
    const proxy = createServer((near) => {
      const far = connectTcp(serving.port, '127.0.0.1');
      let secured = false;
      far.on('data', (bytes: Buffer) => near.write(secured ? bytes.subarray(1) : bytes));
      near.on('data', (bytes) => {
        if (bytes[0] === 0x17) secured = true;
        far.write(bytes);
      });
      for (const socket of [near, far]) socket.on('error', () => {});
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
    undo.push(() => proxy.close());
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as { port: number };
    const socket = socketOf(port);
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    const collector = new TestCollector(port, undefined, socket);
    await collector.hello();
    await collector.untilClosed();
    expect(tlsError(failure, 'server:9000', true)).toMatchObject({
      code: 'tls',
      retry: 'transient',
      message: expect.stringContaining('damaged on the way'),
    });
  });

  test.each<[string, LinkTls, RegExp]>([
    ['none', {}, /shows no client certificate/],
    ['one of another CA', issue(OTHER_CA, 'client', ['x'], validFor(30)), /CLIENT_CA_FILE/],
    ['an expired one', issue(CA, 'client', ['x'], PAST), /has expired/],
    ['one for servers', SERVER, /not for TLS clients/],
  ])('by BYE that its certificate does not do: %s', async (_, identity, words) => {
    const serving = await serve({ tls: MUTUAL });
    const { message } = await dialled(serving.port, { ca: CA.cert, ...identity });
    expect(message).toEqual({ kind: 'bye', reason: 'unauthorized', retryAfterMs: 0, text: '' });
    const error = byeError(message as Bye, false);
    expect(error).toMatchObject({ code: 'bye_unauthorized', retry: 'permanent' });
    expect(error.message).toContain('HOLDFAST_TLS_CERT_FILE');
    expect(attempt(serving)()).toMatchObject({
      reason: 'client_certificate',
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      msg: expect.stringMatching(words),
    });
    await expect.poll(() => connectionCount(serving.ingest), DEADLINE).toBe(0);
  });
});

describe('a server bounds', () => {
  function silent({ port }: Serving, bytes: Buffer | string = ''): Socket {
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => {});
    if (bytes.length > 0) socket.write(bytes);
    undo.push(() => socket.destroy());
    return socket;
  }

  test('a handshake that hangs', async () => {
    const serving = await serve({ tls: ONE_SIDED, tlsHandshakeMs: 50 });
    await once(silent(serving).resume(), 'close');
    await expect.poll(attempt(serving), DEADLINE).toMatchObject({
      reason: 'tls',
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      msg: expect.stringContaining('without HOLDFAST_TLS waits for us'),
    });
  });

  test.each([
    ['HTTP', 'GET / HTTP/1.1\r\n\r\n', /an HTTP request/],
    ['garbage', Buffer.alloc(100, 7), /is no TLS/],
  ])('what is no TLS: %s', async (_, bytes, words) => {
    const serving = await serve({ tls: ONE_SIDED });
    await once(silent(serving, bytes).resume(), 'close');
    await expect.poll(attempt(serving), DEADLINE).toMatchObject({
      reason: 'tls',
      msg: expect.stringMatching(words),
    });
  });

  test('older versions', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    const socket = connectTls({ port: serving.port, ca: CA.cert, maxVersion: 'TLSv1.2' });
    socket.on('error', () => {});
    undo.push(() => socket.destroy());
    await expect.poll(attempt(serving), DEADLINE).toMatchObject({
      msg: expect.stringContaining('does not speak TLS 1.3'),
    });
  });

  test('handshakes at the cap: the oldest goes, and a collector comes in', async () => {
    const serving = await serve({ tls: ONE_SIDED, connectionsMax: 3 });
    const sockets: Socket[] = [];
    for (let n = 1; n <= 3; n += 1) {
      sockets.push(silent(serving).resume());
      await expect.poll(() => connectionCount(serving.ingest), DEADLINE).toBe(n);
    }
    const collector = collectorOf(serving);
    await collector.join();
    await expect.poll(() => sockets[0]?.destroyed, DEADLINE).toBe(true);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  });

  test('whoever only looks whether the port is open is not told of', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    const socket = silent(serving);
    await expect.poll(() => connectionCount(serving.ingest), DEADLINE).toBe(1);
    socket.destroy();
    await expect.poll(() => connectionCount(serving.ingest), DEADLINE).toBe(0);
    expect(attempt(serving)()).toBeUndefined();
  });

  test('its own end: handshakes are closed when it stops', async () => {
    const serving = await serve({ tls: ONE_SIDED });
    const socket = silent(serving).resume();
    await expect.poll(() => connectionCount(serving.ingest), DEADLINE).toBe(1);
    await serving.ingest.close();
    await expect.poll(() => socket.destroyed, DEADLINE).toBe(true);
  });
});

describe('files that can not be used are named by what is wrong', () => {
  const other: Identity = issue(CA as Authority, 'server', ['x'], validFor(1));

  test.each([
    ['the key of another', { ...SERVER, key: other.key }, /not that of the certificate/],
    ['no certificate', { ...SERVER, cert: 'hello' }, /certificate is not PEM/],
    ['no key', { ...SERVER, key: SERVER.cert }, /key is not PEM/],
    ['no CA', { ...SERVER, clientCa: 'hello' }, /CA of the clients is not PEM/],
  ])('%s', (_, files, words) => {
    expect(() => checkTlsFiles({ clientCa: undefined, ...files })).toThrow(words);
  });
});
