/**
 * As much of RELP as a benchmark's source needs: open, syslog frames, the receiver's responses
 * (https://github.com/rsyslog/librelp/blob/master/doc/relp.html). No reconnect: a connection that ends
 * is an error.
 */
import type { Socket } from 'node:net';
import { BenchError } from '../errors.ts';
import { dial } from './dial.ts';

const NEWLINE = 0x0a;
/** The longest head of a frame: transaction, command and length, each with what ends it. */
const HEAD_BYTES_MAX = 9 + 1 + 32 + 1 + 9 + 1;
const OPENING = Buffer.from('relp_version=0\nrelp_software=bench\ncommands=syslog');
const OPENING_TRANSACTION = 1;
const ACCEPTED = '200 OK';
const OPEN_WITHIN_MS = 10_000;

export interface RelpFrame {
  readonly transaction: number;
  readonly command: string;
  readonly data: Buffer;
}

/** What is written for one frame; without data, nothing separates it from the length. */
export function relpFrame({ transaction, command, data }: RelpFrame): Buffer {
  const separator = data.length === 0 ? '' : ' ';
  const head = `${transaction} ${command} ${data.length}${separator}`;
  return Buffer.concat([Buffer.from(head, 'latin1'), data, Buffer.from('\n')]);
}

/** Splits what a receiver sends, wherever a chunk ends. */
export class RelpReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Data are a part of the chunk. Throws BenchError on what is no frame. */
  take(chunk: Buffer): RelpFrame[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: RelpFrame[] = [];
    let from = 0;
    for (;;) {
      const head = headOf(bytes, from);
      if (head === undefined) break;
      const { transaction, command, dataBytes, dataFrom } = head;
      const end = dataFrom + dataBytes;
      if (bytes.length <= end) break;
      if (bytes[end] !== NEWLINE) throw noFrame(bytes, from);
      frames.push({ transaction, command, data: bytes.subarray(dataFrom, end) });
      from = end + 1;
    }
    this.#rest = bytes.subarray(from);
    return frames;
  }
}

function headOf(bytes: Buffer, from: number) {
  const text = bytes.toString('latin1', from, from + HEAD_BYTES_MAX);
  const match = /^(\d{1,9}) ([a-z]{1,32}) (\d{1,9})([ \n])/.exec(text);
  if (match === null) {
    if (text.length === HEAD_BYTES_MAX) throw noFrame(bytes, from);
    return undefined;
  }
  const [head, transaction, command = '', length, separator] = match;
  const dataFrom = from + head.length - (separator === '\n' ? 1 : 0);
  return { transaction: Number(transaction), command, dataBytes: Number(length), dataFrom };
}

function noFrame(bytes: Buffer, from: number): BenchError {
  return new BenchError(
    `rsyslogd said what is no RELP frame: ${bytes.toString('latin1', from, from + 80)}`,
  );
}

export interface RelpClientOptions {
  readonly port: number;
  /** One more of what was sent is in the receiver's care. */
  readonly acknowledged: () => void;
  /** A frame was refused, or the connection ended before {@link RelpClient.close}. */
  readonly failed: (error: Error) => void;
}

export class RelpClient {
  readonly #socket: Socket;
  readonly #options: RelpClientOptions;
  readonly #reader = new RelpReader();
  readonly #opened = Promise.withResolvers<void>();
  #lastTransaction = OPENING_TRANSACTION;
  #closed = false;

  /** Resolves when the receiver takes frames. Throws BenchError when it doesn't. */
  static async connect(options: RelpClientOptions): Promise<RelpClient> {
    const client = new RelpClient(await dial('rsyslogd', options.port), options);
    const late = () => client.#fail('rsyslogd did not open a RELP session');
    const timer = setTimeout(late, OPEN_WITHIN_MS);
    try {
      await client.#opened.promise;
      return client;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(socket: Socket, options: RelpClientOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (cause) => this.#fail('the connection to rsyslogd broke', cause));
    socket.on('close', () => this.#fail('rsyslogd closed the connection'));
    const transaction = OPENING_TRANSACTION;
    socket.write(relpFrame({ transaction, command: 'open', data: OPENING }));
  }

  send(messages: readonly Buffer[]): void {
    const frames = messages.map((data) => {
      this.#lastTransaction += 1;
      return relpFrame({ transaction: this.#lastTransaction, command: 'syslog', data });
    });
    this.#socket.write(Buffer.concat(frames));
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.take(chunk)) this.#answered(frame);
    } catch (cause) {
      this.#fail('the answer of rsyslogd cannot be read', cause);
    }
  }

  #answered({ transaction, command, data }: RelpFrame): void {
    if (command !== 'rsp' || !data.toString('latin1').startsWith(ACCEPTED)) {
      this.#fail(`rsyslogd refuses transaction ${transaction}: ${command} ${data}`);
    } else if (transaction === OPENING_TRANSACTION) {
      this.#opened.resolve();
    } else {
      this.#options.acknowledged();
    }
  }

  #fail(what: string, cause?: unknown): void {
    if (this.#closed) return;
    this.close();
    const error = new BenchError(what, { cause });
    this.#opened.reject(error);
    this.#options.failed(error);
  }
}
