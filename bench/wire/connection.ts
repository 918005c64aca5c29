/**
 * A collector made of the protocol alone: no queue, no disk, no sender. It joins, sends frames that
 * were made into messages beforehand, keeps to the window, and notes what is acknowledged. So what
 * is measured with it is the server.
 *
 * It answers a PING only while no message waits to be sent: those made beforehand have the counters of
 * the connection already, and are sign of life enough.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { decodeBody } from '#protocol/codec.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import { Framer, type RawMessage } from '#protocol/framer.ts';
import type { Epoch } from '#protocol/identity.ts';
import type { Message, WireFrame } from '#protocol/messages.ts';
import { Joining } from './joining.ts';

export interface WireOptions {
  readonly port: number;
  readonly token: string;
  readonly collector: string;
  /** A UUID; it is the epoch's and the process's. */
  readonly id: Epoch;
  readonly frameOf: (seq: number) => WireFrame;
  /** All up to this seq was stored over earlier connections; 0 when left out. */
  readonly storedTo?: number;
}

/** A FRAMES message that is ready to leave. */
export interface MadeMessage {
  readonly bytes: Buffer;
  /** The last seq in it. */
  readonly to: number;
}

export class WireConnection {
  readonly #options: WireOptions;
  readonly #socket: Socket;
  readonly #writer = new MessageWriter();
  readonly #framer = new Framer();
  readonly #joining: Joining;
  readonly #joined = Promise.withResolvers<void>();
  #windowBytes = 0;
  #made: MadeMessage[] = [];
  #seq = 0;
  /** The last seq that left, and those that are acknowledged without a hole. */
  #sentTo = 0;
  #ackedTo = 0;
  #inFlight: MadeMessage[] = [];
  #inFlightBytes = 0;
  #bytesReceived = 0;
  #ended: Error | undefined;
  /** Who waits for an ack, and of what. */
  #acked: (PromiseWithResolvers<void> & { readonly to: number }) | undefined;
  /** Told of each ACK: seqs up to here are on the server's disk. */
  onAcked: (to: number) => void = () => {};

  constructor(options: WireOptions) {
    this.#options = options;
    const { token, collector, id, storedTo = 0 } = options;
    this.#joining = new Joining({ token, collector, instance: id, epoch: id, storedTo });
    this.#seq = storedTo;
    this.#sentTo = storedTo;
    this.#ackedTo = storedTo;
    this.#socket = connect({ host: '127.0.0.1', port: options.port, noDelay: true });
    this.#socket.on('data', (bytes: Buffer) => this.#onBytes(bytes));
    const end = (why: string) => {
      this.#ended ??= new Error(`a connection ended: ${why}`);
      this.#joined.reject(this.#ended);
      this.#acked?.reject(this.#ended);
    };
    this.#socket.on('error', (error) => end(error.message));
    this.#socket.on('close', () => end('closed'));
  }

  /** Resolves once it is welcomed. */
  joined(): Promise<void> {
    return this.#joined.promise;
  }

  /** Makes the next frames into messages of so many each. */
  make(frames: number, framesPerMessage: number): void {
    for (let left = frames; left > 0; left -= framesPerMessage) {
      this.#made.push(this.#message(Math.min(left, framesPerMessage)));
    }
  }

  /** Sends all that was made, as far as the window allows; resolves when it is acknowledged. */
  async drain(): Promise<void> {
    const to = this.#made.at(-1)?.to ?? this.#sentTo;
    this.#made.reverse();
    this.#fill();
    await this.ackedTo(to);
  }

  /** Resolves when all up to this seq is acknowledged; rejects when the connection ends before. */
  ackedTo(to: number): Promise<void> {
    if (this.#ackedTo >= to) return Promise.resolve();
    if (this.#ended) return Promise.reject(this.#ended);
    this.#acked = { ...Promise.withResolvers<void>(), to };
    return this.#acked.promise;
  }

  /** Makes one frame into a message and sends it. Answers its seq. Throws when the connection has ended. */
  sendOne(): number {
    if (this.#ended) throw this.#ended;
    const message = this.#message(1);
    this.#sentTo = message.to;
    this.#socket.write(message.bytes);
    return message.to;
  }

  /** Without a BYE, as a program does that is done with it. */
  async close(): Promise<void> {
    if (this.#socket.destroyed) return;
    this.#socket.destroy();
    await once(this.#socket, 'close');
  }

  #message(count: number): MadeMessage {
    const frames = Array.from({ length: count }, () => {
      this.#seq += 1;
      return this.#options.frameOf(this.#seq);
    });
    const { bytes } = this.#writer.write({ kind: 'frames', epochIndex: 0, frames });
    return { bytes, to: this.#seq };
  }

  #fill(): void {
    for (let next = this.#made.at(-1); next; next = this.#made.at(-1)) {
      const fits = this.#inFlightBytes + next.bytes.length <= this.#windowBytes;
      if (!fits && this.#inFlight.length > 0) return;
      this.#made.pop();
      this.#inFlight.push(next);
      this.#inFlightBytes += next.bytes.length;
      this.#sentTo = next.to;
      this.#socket.write(next.bytes);
    }
  }

  #onBytes(bytes: Buffer): void {
    this.#bytesReceived += bytes.length;
    this.#framer.push(bytes);
    for (let raw = this.#framer.next(); raw; raw = this.#framer.next()) {
      this.#onMessage(raw, decodeBody(raw.kind, raw.flags, raw.body));
    }
  }

  #onMessage(raw: RawMessage, message: Message): void {
    switch (message.kind) {
      case 'greeting':
        this.#socket.write(this.#joining.onGreeting(raw.body, this.#writer));
        return;
      case 'welcome':
        if (!this.#joining.isProven(raw.body)) break;
        this.#framer.liftLimit();
        this.#windowBytes = message.windowBytesMax;
        return this.#joined.resolve();
      case 'ack':
        for (const { from, to } of message.settled) {
          if (from <= this.#ackedTo + 1) this.#ackedTo = Math.max(this.#ackedTo, to);
        }
        return this.#onAck();
      case 'ping':
        if (this.#made.length === 0) this.#answerPing(message.id);
        return;
    }
    throw new Error(`${message.kind} came: ${JSON.stringify(message)}`);
  }

  #answerPing(id: number): void {
    const highest = { epochIndex: 0, seq: this.#seq };
    const bytesReceived = this.#bytesReceived;
    this.#socket.write(this.#writer.write({ kind: 'pong', id, bytesReceived, highest }).bytes);
  }

  #onAck(): void {
    this.onAcked(this.#ackedTo);
    for (let first = this.#inFlight[0]; first; first = this.#inFlight[0]) {
      if (first.to > this.#ackedTo) break;
      this.#inFlight.shift();
      this.#inFlightBytes -= first.bytes.length;
    }
    this.#fill();
    if (this.#acked !== undefined && this.#ackedTo >= this.#acked.to) this.#acked.resolve();
  }
}
