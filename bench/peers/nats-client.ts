/**
 * As much of NATS's text protocol as a benchmark needs: publish, subscribe, request and the answers of
 * JetStream. No headers, no reconnect: a connection that ends is an error.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { BenchError } from '../errors.ts';
import { dial } from './dial.ts';

const CRLF = Buffer.from('\r\n');
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
      const lineEnd = bytes.indexOf(CRLF, from);
      if (lineEnd < 0) break;
      const line = bytes.toString('latin1', from, lineEnd);
      const end = lineEnd + CRLF.length;
      const payloadBytes = payloadBytesOf(line);
      if (payloadBytes === undefined) {
        operations.push(...operationOf(line));
        from = end;
        continue;
      }
      if (bytes.length < end + payloadBytes + CRLF.length) break;
      const [, , id] = line.split(' ', 3);
      const payload = bytes.subarray(end, end + payloadBytes);
      operations.push({ type: 'message', id: Number(id), payload });
      from = end + payloadBytes + CRLF.length;
    }
    this.#rest = bytes.subarray(from);
    return operations;
  }
}

/** `MSG <subject> <sid> [reply] <bytes>`. */
function payloadBytesOf(line: string): number | undefined {
  return line.startsWith('MSG ') ? Number(line.slice(line.lastIndexOf(' ') + 1)) : undefined;
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

export class NatsClient {
  readonly #socket: Socket;
  readonly #reader = new NatsReader();
  readonly #handlers = new Map<number, (payload: Buffer) => void>();
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
  subscribe(subject: string, handler: (payload: Buffer) => void): () => void {
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
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const unsubscribe = this.subscribe(reply, resolve);
    const ask = () => this.publish(subject, reply, [Buffer.from(JSON.stringify(body))]);
    ask();
    const late = () => reject(new BenchError(`nats-server gave ${subject} no answer`));
    const timer = setTimeout(late, REQUEST_WITHIN_MS);
    const asking = againMs === undefined ? undefined : setInterval(ask, againMs);
    try {
      return (await promise).toString();
    } finally {
      clearTimeout(timer);
      clearInterval(asking);
      unsubscribe();
    }
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      for (const operation of this.#reader.take(chunk)) this.#perform(operation);
    } catch (cause) {
      this.#fail('the answer of nats-server cannot be read', cause);
    }
  }

  #perform(operation: NatsOperation): void {
    switch (operation.type) {
      case 'message':
        return this.#handlers.get(operation.id)?.(operation.payload);
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
