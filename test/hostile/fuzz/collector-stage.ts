/**
 * The collector's side on a bench: the real framer, codec and sender, with a queue of a few frames,
 * against a server that can't be trusted; then against one that can. The witness knows what may
 * never happen, whatever the first one said:
 *
 * - nothing is thrown but what the sender takes as a failed link;
 * - no frame leaves, and nothing is settled, before the server has proven itself;
 * - what is said to be settled is a range of an epoch that was announced;
 * - every frame leaves as it is in the queue, and all that is said is right by the codec;
 * - what is said is no more than a small multiple of what came, frames aside;
 * - the link ends with a server that falls silent, another dial follows, and the right server then
 *   gets every frame that nobody settled.
 */
import type { HeldEpoch, QueuePosition } from '#collector/producer/queue/queue.ts';
import { Sender, type SenderAction } from '#collector/producer/sender.ts';
import { decodeBody } from '#protocol/codec.ts';
import { Framer } from '#protocol/framer.ts';
import { macKeyOf } from '#protocol/handshake.ts';
import { type Frame, SEQ_MAX } from '#protocol/identity.ts';
import type { Message } from '#protocol/messages.ts';
import { type SettledRange, SettledRanges } from '#protocol/settlement.ts';
import { Random } from '#test/simulation/model/random.ts';
import { chunksOf } from './chunks.ts';
import type { Recipe } from './hostile-collector.ts';
import { ackOf, type Heard, HostileServer, STORE_ID } from './hostile-server.ts';
import { EPOCHS, frameAt, isHonest } from './universe.ts';
import { must } from './violation.ts';

const TOKEN = Buffer.from('the token of the fuzzer');
const KEY = macKeyOf(TOKEN);
const HIGHEST = [5, 12, 9] as const;

const FRAMES: readonly Frame[] = HIGHEST.flatMap((highest, epochIndex) =>
  Array.from({ length: highest }, (_, i) => ({
    epoch: EPOCHS[epochIndex] ?? EPOCHS[0],
    ...frameAt(epochIndex, i + 1),
  })),
);

/** A PONG for a PING that is as short as can be, and the PINGs of its own. */
const ANSWER_FACTOR_MAX = 8;
const ANSWER_BYTES_FREE = 4_096;
/** What a server may ask for, 300 s, and the longest wait of its own. */
const WAIT_MS_MAX = 360_000;
const TICKS_MAX = 400;
const HONEST_ROUNDS_MAX = 60;

export interface CollectorOutcome {
  /** Why the link to the hostile server ended. */
  readonly reason: string;
  readonly mutations: readonly string[];
}

/** Plays one connection to a hostile server and what follows. Throws Violation, or what is let out. */
export function playCollector(recipe: Recipe): CollectorOutcome {
  const stage = new CollectorStage(recipe);
  const outcome = stage.playHostile(recipe);
  stage.playHonest();
  return outcome;
}

/** What the server's end of one connection has heard. */
class Ear implements Heard {
  readonly #framer = new Framer();
  frames: { readonly epochIndex: number; readonly seqs: readonly number[] }[] = [];
  pings: number[] = [];
  helloBody: Buffer | undefined;
  announced = 0;
  unanswered: number | undefined;
  bytes = 0;
  frameBytes = 0;
  readonly epochs: string[] = [];

  constructor() {
    this.#framer.liftLimit();
  }

  hear(bytes: Buffer): Message[] {
    this.bytes += bytes.length;
    this.#framer.push(bytes);
    const messages: Message[] = [];
    for (let raw = this.#framer.next(); raw; raw = this.#framer.next()) {
      const message = decodeBody(raw.kind, raw.flags, raw.body);
      if (message.kind === 'hello') this.helloBody = raw.body;
      if (message.kind === 'hello' || message.kind === 'epochs') this.#onAnnounced(message);
      if (message.kind === 'ping') this.pings.push(message.id);
      if (message.kind === 'frames') {
        this.frameBytes += raw.body.length;
        const { epochIndex, frames } = message;
        this.frames.push({ epochIndex, seqs: frames.map(({ seq }) => seq) });
      }
      messages.push(message);
    }
    return messages;
  }

  #onAnnounced(message: Extract<Message, { kind: 'hello' | 'epochs' }>): void {
    if (message.kind === 'epochs') this.unanswered ??= this.announced;
    this.announced += message.epochs.length;
    this.epochs.push(...message.epochs.map(({ epoch }) => epoch));
  }
}

class CollectorStage {
  readonly #random: Random;
  readonly #isWell: boolean;
  readonly #sender: Sender;
  readonly #settled = new Map(EPOCHS.map((epoch) => [epoch as string, new SettledRanges()]));
  readonly #delivered = new Set<string>();
  readonly #pending: (() => void)[] = [];
  #now = 1_000;
  #connection = 0;
  #isOpen = false;
  #ear = new Ear();
  #proven = false;
  #bytesIn = 0;
  #dials = 0;

  constructor({ surroundings }: Recipe) {
    this.#random = new Random(surroundings);
    this.#isWell = surroundings === 0;
    const order = this.#isWell || this.#random.chance(0.7) ? 'oldest' : 'live';
    this.#sender = new Sender(
      {
        collector: 'fuzz',
        instance: '11111111-1111-4111-8111-111111111111',
        key: KEY,
        random: () => 0.5,
        nonce: () => Buffer.alloc(32, 7),
        storeId: STORE_ID,
        delivery: { order },
      },
      this.#now,
    );
    this.#sender.onAppended({ epoch: EPOCHS[2], seq: HIGHEST[2] });
    this.#pump();
  }

  playHostile({ hello, chunks, steps }: Recipe): CollectorOutcome {
    const server = new HostileServer(TOKEN);
    const random = new Random(chunks);
    this.#connect();
    this.#say(server.greet(hello), chunks, random);
    this.#answerAll();
    if (this.#isOpen && this.#ear.helloBody !== undefined) {
      const welcome = server.welcome(hello === 0 ? 0 : hello ^ 0x2a2a, this.#ear);
      this.#proven = server.proven;
      this.#say(welcome, chunks, random);
    }
    for (const step of steps) {
      if (!this.#isOpen) break;
      const bytes = server.next(step, this.#ear);
      if (this.#random.chance(0.8)) this.#ear.frames = [];
      this.#say(bytes, chunks, random);
    }
    this.#answerAll();
    if (this.#isOpen && this.#random.chance(0.3)) this.#closeFromServer();
    this.#untilLinkFails();
    const { state } = this.#sender;
    const reason = state.name === 'Backoff' ? state.error.code : state.name;
    return { reason, mutations: server.mutations };
  }

  /** A right server: it gets everything that is left. */
  playHonest(): void {
    for (let round = 0; this.#left().length > 0; round += 1) {
      must(round < HONEST_ROUNDS_MAX, () => `does not heal: ${this.#left().join(', ')} are left`);
      if (!this.#isOpen) this.#untilDial();
      this.#serveHonestly();
    }
  }

  #serveHonestly(): void {
    const server = new HostileServer(TOKEN);
    this.#connect();
    this.#say(server.greet(0), 0, this.#random);
    this.#answerAll();
    if (!this.#isOpen) return;
    const welcome = server.welcome(0, this.#ear);
    this.#proven = true;
    this.#say(welcome, 0, this.#random);
    for (let turn = 0; turn < HONEST_ROUNDS_MAX && this.#isOpen; turn += 1) {
      if (this.#left().length === 0) return;
      this.#answerAll();
      this.#say(this.#rightAnswer(server), 0, this.#random);
      if (this.#isOpen) this.#tick();
    }
  }

  #rightAnswer(server: HostileServer): Buffer {
    const ear = this.#ear;
    const parts: Message[] = [];
    if (ear.unanswered !== undefined) {
      parts.push({ kind: 'settled', firstEpochIndex: ear.unanswered, settled: [] });
      ear.unanswered = undefined;
    }
    for (const id of ear.pings.splice(0)) {
      parts.push({ kind: 'pong', id, bytesReceived: ear.bytes, highest: undefined });
    }
    parts.push(ackOf({ frames: ear.frames.splice(0) }));
    return Buffer.concat(parts.map((message) => server.say(message)));
  }

  /** Frames that no server has confirmed, and that the last one has not got. */
  #left(): string[] {
    return FRAMES.filter(
      ({ epoch, seq }) =>
        !this.#settled.get(epoch)?.has(seq) && !this.#delivered.has(`${epoch} ${seq}`),
    ).map(({ epoch, seq }) => `${epoch.at(-1)}/${seq}`);
  }

  #connect(): void {
    this.#sender.onConnected(this.#connection, this.#now);
    this.#pump();
  }

  #closeFromServer(): void {
    this.#isOpen = false;
    this.#sender.onClosed(this.#connection, undefined, this.#now);
    this.#pump();
  }

  #untilLinkFails(): void {
    for (let ticks = 0; this.#isOpen; ticks += 1) {
      must(ticks < TICKS_MAX, () => 'a silent server keeps the link for ever');
      this.#tick();
      this.#answerAll();
    }
  }

  #untilDial(): void {
    const dials = this.#dials;
    for (let ticks = 0; this.#dials === dials; ticks += 1) {
      must(ticks < TICKS_MAX, () => `never dials again: ${this.#sender.state.name}`);
      this.#tick();
    }
  }

  #tick(): void {
    const deadline = this.#sender.nextDeadline;
    must(Number.isFinite(deadline), () => `no deadline while ${this.#sender.state.name}`);
    const waitMs = (deadline ?? 0) - this.#now;
    must(waitMs <= WAIT_MS_MAX, () => `waits for ${waitMs} ms`);
    this.#now = Math.max(this.#now, deadline ?? 0);
    this.#sender.onTick(this.#now);
    this.#pump();
  }

  #say(bytes: Buffer, number: number, random: Random): void {
    for (const chunk of chunksOf(bytes, number, random)) {
      if (!this.#isOpen) return;
      this.#now += 1;
      this.#bytesIn += chunk.length;
      this.#sender.onBytes(this.#connection, chunk, this.#now);
      this.#pump();
      while (this.#pending.length > 0 && (this.#isWell || this.#random.chance(0.5))) {
        this.#answerOne();
      }
    }
  }

  #answerAll(): void {
    while (this.#pending.length > 0) this.#answerOne();
  }

  #answerOne(): void {
    this.#pending.shift()?.();
    this.#pump();
  }

  #pump(): void {
    for (let action = this.#sender.poll(this.#now); action; action = this.#sender.poll(this.#now)) {
      this.#perform(action);
    }
  }

  #perform(action: SenderAction): void {
    switch (action.type) {
      case 'dial':
        this.#connection = action.connection;
        this.#isOpen = true;
        this.#ear = new Ear();
        this.#proven = false;
        this.#bytesIn = 0;
        this.#dials += 1;
        return;
      case 'write':
        if (action.connection === this.#connection) this.#onWrite(action.bytes);
        return;
      case 'close':
        if (action.connection === this.#connection) this.#isOpen = false;
        return;
      case 'read-held':
        this.#pending.push(() => this.#sender.onHeld(action.connection, this.#held(), this.#now));
        return;
      case 'read-frames': {
        const { connection, after, frames } = action;
        this.#pending.push(() => this.#sender.onFrames(connection, this.#read(after, frames)));
        return;
      }
      case 'read-gaps':
        this.#pending.push(() => this.#sender.onGaps(action.connection, []));
        return;
      case 'settle':
      case 'reconcile':
        for (const range of action.ranges) this.#onSettled(action.epoch, range);
        return;
      case 'reject':
        return this.#onSettled(action.epoch, action.range);
      case 'state':
        if (action.to.name === 'Backoff') this.#isOpen = false;
        return;
    }
  }

  #onSettled(epoch: string, range: SettledRange): void {
    const { from, to } = range;
    must(this.#proven, () => 'settled by a server that has not proven itself');
    must(this.#ear.epochs.includes(epoch), () => `settled in ${epoch}, never announced`);
    must(1 <= from && from <= to && to <= SEQ_MAX, () => `settled from ${from} to ${to}`);
    const highest = HIGHEST[EPOCHS.indexOf(epoch as (typeof EPOCHS)[number])] ?? 0;
    if (from <= highest) {
      this.#settled.get(epoch)?.add({ ...range, to: Math.min(to, highest) });
    }
  }

  #onWrite(bytes: Buffer): void {
    const ear = this.#ear;
    for (const message of ear.hear(bytes)) {
      if (message.kind !== 'frames') continue;
      must(this.#proven, () => 'frames for a server that has not proven itself');
      const epoch = ear.epochs[message.epochIndex] ?? '';
      for (const frame of message.frames) {
        must(isHonest(epoch, frame), () => `frame ${frame.seq} left as something else`);
        this.#delivered.add(`${epoch} ${frame.seq}`);
      }
    }
    const answers = ear.bytes - ear.frameBytes;
    const most = ANSWER_FACTOR_MAX * this.#bytesIn + ANSWER_BYTES_FREE;
    must(answers <= most, () => `${answers} bytes for ${this.#bytesIn}`);
  }

  #held(): HeldEpoch[] {
    return EPOCHS.map((epoch, i) => ({
      epoch,
      lowest:
        this.#settled.get(epoch)?.unsettled(1, HIGHEST[i] ?? 0)[0]?.from ?? (HIGHEST[i] ?? 0) + 1,
      highest: HIGHEST[i] ?? 0,
      predecessor:
        i === 0 ? undefined : { epoch: EPOCHS[i - 1] ?? '', lastSeq: HIGHEST[i - 1] ?? 0 },
      onlyRemembered: false,
    }));
  }

  #read(after: QueuePosition | undefined, count: number): Frame[] {
    const from = FRAMES.findIndex(({ epoch, seq }) => epoch === after?.epoch && seq === after.seq);
    const pending = FRAMES.slice(from + 1).filter(
      ({ epoch, seq }) => !this.#settled.get(epoch)?.has(seq),
    );
    return pending.slice(0, count);
  }
}
