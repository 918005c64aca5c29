/**
 * A sender on a bench: a virtual clock, a queue that is an array, and a server's side that the test
 * plays by hand or by `answer…` helpers. No sockets, no timers, no disk.
 */
import type { SettledAnswer } from '#collector/producer/announcements.ts';
import type { HeldEpoch } from '#collector/producer/queue/queue.ts';
import type { Connection, SenderAction, SenderOptions } from '#collector/producer/sender.ts';
import { Sender } from '#collector/producer/sender.ts';
import { decodeBody, encodeBody } from '#protocol/codec.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import { Framer } from '#protocol/framer.ts';
import { macKeyOf, signWelcome, verifyHello } from '#protocol/handshake.ts';
import { type Frame, frameCrc } from '#protocol/identity.ts';
import type { EpochAnnouncement, Frames, Hello, Message, Terms } from '#protocol/messages.ts';
import { type GapReason, type SettledRange, SettledRanges } from '#protocol/settlement.ts';

export const EPOCH = '01938c5e-8a00-7000-8000-000000000001';
export const STORE_ID = '01938c5e-0000-7000-8000-0000000000aa';
const TOKEN = Buffer.from('the token of the test');
const NONCE = Buffer.alloc(32, 9);

const TERMS: Terms = {
  heartbeatIntervalMs: 1_000,
  retrySpreadMs: 0,
  retryCapMs: 1_000,
  payloadBytesMax: 1_048_576,
  windowBytesMax: 4_194_304,
  zstd: false,
};

/** An epoch whose number stands in its last digits. */
export function epochNumber(n: number): string {
  return `01938c5e-8a00-7000-8000-${String(n).padStart(12, '0')}`;
}

export function frame(epoch: string, seq: number, bytes = 100): Frame {
  const made = {
    epoch,
    seq,
    capturedAt: 1_764_000_000_000_000 + seq,
    payload: Buffer.alloc(bytes),
  };
  return { ...made, crc: frameCrc(made) };
}

/** The server's end of one connection. */
class Peer {
  readonly writer = new MessageWriter();
  readonly framer = new Framer();
  greetingBody = encodeBody(this.greeting()).body;
  received: Message[] = [];
  helloBody: Buffer | undefined;
  bytesReceived = 0;
  /** PINGs that wait for their answer, and how many bytes the server has with each. */
  pings: { readonly id: number; readonly bytes: number }[] = [];

  greeting(versions = [2], storeId = STORE_ID) {
    return { kind: 'greeting', versions, nonce: NONCE, storeId } as const;
  }

  take(bytes: Buffer): void {
    if (this.helloBody) this.bytesReceived += bytes.length;
    this.framer.push(bytes);
    for (let raw = this.framer.next(); raw; raw = this.framer.next()) {
      const message = decodeBody(raw.kind, raw.flags, raw.body);
      if (message.kind === 'hello') {
        this.helloBody = raw.body;
        this.framer.liftLimit();
      }
      if (message.kind === 'ping') this.pings.push({ id: message.id, bytes: this.bytesReceived });
      this.received.push(message);
    }
  }
}

export class Rig {
  now = 1_000;
  random = 0.5;
  frames: Frame[] = [];
  gaps: { epoch: string; from: number; to: number; reason: GapReason }[] = [];
  held: (EpochAnnouncement | HeldEpoch)[] | undefined;
  terms = TERMS;
  /** Everything the sender asked for that isn't answered by the bench itself. */
  log: SenderAction[] = [];
  settled: { epoch: string; ranges: readonly SettledRange[] }[] = [];
  /** The queue answers at once what it holds, as often as it is asked; else by `answerHeld`. */
  answersHeld = true;
  heldAsked = 0;
  /** What the server's answers said of the epochs that were announced. */
  reconciled: SettledAnswer[] = [];
  connection: Connection = 0;
  peer = new Peer();
  closed = new Set<Connection>();
  readonly sender: Sender;

  constructor(token: Uint8Array = TOKEN, delivery: NonNullable<SenderOptions['delivery']> = {}) {
    const sender = new Sender(
      {
        delivery,
        collector: 'bench',
        instance: '01938c5e-0000-4000-8000-0000000000bb',
        key: macKeyOf(token),
        random: () => this.random,
        nonce: () => NONCE,
        storeId: undefined,
      },
      this.now,
    );
    this.sender = sender;
    this.drain();
  }

  get state() {
    return this.sender.state;
  }

  /** Performs what the sender asks until it asks for nothing. */
  drain(): void {
    for (let action = this.sender.poll(this.now); action; action = this.sender.poll(this.now)) {
      this.#perform(action);
    }
  }

  /** Moves the clock, ticking wherever the sender wants it. */
  advance(ms: number, onStep: () => void = () => undefined): void {
    const until = this.now + ms;
    for (;;) {
      const deadline = this.sender.nextDeadline ?? Number.POSITIVE_INFINITY;
      if (deadline > until) break;
      this.now = Math.max(this.now, deadline);
      this.sender.onTick(this.now);
      this.drain();
      onStep();
    }
    this.now = until;
  }

  connect(): void {
    this.sender.onConnected(this.connection, this.now);
    this.drain();
  }

  /** The server's bytes, on the current connection. */
  fromServer(message: Message): void {
    this.sender.onBytes(this.connection, this.peer.writer.write(message).bytes, this.now);
    this.drain();
  }

  greet(versions?: number[], storeId?: string): void {
    const greeting = this.peer.greeting(versions, storeId);
    this.peer.greetingBody = encodeBody(greeting).body;
    this.fromServer(greeting);
  }

  welcome(settled: readonly (SettledRange & { epochIndex: number })[] = [], token = TOKEN): void {
    const { helloBody, greetingBody } = this.peer;
    if (!helloBody) throw new Error('no HELLO came');
    if (!verifyHello(macKeyOf(TOKEN), greetingBody, helloBody))
      throw new Error('HELLO is not proven');
    const welcome = { kind: 'welcome', ...this.terms, settled } as const;
    this.fromServer(signWelcome(macKeyOf(token), greetingBody, helloBody, welcome));
  }

  /** From wherever it is to Ready. */
  ready(): void {
    if (this.state.name === 'Backoff') this.advance(this.state.until - this.now);
    this.connect();
    this.greet();
    this.welcome();
    if (this.state.name !== 'Ready') throw new Error(`not Ready but ${this.state.name}`);
  }

  answerHeld(): void {
    this.sender.onHeld(this.connection, this.#allHeld(), this.now);
    this.drain();
  }

  /** The store forgets frames: they are pending again. */
  lose(epoch: string, seqs: readonly number[]): void {
    this.settled = this.settled.map((one) =>
      one.epoch === epoch ? { ...one, ranges: without(one.ranges, seqs) } : one,
    );
    this.sender.onStoreLost();
    this.drain();
  }

  append(...frames: Frame[]): void {
    this.frames.push(...frames);
    const last = frames.at(-1);
    if (last) this.sender.onAppended({ epoch: last.epoch, seq: last.seq });
    this.drain();
  }

  ack(epochIndex: number, from: number, to: number, state: SettledRange['state'] = 'stored'): void {
    this.fromServer({ kind: 'ack', settled: [{ epochIndex, from, to, state, code: 0 }] });
  }

  /**
   * The server's heartbeat, which counts what really arrived, and its answers to the PINGs in there;
   * none where it doesn't understand what arrives.
   */
  ping(bytesReceived = this.peer.bytesReceived, { understands = true } = {}): void {
    const arrived = this.peer.pings.filter(({ bytes }) => bytes <= bytesReceived);
    this.peer.pings = this.peer.pings.filter(({ bytes }) => bytes > bytesReceived);
    const { connection } = this;
    for (const { id } of understands ? arrived : []) {
      if (this.connection !== connection) return;
      this.fromServer({ kind: 'pong', id, bytesReceived, highest: undefined });
    }
    this.fromServer({ kind: 'ping', id: 1, bytesReceived, highest: undefined });
  }

  /** Why the link was lost last, and when. */
  get lastLoss() {
    const losses = this.log.flatMap((action) =>
      action.type === 'state' && action.to.name === 'Backoff' ? [action.to] : [],
    );
    return losses.at(-1);
  }

  hello(): Hello {
    const hello = this.sent('hello').at(-1);
    if (hello === undefined) throw new Error('no HELLO came');
    return hello;
  }

  /** What arrived of one kind on the current connection. */
  sent<K extends Message['kind']>(kind: K): Extract<Message, { kind: K }>[] {
    return this.peer.received.filter(
      (message): message is Extract<Message, { kind: K }> => message.kind === kind,
    );
  }

  sentSeqs(): number[] {
    return this.sent('frames').flatMap((message: Frames) => message.frames.map(({ seq }) => seq));
  }

  #perform(action: SenderAction): void {
    switch (action.type) {
      case 'dial':
        this.connection = action.connection;
        this.peer = new Peer();
        break;
      case 'write':
        if (action.connection === this.connection) this.peer.take(action.bytes);
        break;
      case 'close':
        this.closed.add(action.connection);
        break;
      case 'read-held':
        this.heldAsked += 1;
        if (this.answersHeld) this.sender.onHeld(action.connection, this.#allHeld(), this.now);
        break;
      case 'read-frames': {
        const from = this.frames.findIndex(
          ({ epoch, seq }) => epoch === action.after?.epoch && seq === action.after.seq,
        );
        const pending = this.frames.slice(from + 1).filter((one) => !this.#isSettled(one));
        this.sender.onFrames(action.connection, pending.slice(0, action.frames));
        break;
      }
      case 'read-gaps':
        this.sender.onGaps(action.connection, this.gaps);
        break;
      case 'settle':
        this.settled.push({ epoch: action.epoch, ranges: action.ranges });
        break;
      case 'reconcile': {
        const { epoch, within } = action;
        const ranges = action.ranges.filter(({ state }) => state !== 'rejected');
        this.reconciled.push({ epoch, within, ranges: action.ranges });
        if (ranges.length > 0) this.settled.push({ epoch, ranges });
        break;
      }
      default:
        this.log.push(action);
    }
  }

  #isSettled({ epoch, seq }: Frame): boolean {
    return this.settled.some(
      (one) => one.epoch === epoch && one.ranges.some(({ from, to }) => seq >= from && seq <= to),
    );
  }

  #allHeld(): HeldEpoch[] {
    const held: (EpochAnnouncement | HeldEpoch)[] = this.held ?? this.#heldOfFrames();
    return held.map((epoch) => ({ onlyRemembered: false, ...epoch }));
  }

  #heldOfFrames(): EpochAnnouncement[] {
    const epochs = [...new Set(this.frames.map(({ epoch }) => epoch))];
    return epochs.map((epoch) => {
      const seqs = this.frames.filter((one) => one.epoch === epoch).map(({ seq }) => seq);
      return {
        epoch,
        lowest: Math.min(...seqs),
        highest: Math.max(...seqs),
        predecessor: undefined,
      };
    });
  }
}

function without(ranges: readonly SettledRange[], seqs: readonly number[]): SettledRange[] {
  const rest = new SettledRanges(ranges);
  for (const seq of seqs) rest.forget({ from: seq, to: seq });
  return [...rest.ranges];
}
