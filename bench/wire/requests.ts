/**
 * A connection as a request-and-response client has it: it joins, sends one request of records at a
 * time, and says when the server has all of them on its disk, or that the connection has ended. No
 * queue, no retries, no deadlines: those are its owner's.
 *
 * It answers heartbeats, so that the server keeps it however little there is to send.
 */
import { connect, type Socket } from 'node:net';
import { decodeBody } from '#protocol/codec.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import { Framer, type RawMessage } from '#protocol/framer.ts';
import { FrameCrc } from '#protocol/identity.ts';
import type { Message } from '#protocol/messages.ts';
import { type Joiner, Joining } from './joining.ts';

export interface RequestRecord {
  /** Microseconds since 1970 UTC. */
  readonly capturedAt: number;
  readonly payload: Buffer;
}

export interface RequestEvents {
  /** It is proven, and takes requests. */
  onJoined(): void;
  /** The whole request before is stored. */
  onStored(): void;
  /** Once, unless it was closed from here. */
  onClosed(): void;
}

export class RequestConnection {
  readonly #events: RequestEvents;
  readonly #socket: Socket;
  readonly #writer = new MessageWriter();
  readonly #framer = new Framer();
  readonly #crc: FrameCrc;
  readonly #joining: Joining;
  #bytesReceived = 0;
  /** The last seq that left, and up to which all are stored. */
  #sentTo = 0;
  #storedTo = 0;
  #isOver = false;

  /** Dials at once. */
  constructor(port: number, joiner: Joiner, events: RequestEvents) {
    this.#events = events;
    this.#crc = new FrameCrc(joiner.epoch);
    this.#joining = new Joining(joiner);
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.on('data', (bytes: Buffer) => this.#onBytes(bytes));
    // What kind of end it is makes no difference; close follows.
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.#end());
  }

  /** Sends records as messages of so many each. One request at a time. */
  request(messages: readonly (readonly RequestRecord[])[]): void {
    for (const records of messages) {
      const frames = records.map(({ capturedAt, payload }) => {
        this.#sentTo += 1;
        const seq = this.#sentTo;
        return { seq, capturedAt, payload, crc: this.#crc.of(seq, capturedAt, payload) };
      });
      this.#socket.write(this.#writer.write({ kind: 'frames', epochIndex: 0, frames }).bytes);
    }
  }

  /** Ends it, and tells nothing any more. */
  close(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  #end(): void {
    if (this.#isOver) return;
    this.close();
    this.#events.onClosed();
  }

  #onBytes(bytes: Buffer): void {
    this.#bytesReceived += bytes.length;
    this.#framer.push(bytes);
    for (let raw = this.#framer.next(); raw && !this.#isOver; raw = this.#framer.next()) {
      this.#onMessage(raw, decodeBody(raw.kind, raw.flags, raw.body));
    }
  }

  #onMessage(raw: RawMessage, message: Message): void {
    switch (message.kind) {
      case 'greeting':
        this.#socket.write(this.#joining.onGreeting(raw.body, this.#writer));
        return;
      case 'welcome':
        if (!this.#joining.isProven(raw.body)) return this.#end();
        this.#framer.liftLimit();
        return this.#events.onJoined();
      case 'ack':
        for (const { from, to } of message.settled) {
          if (from <= this.#storedTo + 1) this.#storedTo = Math.max(this.#storedTo, to);
        }
        if (this.#storedTo === this.#sentTo) this.#events.onStored();
        return;
      case 'ping': {
        const { id } = message;
        const pong = { kind: 'pong', id, bytesReceived: this.#bytesReceived } as const;
        this.#socket.write(this.#writer.write({ ...pong, highest: undefined }).bytes);
        return;
      }
      case 'bye':
        return this.#end();
    }
    throw new Error(`${message.kind} came: ${JSON.stringify(message)}`);
  }
}
