/**
 * As much of NATS's text protocol as a benchmark needs: publish, subscribe, request and the answers of
 * JetStream. No headers, no reconnect: a connection that ends is an error.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { BenchError } from '../errors.ts';
import { inTime } from '../in-time.ts';
import { machineMs } from '../source/commands.ts';
import { dial } from './dial.ts';

const CRLF = Buffer.from('\r\n');
const MSG = Buffer.from('MSG ');
const LF = 0x0a;
const SPACE = 0x20;
const ZERO = 0x30;
const REQUEST_WITHIN_MS = 10_000;
const ASK_MS = 200;

export type NatsOperation =
  /** `id` is the subscription's: a stream's messages come under the subject they were published to. */
  | { readonly type: 'message'; readonly id: number; readonly payload: Buffer }
  | { readonly type: 'ping' }
  | { readonly type: 'error'; readonly text: string };

/** Splits what a server sends, wherever a chunk ends. What a client need not act on is left out. */
export class NatsReader {
  #rest: Buffer = Buffer.alloc(0);

  /** A payload is a part of the chunk. Throws BenchError on what no server says. */
  take(chunk: Buffer): NatsOperation[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const operations: NatsOperation[] = [];
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(LF, from) + 1;
      if (end === 0) break;
      if (!isMessage(bytes, from, end)) {
        operations.push(...operationOf(bytes.toString('latin1', from, end - CRLF.length)));
        from = end;
        continue;
      }
      const payloadEnd = end + numberBefore(bytes, end - CRLF.length);
      if (bytes.length < payloadEnd + CRLF.length) break;
      operations.push({
        type: 'message',
        id: subscriptionOf(bytes, from),
        payload: bytes.subarray(end, payloadEnd),
      });
      from = payloadEnd + CRLF.length;
    }
    this.#rest = bytes.subarray(from);
    return operations;
  }
}

/** `MSG <subject> <sid> [reply] <bytes>`; taken apart without a string, for there are many. */
function isMessage(bytes: Buffer, from: number, end: number): boolean {
  return end - from > MSG.length && bytes.readUInt32BE(from) === MSG.readUInt32BE();
}

function subscriptionOf(bytes: Buffer, from: number): number {
  const subjectEnd = bytes.indexOf(SPACE, from + MSG.length);
  return numberBefore(bytes, bytes.indexOf(SPACE, subjectEnd + 1));
}

/** What the digits say that end there. */
function numberBefore(bytes: Buffer, end: number): number {
  let number = 0;
  let factor = 1;
  for (let at = end - 1; at >= 0; at -= 1, factor *= 10) {
    const digit = bytes.readUInt8(at) - ZERO;
    if (digit < 0 || digit > 9) break;
    number += digit * factor;
  }
  return number;
}

function operationOf(line: string): NatsOperation[] {
  if (line.startsWith('INFO ') || line === 'PONG' || line === '+OK') return [];
  if (line === 'PING') return [{ type: 'ping' }];
  if (line.startsWith('-ERR ')) return [{ type: 'error', text: line.slice('-ERR '.length) }];
  throw new BenchError(`nats-server said what is no operation: ${line.slice(0, 80)}`);
}

/** What is written to publish one message. */
export function publication(subject: string, reply: string, payload: Buffer): Buffer[] {
  return [Buffer.from(`PUB ${subject} ${reply} ${payload.length}\r\n`, 'latin1'), payload, CRLF];
}

/** Told when it arrived, by {@link machineMs}. */
type Handler = (payload: Buffer, arrivedAtMs: number) => void;

export class NatsClient {
  readonly #socket: Socket;
  readonly #reader = new NatsReader();
  readonly #handlers = new Map<number, Handler>();
  readonly #failed: (error: Error) => void;
  #lastId = 0;
  #closed = false;

  /** `failed` is told when the connection ends before {@link close}, or the server objects. */
  static async connect(port: number, failed: (error: Error) => void): Promise<NatsClient> {
    return new NatsClient(await dial('nats-server', port), failed);
  }

  private constructor(socket: Socket, failed: (error: Error) => void) {
    this.#socket = socket;
    this.#failed = failed;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (cause) => this.#fail('the connection to nats-server broke', cause));
    socket.on('close', () => this.#fail('nats-server closed the connection'));
    socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":false}\r\n');
  }

  /** Gives the handler every message that is sent to a subject; what it returns ends that. */
  subscribe(subject: string, handler: Handler): () => void {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#handlers.set(id, handler);
    this.#socket.write(`SUB ${subject} ${id}\r\n`);
    return () => {
      this.#handlers.delete(id);
      this.#socket.write(`UNSUB ${id}\r\n`);
    };
  }

  publish(subject: string, reply: string, payloads: readonly Buffer[]): void {
    const parts = payloads.flatMap((payload) => publication(subject, reply, payload));
    this.#socket.write(Buffer.concat(parts));
  }

  /** Has JetStream do something once. Throws BenchError when it refuses, or does not answer in time. */
  async request(subject: string, body: object): Promise<void> {
    const answer = await this.#answer(subject, body);
    if ('error' in JSON.parse(answer)) {
      throw new BenchError(`nats-server refused ${subject}: ${answer}`);
    }
  }

  /** Asks until there is an answer, such as from behind a leaf that is yet to connect. */
  async reach(subject: string): Promise<void> {
    await this.#answer(subject, {}, ASK_MS);
  }

  async #answer(subject: string, body: object, againMs?: number): Promise<string> {
    const reply = `_INBOX.${randomUUID()}`;
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const unsubscribe = this.subscribe(reply, resolve);
    const ask = () => this.publish(subject, reply, [Buffer.from(JSON.stringify(body))]);
    ask();
    const asking = againMs === undefined ? undefined : setInterval(ask, againMs);
    try {
      const answer = inTime(promise, REQUEST_WITHIN_MS, `nats-server gave ${subject} no answer`);
      return (await answer).toString();
    } finally {
      clearInterval(asking);
      unsubscribe();
    }
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const arrivedAtMs = machineMs();
    try {
      for (const operation of this.#reader.take(chunk)) this.#perform(operation, arrivedAtMs);
    } catch (cause) {
      this.#fail('the answer of nats-server cannot be read', cause);
    }
  }

  #perform(operation: NatsOperation, arrivedAtMs: number): void {
    switch (operation.type) {
      case 'message':
        return this.#handlers.get(operation.id)?.(operation.payload, arrivedAtMs);
      case 'ping':
        this.#socket.write('PONG\r\n');
        return;
      case 'error':
        return this.#fail(`nats-server objects: ${operation.text}`);
    }
  }

  #fail(what: string, cause?: unknown): void {
    if (this.#closed) return;
    this.close();
    this.#failed(new BenchError(what, { cause }));
  }
}
