/**
 * The sender: brings what the queue holds to the server over one connection after another, and
 * heals by itself.
 *
 * Theory of operation. The sender is sans-IO: time (monotonic milliseconds), randomness and nonces
 * are passed in; inputs are the `on…` methods; after each input the driver takes `poll` until it is
 * empty and arms one timer for `nextDeadline`. A late or repeated tick changes nothing.
 *
 * States and steps are those of `sender-state.ts`; `#go` is the only assignment. A connection is a
 * number that the sender gives out with each dial: events that carry another number are of an old
 * connection and are ignored. What a proven connection has to bring over is a `Delivery`, which
 * dies with it.
 *
 * Not here: what becomes of frames on a connection (`delivery.ts`), when a silent one is taken for
 * dead (`pulse.ts`), sockets and timers (`link.ts`), the queue (`queue/`), who wires them
 * (`pipeline.ts`).
 */
import { decodeBody } from '#protocol/codec.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import { assertNever, ProtocolError } from '#protocol/errors.ts';
import { Framer, type RawMessage } from '#protocol/framer.ts';
import { type MacKey, signHello, verifyWelcome } from '#protocol/handshake.ts';
import type { Epoch, Frame } from '#protocol/identity.ts';
import { EPOCHS_PER_MESSAGE_MAX, PROTOCOL_VERSION } from '#protocol/limits.ts';
import type { Greeting, Message, Reject, Welcome } from '#protocol/messages.ts';
import { REJECT_CODES, type SeqRange, type SettledRange } from '#protocol/settlement.ts';
import { Announcements, type SettledAnswer } from './announcements.ts';
import { backoffMs, clampPace, DEFAULT_PACE, type Pace } from './backoff.ts';
import {
  DELIVERY_DEFAULTS,
  Delivery,
  type DeliveryOptions,
  type DeliveryStep,
  type Settlement,
} from './delivery.ts';
import {
  byeError,
  closedError,
  deadlineError,
  LinkError,
  protocolLinkError,
} from './link-error.ts';
import { Pulse } from './pulse.ts';
import type { Gap, HeldEpoch, QueuePosition } from './queue/queue.ts';
import { assertLegalStep, type Phase, type SenderState } from './sender-state.ts';
import { type Tried, Tries } from './tries.ts';
import { Unconfirmed } from './unconfirmed.ts';

/** The number of one dial; grows with each. */
export type Connection = number;

/** What the driver has to do. */
export type SenderAction =
  | { readonly type: 'dial'; readonly connection: Connection }
  | { readonly type: 'write'; readonly connection: Connection; readonly bytes: Buffer }
  /** Write out what is written, then close wholly. */
  | { readonly type: 'close'; readonly connection: Connection }
  /** Answer by `onHeld`. */
  | { readonly type: 'read-held'; readonly connection: Connection }
  /** Answer by `onFrames`. */
  | {
      readonly type: 'read-frames';
      readonly connection: Connection;
      readonly after: QueuePosition | undefined;
      readonly frames: number;
      readonly bytes: number;
    }
  /** Answer by `onGaps`. */
  | { readonly type: 'read-gaps'; readonly connection: Connection }
  | {
      readonly type: 'settle';
      readonly storeId: string;
      readonly epoch: Epoch;
      readonly ranges: readonly SettledRange[];
    }
  /** All that the store has settled in this range; what it doesn't name of it, it has lost. */
  | {
      readonly type: 'reconcile';
      readonly storeId: string;
      readonly epoch: Epoch;
      readonly within: SeqRange;
      readonly ranges: readonly SettledRange[];
    }
  /** The server refuses these frames for good: keep them aside, then settle them. */
  | {
      readonly type: 'reject';
      readonly storeId: string;
      readonly epoch: Epoch;
      readonly range: SettledRange;
      /** The server's words; empty where it only says what became of a frame. */
      readonly text: string;
    }
  | { readonly type: 'state'; readonly from: SenderState; readonly to: SenderState };

export interface SenderOptions {
  readonly collector: string;
  /** A UUID of this process. */
  readonly instance: string;
  readonly key: MacKey;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** NONCE_BYTES unpredictable bytes. */
  readonly nonce: () => Uint8Array;
  /** The store that confirmed what the queue remembers as settled, if one has. */
  readonly storeId: string | undefined;
  /** How frames are brought over; {@link DELIVERY_DEFAULTS} where left out. */
  readonly delivery?: Partial<DeliveryOptions>;
}

export interface SenderCounters {
  /** Connections that became Ready. */
  connections: number;
  /** Frames sent again after a connection was lost before their ack. */
  resent: number;
}

/**
 * Two dials are at least so far apart: however fast connections break after bringing something over
 * (which resets the backoff), a server meets no more than 50 dials a second from one collector.
 */
const DIAL_EVERY_MS = 20;
const HANDSHAKE_MS_MIN = 5_000;
const HANDSHAKE_MS_MAX = 60_000;
/** So long in Ready without a failure counts as having done the work, even without a frame. */
const QUIET_MS = 10_000;
/** Nobody stops a server, puts another store in its place and starts it again in less. */
const ABSENCE_MS = 5_000;
/** What one dial has brought about so far. */
interface Conversation {
  readonly connection: Connection;
  readonly startedAt: number;
  readonly writer: MessageWriter;
  readonly framer: Framer;
  bytesSent: number;
  greeting?: { readonly body: Buffer; readonly message: Greeting };
  hello?: { readonly body: Buffer; readonly announcements: Announcements };
  proven?: Proven;
}

/** What there is once both ends are proven. */
interface Proven {
  readonly delivery: Delivery;
  readonly storeId: string;
  readonly pulse: Pulse;
  bytesReceived: number;
}

export class Sender {
  readonly counters: SenderCounters = { connections: 0, resent: 0 };
  readonly #options: SenderOptions;
  readonly #actions: SenderAction[] = [];
  #state: SenderState;
  #connection: Connection = 0;
  #conversation: Conversation | undefined;
  /** Failures since the link last did its work. */
  #attempt = 0;
  #handshakeMs = HANDSHAKE_MS_MIN;
  #rttMs = 0;
  #pace: Pace = DEFAULT_PACE;
  #highest: QueuePosition | undefined;
  #storeId: string | undefined;
  /**
   * The store is still to be asked for all that is remembered as settled: once in the life of this
   * process, whenever it was found to have lost something, and after each absence in which a person
   * may have put another copy or a salvaged one in its place. Otherwise it is asked for what is
   * pending and for what was settled last; an older copy of a store lacks at least the latter. With
   * the order `live` it may lack an older epoch alone, so there each connection asks for all.
   */
  #verificationDue = true;
  /**
   * When a proven server was heard last. Not when its connection was found to have ended: behind a
   * dead link, and after a freeze of this process, that is long after the server has gone.
   */
  #heardAt = Number.NEGATIVE_INFINITY;
  readonly #delivery: DeliveryOptions;
  readonly #unconfirmed = new Unconfirmed();
  readonly #tries = new Tries();
  /** What the last connection carried, if it broke with frames on their way. */
  #carriedBytes: number | undefined;
  #dialedAt = Number.NEGATIVE_INFINITY;
  #hurries = false;

  /** Begins to dial at once. */
  constructor(options: SenderOptions, now: number) {
    this.#options = options;
    this.#delivery = { ...DELIVERY_DEFAULTS, ...options.delivery };
    this.#storeId = options.storeId;
    this.#state = this.#recovering('dialing', now);
    this.#dial(now);
  }

  get state(): SenderState {
    return this.#state;
  }

  /** Failures since the link last did its work; 0 when it does. */
  get attempt(): number {
    return this.#attempt;
  }

  /** How often frames were sent that are not settled, and a number that changes with it. */
  get tried(): { readonly all: readonly Tried[]; readonly changes: number } {
    return this.#tries;
  }

  poll(now: number): SenderAction | undefined {
    const action = this.#actions.shift();
    if (action !== undefined) return action;
    const conversation = this.#conversation;
    const step = conversation?.proven?.delivery.poll(now);
    if (conversation === undefined || step === undefined) return undefined;
    return this.#perform(conversation, step, now);
  }

  /** When `onTick` is next due; undefined when never. */
  get nextDeadline(): number | undefined {
    const state = this.#state;
    switch (state.name) {
      case 'Backoff':
        return state.until;
      case 'Recovering':
        return state.deadline;
      case 'Ready': {
        const proven = this.#conversation?.proven;
        if (proven === undefined) return undefined;
        const flushAt = proven.delivery.flushAt ?? Number.POSITIVE_INFINITY;
        return Math.min(proven.pulse.nextPingAt, progressDeadline(proven), flushAt);
      }
      case 'Stopped':
        return undefined;
      default:
        return assertNever(state);
    }
  }

  onTick(now: number): void {
    const state = this.#state;
    if (state.name === 'Backoff' && now >= state.until) {
      this.#go(this.#recovering('dialing', now));
      this.#dial(now);
    } else if (state.name === 'Recovering' && now >= state.deadline) {
      this.#handshakeMs = Math.min(this.#handshakeMs * 2, HANDSHAKE_MS_MAX);
      this.#fail(deadlineError(state.phase, now - state.since), now);
    } else if (state.name === 'Ready') {
      this.#tickReady(now);
    }
  }

  onConnected(connection: Connection, now: number): void {
    if (this.#conversation?.connection !== connection) return;
    this.#go(this.#recovering('greeting', now));
  }

  /** The connection ended, whoever ended it. */
  onClosed(connection: Connection, error: LinkError | undefined, now: number): void {
    if (this.#conversation?.connection !== connection) return;
    const state = this.#state;
    const phase = state.name === 'Recovering' ? state.phase : undefined;
    this.#fail(error ?? closedError(phase), now);
  }

  onBytes(connection: Connection, bytes: Buffer, now: number): void {
    const conversation = this.#conversation;
    if (conversation?.connection !== connection) return;
    if (conversation.proven) {
      conversation.proven.bytesReceived += bytes.length;
      this.#onHeard(now);
    }
    try {
      conversation.framer.push(bytes);
      for (let raw = conversation.framer.next(); raw; raw = conversation.framer.next()) {
        this.#onMessage(conversation, raw, now);
        if (this.#conversation !== conversation) return;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail(protocolLinkError(error), now);
    }
  }

  /** What the queue holds, oldest first: for HELLO, and whenever it was asked for. */
  onHeld(connection: Connection, held: readonly HeldEpoch[], now: number): void {
    const conversation = this.#conversation;
    if (conversation?.connection !== connection) return;
    if (conversation.proven) {
      conversation.proven.delivery.onHeld(held);
      this.#noteVerified(conversation.proven);
    } else this.#hello(conversation, held, now);
  }

  onFrames(connection: Connection, frames: readonly Frame[]): void {
    this.#deliveryOf(connection)?.onFrames(frames);
  }

  onGaps(connection: Connection, gaps: readonly Gap[]): void {
    this.#deliveryOf(connection)?.onGaps(gaps);
  }

  /** The queue has taken in frames up to here. */
  onAppended(highest: QueuePosition): void {
    this.#highest = highest;
    this.#conversation?.proven?.delivery.onAppended();
  }

  onGapsChanged(): void {
    this.#conversation?.proven?.delivery.onGapsChanged();
  }

  /** Whether somebody waits until all is settled; meanwhile no frame waits for company. */
  onHurry(hurries: boolean): void {
    this.#hurries = hurries;
    this.#conversation?.proven?.delivery.hurry(hurries);
  }

  /** A store has lost what it had settled: some of it may be to be sent again, and more be lost. */
  onStoreLost(): void {
    this.#verificationDue = true;
    this.#conversation?.proven?.delivery.onStoreLost();
  }

  /** Frames that were refused before are to be sent again: they wait in the queue once more. */
  onReplayed(): void {
    this.#conversation?.proven?.delivery.onReplayed();
  }

  /** Says goodbye and stops for good. What isn't settled stays in the queue. */
  onStop(now: number): void {
    if (this.#state.name === 'Stopped') return;
    const conversation = this.#conversation;
    if (conversation) {
      if (conversation.proven) {
        this.#write(conversation, { kind: 'bye', reason: 'shutdown', retryAfterMs: 0, text: '' });
      }
      this.#close(conversation);
    }
    this.#go({ name: 'Stopped', since: now });
  }

  #deliveryOf(connection: Connection): Delivery | undefined {
    if (this.#conversation?.connection !== connection) return undefined;
    return this.#conversation.proven?.delivery;
  }

  #dial(now: number): void {
    this.#connection += 1;
    this.#dialedAt = now;
    this.#conversation = {
      connection: this.#connection,
      startedAt: now,
      writer: new MessageWriter(),
      framer: new Framer(),
      bytesSent: 0,
    };
    this.#actions.push({ type: 'dial', connection: this.#connection });
  }

  #onMessage(conversation: Conversation, raw: RawMessage, now: number): void {
    const message = decodeBody(raw.kind, raw.flags, raw.body);
    if (message.kind === 'bye') {
      if (message.reason === 'shutdown') this.#verificationDue = true;
      return this.#fail(byeError(message, conversation.hello !== undefined), now);
    }
    if (conversation.proven) return this.#onProvenMessage(conversation.proven, message, now);
    if (message.kind === 'greeting' && !conversation.greeting) {
      return this.#onGreeting(conversation, message, raw.body, now);
    }
    if (message.kind === 'welcome' && conversation.hello) {
      return this.#onWelcome(conversation, message, raw.body, now);
    }
    if (message.kind === 'ping' && conversation.hello) return;
    throw new ProtocolError('state', `${message.kind.toUpperCase()} before the handshake's end`);
  }

  #onGreeting(conversation: Conversation, greeting: Greeting, body: Buffer, now: number): void {
    if (!greeting.versions.includes(PROTOCOL_VERSION)) {
      const theirs = greeting.versions.join(', ') || 'none';
      const text = `the server speaks protocol ${theirs}, we speak ${PROTOCOL_VERSION}; upgrade the older side`;
      return this.#fail(new LinkError('version', text, { retry: 'permanent' }), now);
    }
    conversation.greeting = { body, message: greeting };
    this.#actions.push({ type: 'read-held', connection: conversation.connection });
  }

  /**
   * HELLO leaves out what is only remembered: it has to get through where connections break after a
   * few bytes.
   */
  #hello(conversation: Conversation, held: readonly HeldEpoch[], now: number): void {
    const greeting = conversation.greeting;
    if (!greeting || conversation.hello) return;
    if (this.#delivery.order === 'live') this.#verificationDue = true;
    this.#noteAbsence(now);
    const needed = held.filter(({ onlyRemembered }) => !onlyRemembered);
    const announced = needed.slice(0, EPOCHS_PER_MESSAGE_MAX);
    const following = this.#verificationDue ? held : needed;
    const hello = signHello(this.#options.key, greeting.body, {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      collector: this.#options.collector,
      instance: this.#options.instance,
      nonce: this.#options.nonce(),
      more: following.length > announced.length,
      epochs: announced,
    });
    const announcements = new Announcements(announced);
    conversation.hello = { body: this.#write(conversation, hello).body, announcements };
    this.#go(this.#recovering('welcome', now));
  }

  #onWelcome(conversation: Conversation, welcome: Welcome, body: Buffer, now: number): void {
    const { greeting, hello } = conversation;
    if (!greeting || !hello) return;
    if (!verifyWelcome(this.#options.key, greeting.body, hello.body, body)) {
      const text =
        'the server could not prove that it holds our token, so no frame was sent to it; give ' +
        'both sides the same token, and see that this is your server';
      return this.#fail(new LinkError('unauthorized', text, { retry: 'permanent' }), now);
    }
    const { storeId } = greeting.message;
    if (this.#storeId !== undefined && this.#storeId !== storeId) {
      return this.#onOtherStore(storeId, now);
    }
    this.#storeId = storeId;
    conversation.framer.liftLimit();
    const handshakeMs = now - conversation.startedAt;
    this.#handshakeMs = Math.min(Math.max(HANDSHAKE_MS_MIN, handshakeMs * 2), HANDSHAKE_MS_MAX);
    this.#rttMs = Math.max(this.#rttMs, handshakeMs);
    this.#pace = clampPace({ spreadMs: welcome.retrySpreadMs, capMs: welcome.retryCapMs });
    const { announcements } = hello;
    const answers = announcements.onAnswer(0, welcome.settled);
    const beginning = {
      announcements,
      terms: welcome,
      verifies: this.#verificationDue,
      highest: this.#highest,
    };
    const delivery = new Delivery(beginning, this.#delivery, now);
    delivery.hurry(this.#hurries);
    conversation.proven = {
      delivery,
      storeId,
      pulse: new Pulse(welcome.heartbeatIntervalMs, this.#rttMs, now),
      bytesReceived: 0,
    };
    this.#heardAt = now;
    this.counters.connections += 1;
    this.#go({ name: 'Ready', since: now });
    this.#reconcile(conversation.proven, answers, now);
    if (this.#carriedBytes !== undefined) delivery.onBrokeBefore(this.#carriedBytes);
  }

  /**
   * What another store has settled counts no more, so this handshake announced the wrong epochs. The
   * queue is told first, and the next one announces what is then pending.
   */
  #onOtherStore(storeId: string, now: number): void {
    this.#storeId = storeId;
    const epoch = this.#highest?.epoch ?? '';
    this.#actions.push({ type: 'settle', storeId, epoch, ranges: [] });
    const text =
      'the server has another store than before: what this queue still holds is sent there, ' +
      'and what only the old one has is declared (settled_elsewhere)';
    this.#fail(new LinkError('other_store', text), now);
  }

  #onProvenMessage(proven: Proven, message: Message, now: number): void {
    switch (message.kind) {
      case 'ack':
        proven.pulse.onAck(now);
        this.#settle(proven, proven.delivery.onSettledEntries(message.settled, now), now);
        return this.#onWorkDone(proven, now);
      case 'settled':
        this.#reconcile(proven, proven.delivery.onSettled(message, now), now);
        return this.#noteVerified(proven);
      case 'reject':
        return this.#onReject(proven, message, now);
      case 'ping':
        proven.pulse.onServerCount(message.bytesReceived, now);
        if (proven.pulse.wantsPong(now)) this.#heartbeat(proven, 'pong', message.id);
        return;
      case 'pong':
        proven.pulse.onServerCount(message.bytesReceived, now);
        return proven.pulse.onPong(message.id, now);
      default:
        throw new ProtocolError('state', `${message.kind.toUpperCase()} after the handshake`);
    }
  }

  #onReject(proven: Proven, reject: Reject, now: number): void {
    const { epochIndex, seq, code, text } = reject;
    const range = { from: seq, to: seq, state: 'rejected', code: REJECT_CODES[code] } as const;
    const settlements = proven.delivery.onSettledEntries([{ epochIndex, ...range }], now);
    this.#settle(proven, settlements, now, text);
    this.#onWorkDone(proven, now);
  }

  /** Hands out what the server settled; what it refused has to be kept aside first. */
  #settle(proven: Proven, settlements: readonly Settlement[], now: number, text = ''): void {
    const { storeId } = proven;
    for (const { epoch, ranges } of settlements) {
      this.#confirm(proven, epoch, ranges, now);
      const settled = ranges.filter(({ state }) => state !== 'rejected');
      if (settled.length > 0) {
        this.#actions.push({ type: 'settle', storeId, epoch, ranges: settled });
      }
      for (const range of ranges) {
        if (range.state !== 'rejected') continue;
        this.#actions.push({ type: 'reject', storeId, epoch, range, text });
      }
    }
  }

  /**
   * Hands out what the server knows of all that was announced. A refusal is not taken from here: a
   * frame that is still to be sent is sent, and refused in answer, or stored by a server that now
   * takes it.
   */
  #reconcile(proven: Proven, answers: readonly SettledAnswer[], now: number): void {
    const { storeId } = proven;
    for (const { epoch, within, ranges } of answers) {
      this.#confirm(proven, epoch, ranges, now);
      this.#actions.push({ type: 'reconcile', storeId, epoch, within, ranges });
    }
  }

  /** What comes after a silence may have lain here unread for as long, its sender gone since. */
  #onHeard(now: number): void {
    this.#noteAbsence(now);
    this.#heardAt = now;
  }

  #noteAbsence(now: number): void {
    if (now - this.#heardAt >= ABSENCE_MS) this.#verificationDue = true;
  }

  #noteVerified({ delivery }: Proven): void {
    if (delivery.verified) this.#verificationDue = false;
  }

  /** What left on a connection that was lost may have arrived: then that one had done its work. */
  #confirm(proven: Proven, epoch: Epoch, ranges: readonly SettledRange[], now: number): void {
    for (const range of ranges) {
      this.#tries.onSettled(epoch, range);
      const { seqs, bytes } = this.#unconfirmed.onSettled(epoch, range);
      if (seqs === 0) continue;
      if (this.#carriedBytes !== undefined) this.#carriedBytes += bytes;
      this.#onWorkDone(proven, now);
    }
  }

  /** Something of ours was settled: the link works, whatever came before. */
  #onWorkDone(proven: Proven, now: number): void {
    proven.pulse.onProgress(now);
    this.#attempt = 0;
  }

  #tickReady(now: number): void {
    const proven = this.#conversation?.proven;
    if (proven === undefined) return;
    if (now >= progressDeadline(proven)) {
      const silentMs = Math.round(proven.pulse.silentMs(now));
      const text = `nothing of ours reached the server for ${silentMs} ms: the link is dead`;
      return this.#fail(new LinkError('no_progress', text), now);
    }
    if (now - this.#state.since >= QUIET_MS) this.#attempt = 0;
    const { pulse } = proven;
    if (now < pulse.nextPingAt) return;
    const id = pulse.nextPing(now);
    this.#heartbeat(proven, 'ping', id);
    pulse.onPingWritten(id, this.#conversation?.bytesSent ?? 0, now);
  }

  #heartbeat(proven: Proven, kind: 'ping' | 'pong', id: number): void {
    const conversation = this.#conversation;
    if (conversation === undefined) return;
    const epochIndex = this.#highest && proven.delivery.epochIndex(this.#highest.epoch);
    const highest =
      this.#highest === undefined || epochIndex === undefined
        ? undefined
        : { epochIndex, seq: this.#highest.seq };
    this.#write(conversation, { kind, id, bytesReceived: proven.bytesReceived, highest });
  }

  #perform(conversation: Conversation, step: DeliveryStep, now: number): SenderAction | undefined {
    const { connection } = conversation;
    switch (step.type) {
      case 'send':
        this.#write(conversation, step.message);
        return this.poll(now);
      case 'send-frames':
        this.#writeFrames(conversation, step, now);
        return this.poll(now);
      case 'renew':
        this.#write(conversation, { kind: 'bye', reason: 'renew', retryAfterMs: 0, text: '' });
        this.#fail(new LinkError('renew', 'all epoch numbers of this connection are used'), now);
        return this.poll(now);
      case 'read-frames':
      case 'read-gaps':
      case 'read-held':
        return { ...step, connection };
      default:
        return assertNever(step);
    }
  }

  #writeFrames(
    conversation: Conversation,
    { message, compress }: Extract<DeliveryStep, { type: 'send-frames' }>,
    now: number,
  ): void {
    const { proven } = conversation;
    const { bytes } = this.#write(conversation, message, compress);
    if (proven === undefined) return;
    proven.delivery.onFramesWritten(bytes.length, now);
    const epoch = proven.delivery.epochOf(message.epochIndex);
    this.#tries.onSent(
      epoch,
      message.frames.map(({ seq }) => seq),
    );
    if (this.#unconfirmed.empty) return;
    for (const { seq } of message.frames) {
      this.counters.resent += this.#unconfirmed.onSentAgain(epoch, { from: seq, to: seq });
    }
  }

  /** The only way out: what is written is counted. Answers the message as it went, and its body. */
  #write(
    conversation: Conversation,
    message: Message,
    compress = false,
  ): { bytes: Buffer; body: Buffer } {
    const written = conversation.writer.write(message, compress);
    conversation.bytesSent += written.bytes.length;
    this.#actions.push({
      type: 'write',
      connection: conversation.connection,
      bytes: written.bytes,
    });
    return written;
  }

  #close(conversation: Conversation): void {
    this.#conversation = undefined;
    this.#actions.push({ type: 'close', connection: conversation.connection });
  }

  #fail(error: LinkError, now: number): void {
    const conversation = this.#conversation;
    if (conversation) this.#close(conversation);
    if (conversation?.proven) {
      this.#rttMs = conversation.proven.pulse.rttMs;
      this.#remember(conversation.proven.delivery);
    }
    this.#attempt += 1;
    const proven = conversation?.proven !== undefined;
    const waitMs = backoffMs(this.#attempt, error, proven, this.#pace, this.#options.random);
    const until = Math.max(now + waitMs, this.#dialedAt + DIAL_EVERY_MS);
    this.#go({ name: 'Backoff', since: now, until, attempt: this.#attempt, error });
  }

  /** What a connection that is lost leaves behind. */
  #remember(delivery: Delivery): void {
    const { inFlight, bytesAcknowledged } = delivery;
    this.#carriedBytes = inFlight.length === 0 ? undefined : bytesAcknowledged;
    for (const { epochIndex, open, flight } of inFlight) {
      this.#unconfirmed.add(delivery.epochOf(epochIndex), open, flight.bytes);
    }
  }

  #recovering(phase: Phase, now: number): SenderState {
    return { name: 'Recovering', since: now, phase, deadline: now + this.#handshakeMs };
  }

  #go(to: SenderState): void {
    const from = this.#state;
    assertLegalStep(from, to);
    this.#state = to;
    this.#actions.push({ type: 'state', from, to });
  }
}

function progressDeadline({ pulse, delivery }: Proven): number {
  return pulse.deadline(delivery.overtakenAt);
}
