/**
 * A connection of the protocol alone, before a server made by hand: a PING is answered while nothing
 * waits to be sent, and its end is told to whoever asks for more.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WireConnection } from '#bench/wire/connection.ts';
import { decodeBody } from '#protocol/codec.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import { Framer, type RawMessage } from '#protocol/framer.ts';
import { macKeyOf, signWelcome } from '#protocol/handshake.ts';
import { FrameCrc } from '#protocol/identity.ts';
import { NONCE_BYTES, PROTOCOL_VERSION } from '#protocol/limits.ts';

const TOKEN = 'a-token';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

async function portOf(server: Server): Promise<number> {
  undo.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return address.port;
}

function connectionTo(port: number): WireConnection {
  const id = randomUUID();
  const crc = new FrameCrc(id);
  const payload = Buffer.from('payload');
  const frameOf = (seq: number) => ({ seq, capturedAt: 1, payload, crc: crc.of(seq, 1, payload) });
  const connection = new WireConnection({ port, token: TOKEN, collector: 'wire-0', id, frameOf });
  undo.push(() => void connection.close());
  return connection;
}

/** A server's half of the handshake and no more; `onMessage` is told of what comes behind it. */
class Welcoming {
  readonly #socket: Socket;
  readonly #writer = new MessageWriter();

  constructor(socket: Socket, onMessage: (raw: RawMessage) => void) {
    this.#socket = socket;
    socket.on('error', () => {});
    undo.push(() => socket.destroy());
    const framer = new Framer();
    const nonce = Buffer.alloc(NONCE_BYTES, 1);
    const storeId = randomUUID();
    const greeting = this.write({ kind: 'greeting', versions: [PROTOCOL_VERSION], nonce, storeId });
    socket.on('data', (bytes: Buffer) => {
      framer.push(bytes);
      for (let raw = framer.next(); raw; raw = framer.next()) {
        if (decodeBody(raw.kind, raw.flags, raw.body).kind !== 'hello') onMessage(raw);
        else this.#welcome(greeting, raw.body);
      }
    });
  }

  /** Answers the message's body. */
  write(message: Parameters<MessageWriter['write']>[0]): Buffer {
    const { bytes, body } = this.#writer.write(message);
    this.#socket.write(bytes);
    return body;
  }

  #welcome(greeting: Buffer, hello: Buffer): void {
    const welcome = {
      kind: 'welcome',
      heartbeatIntervalMs: 1_000,
      retrySpreadMs: 100,
      retryCapMs: 1_000,
      payloadBytesMax: 1_000,
      windowBytesMax: 1_000_000,
      zstd: false,
      settled: [],
    } as const;
    this.write(signWelcome(macKeyOf(Buffer.from(TOKEN)), greeting, hello, welcome));
  }
}

test('a PING is answered with what was received and sent, but not before messages that are made', async () => {
  const came: string[] = [];
  const pong = Promise.withResolvers<unknown>();
  const frames = Promise.withResolvers<void>();
  const welcomed = Promise.withResolvers<Welcoming>();
  const server = createServer((socket) => {
    const welcoming = new Welcoming(socket, (raw) => {
      const message = decodeBody(raw.kind, raw.flags, raw.body);
      came.push(message.kind);
      if (message.kind === 'pong') pong.resolve(message);
      if (message.kind === 'frames') frames.resolve();
    });
    welcomed.resolve(welcoming);
  });
  const connection = connectionTo(await portOf(server));
  await connection.joined();
  const peer = await welcomed.promise;
  const ping = (id: number) =>
    peer.write({ kind: 'ping', id, bytesReceived: 0, highest: undefined });

  ping(7);
  expect(await pong.promise).toMatchObject({ id: 7, highest: { epochIndex: 0, seq: 0 } });

  // The message has its counter by then: a PONG would have to come behind it.
  connection.make(1, 1);
  const acked = new Promise<number>((resolve) => {
    connection.onAcked = resolve;
  });
  ping(8);
  peer.write({ kind: 'ack', settled: [] });
  expect(await acked).toBe(0);
  connection.drain().catch(() => {});
  await frames.promise;
  expect(came).toEqual(['pong', 'frames']);
});

test('what is asked of a connection that has ended fails at once', async () => {
  const server = createServer((socket) => socket.destroy());
  const connection = connectionTo(await portOf(server));
  await expect(connection.joined()).rejects.toThrow(/ended/);
  await expect(connection.ackedTo(1)).rejects.toThrow(/ended/);
  expect(() => connection.sendOne()).toThrow(/ended/);
});
