/**
 * The server's side of one connection with a collector.
 *
 * Theory of operation. The session is sans-IO: time (monotonic milliseconds) and the nonce are
 * passed in; inputs are the `on…` methods; after each input the driver takes `poll` until it is
 * empty, sees whether it is `paused`, and arms one timer for `nextDeadline`. A late or repeated
 * tick changes nothing, and nothing at all happens once it is closed.
 *
 * States and steps are those of `session-state.ts`; `#go` is the only assignment. Messages are
 * taken only while there is room on the way into the store, in this connection's window and in what
 * all may hold, and no announcement waits for its answer; until then they stay unread, which is what
 * slows a fast collector down.
 *
 * Not here: sockets and timers (`connection.ts`), who else is connected (`registry.ts`), what
 * frames mean for the store (`intake.ts`), how much all connections may hold (`budget.ts`).
 */
import assert from 'node:assert';
import { decodeBody } from '#protocol/codec.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import { assertNever, ProtocolError } from '#protocol/errors.ts';
import { Framer, type RawMessage } from '#protocol/framer.ts';
import { type MacKey, signWelcome, verifyHello } from '#protocol/handshake.ts';
import {
  EPOCHS_PER_CONNECTION_MAX,
  PING_INTERVALS_MAX,
  PROTOCOL_VERSION,
} from '#protocol/limits.ts';
import type {
  ByeReason,
  EpochAnnouncement,
  Epochs,
  Heartbeat,
  Hello,
  Message,
  Terms,
} from '#protocol/messages.ts';
import { isValid, type Keys } from '#server/access/keys.ts';
import type { AnnounceAnswer, CommitOutcome, Heard } from '#server/store/store.ts';
import type { Account } from './budget.ts';
import type { Caps } from './caps.ts';
import { type CommitRequest, Intake } from './intake.ts';
import {
  assertLegalStep,
  type Ending,
  type FailedAttempt,
  type SessionState,
} from './session-state.ts';

/** What the driver has to do. */
export type SessionAction =
  | { readonly type: 'write'; readonly bytes: Buffer }
  /** Write out what is written, then close wholly. */
  | { readonly type: 'close' }
  /** The collector is proven. Answer by `onAdmitted` or `onEnd`. */
  | { readonly type: 'admit'; readonly collector: string; readonly instance: string }
  /** Answer by `onAnnounced` or `onEnd`. */
  | {
      readonly type: 'announce';
      readonly epochs: readonly EpochAnnouncement[];
      readonly complete: boolean;
    }
  /** Answer by `onCommitted` or `onEnd`. */
  | ({ readonly type: 'commit' } & CommitRequest)
  /** A sign of life, and how far the collector has come. */
  | { readonly type: 'heard'; readonly highest: Heard['highest'] };

export interface SessionOptions {
  readonly keys: Keys;
  readonly storeId: string;
  /** NONCE_BYTES unpredictable bytes. */
  readonly nonce: Uint8Array;
  readonly heartbeatMs: number;
  readonly caps: Caps;
  /** What this connection holds of the memory that all share. */
  readonly account: Pick<Account, 'hold' | 'mayTake'>;
}

/** Silence between messages: three heartbeats, and this for the way. */
const SILENCE_MARGIN_MS = 2_000;
/** How long an ending waits for what is on its way into the store. */
const DRAIN_MS = 5_000;

export class Session {
  readonly #options: SessionOptions;
  readonly #writer = new MessageWriter();
  readonly #framer: Framer;
  readonly #greetingBody: Buffer;
  readonly #intake: Intake;
  readonly #actions: SessionAction[] = [];
  #state: SessionState;
  /** Of a proven collector, with the key that proved it. */
  #hello: { readonly message: Hello; readonly body: Buffer; readonly key: MacKey } | undefined;
  /** Epochs whose announcement the store has not answered. */
  #announcing: readonly EpochAnnouncement[] | undefined;
  /** All connections together hold too much, and this one more than its reserve. */
  #heldBack = false;
  #bytesReceived = 0;
  readonly #startedAt: number;
  /** From GREETING to HELLO: the way there and back, and no less. */
  #roundTripMs = 0;
  #heardAt: number;
  #nextPingAt: number;
  /** When a PING is due whatever else is sent. */
  #pingDueAt: number;
  #pingId = 0;

  /** Greets at once. */
  constructor(options: SessionOptions, now: number) {
    this.#options = options;
    const { helloMs, helloBytesMax, messageBytesMax } = options.caps;
    this.#framer = new Framer({ beforeProof: helloBytesMax, afterProof: messageBytesMax });
    this.#intake = new Intake(options.caps);
    this.#state = { name: 'greeting', deadline: now + helloMs };
    this.#startedAt = now;
    this.#heardAt = now;
    this.#nextPingAt = now + options.heartbeatMs;
    this.#pingDueAt = this.#nextPingAt;
    const { nonce, storeId } = options;
    this.#greetingBody = this.#write({
      kind: 'greeting',
      versions: [PROTOCOL_VERSION],
      nonce,
      storeId,
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** When the last byte came. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** True while no bytes should be read from the connection. */
  get paused(): boolean {
    const { name } = this.#state;
    return name === 'draining' || name === 'closed' || this.#blocked;
  }

  /** The next thing to do; call again until undefined. */
  poll(): SessionAction | undefined {
    const action = this.#actions.shift();
    if (action !== undefined) return action;
    const request = this.#intake.pollRequest();
    if (request !== undefined) return { type: 'commit', ...request };
    if (this.#state.name !== 'open' && this.#state.name !== 'draining') return undefined;
    const answer = this.#intake.pollAnswer();
    if (answer !== undefined) return { type: 'write', bytes: this.#writer.write(answer).bytes };
    if (this.#state.name === 'draining' && this.#intake.idle) {
      this.#end(this.#state.ending);
      return this.#actions.shift();
    }
    return undefined;
  }

  /** When `onTick` is next due; undefined when never. */
  get nextDeadline(): number | undefined {
    const state = this.#state;
    switch (state.name) {
      case 'greeting':
      case 'draining':
        return state.deadline;
      case 'joining':
        return this.#nextPingAt;
      case 'open':
        return Math.min(this.#nextPingAt, this.#silenceDeadline());
      case 'closed':
        return undefined;
      default:
        return assertNever(state);
    }
  }

  onTick(now: number): void {
    const state = this.#state;
    if (state.name === 'greeting' && now >= state.deadline) {
      this.#end(endingOf('timeout', `no HELLO within ${this.#options.caps.helloMs} ms`));
    } else if (state.name === 'draining' && now >= state.deadline) {
      this.#end(state.ending);
    } else if (state.name === 'open' && now >= this.#silenceDeadline()) {
      this.#end(endingOf('timeout', `no byte for ${Math.round(now - this.#heardAt)} ms`));
    } else if ((state.name === 'joining' || state.name === 'open') && now >= this.#nextPingAt) {
      this.#nextPingAt = now + this.#options.heartbeatMs;
      this.#pingDueAt = now + PING_INTERVALS_MAX.server * this.#options.heartbeatMs;
      this.#pingId += 1;
      this.#heartbeat('ping', this.#pingId);
    }
  }

  onBytes(bytes: Buffer, now: number): void {
    if (this.#state.name === 'draining' || this.#state.name === 'closed') return;
    this.#bytesReceived += bytes.length;
    this.#heardAt = now;
    this.#framer.push(bytes);
    this.#takeMessages(now);
  }

  /** There may be room again in the memory that all connections share. */
  onRoom(now: number): void {
    if (!this.#heldBack) return;
    this.#tellHeld();
    if (this.#state.name === 'open' && !this.#blocked) this.#resume(now);
  }

  /** The collector may come in. */
  onAdmitted(): void {
    if (this.#state.name !== 'joining') return;
    assert(this.#hello, 'admitted before HELLO');
    this.#announce(this.#hello.message.epochs, !this.#hello.message.more);
  }

  /** The store has answered the announcement. */
  onAnnounced(answer: AnnounceAnswer, terms: Terms, now: number): void {
    const { name } = this.#state;
    if (name === 'draining' || name === 'closed') return;
    assert(this.#announcing, 'the store answered what was not asked');
    const firstEpochIndex = this.#intake.epochCount;
    const settled = this.#intake.onAnnounced(this.#announcing, answer);
    this.#announcing = undefined;
    if (name === 'open') {
      this.#write({ kind: 'settled', firstEpochIndex, settled });
    } else {
      assert(this.#hello, 'announced before HELLO');
      const { key, body } = this.#hello;
      const welcome = { kind: 'welcome', ...terms, settled } as const;
      this.#write(signWelcome(key, this.#greetingBody, body, welcome));
      this.#go({ name: 'open' });
    }
    this.#resume(now);
  }

  onCommitted(request: number, outcome: CommitOutcome, now: number): void {
    if (this.#state.name === 'closed') return;
    const wasBlocked = this.#blocked;
    this.#intake.onCommitted(request, outcome);
    this.#tellHeld();
    // Acks follow, and they are as good a sign of life.
    this.#nextPingAt = Math.min(now + this.#options.heartbeatMs, this.#pingDueAt);
    if (wasBlocked && !this.#blocked) this.#resume(now);
  }

  /** Someone else decided that it ends: refused, superseded, the store failed. */
  onEnd(reason: ByeReason, text: string, retryAfterMs = 0): void {
    if (this.#state.name !== 'closed') this.#end(endingOf(reason, text, retryAfterMs));
  }

  /** The keys were replaced. A collector that the new ones would not let in has to go. */
  onKeysReplaced(): void {
    if (this.#hello === undefined || this.#state.name === 'closed') return;
    const { collector } = this.#hello.message;
    if (isValid(this.#options.keys, collector, this.#hello.key)) return;
    this.onEnd('unauthorized', 'its token was withdrawn');
  }

  /** Ends once what has come is committed and acknowledged; the collector stays away for a time. */
  onShutdown(now: number, retryAfterMs: number): void {
    if (this.#state.name === 'open') this.#drain(endingOf('shutdown', '', retryAfterMs), now);
    else if (this.#state.name !== 'draining') this.onEnd('shutdown', '', retryAfterMs);
  }

  /** The connection is gone. */
  onDisconnected(text: string): void {
    if (this.#state.name === 'closed') return;
    this.#go({ name: 'closed', ending: endingOf('disconnected', text) });
  }

  get #blocked(): boolean {
    if (this.#state.name !== 'open') return false;
    return this.#announcing !== undefined || this.#intake.full || this.#heldBack;
  }

  /** The first byte behind WELCOME takes a whole round trip, so that counts too. */
  #silenceDeadline(): number {
    if (this.#blocked) return Number.POSITIVE_INFINITY;
    const idleMs = 3 * this.#options.heartbeatMs + SILENCE_MARGIN_MS;
    return (
      this.#heardAt +
      this.#roundTripMs +
      (this.#framer.midMessage ? this.#options.caps.stallMs : idleMs)
    );
  }

  /** Silence that we made ourselves, by not reading, is not the collector's. */
  #resume(now: number): void {
    this.#heardAt = now;
    this.#takeMessages(now);
  }

  #takeMessages(now: number): void {
    try {
      while (!this.paused) {
        const raw = this.#framer.next();
        if (raw === undefined) break;
        this.#onMessage(raw, now);
        this.#tellHeld();
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#onProtocolError(error, now);
    }
    this.#intake.flush();
    this.#tellHeld();
  }

  /** Says what it holds now, and hears whether it may take on more. */
  #tellHeld(): void {
    const { account } = this.#options;
    account.hold(this.#framer.bufferedBytes + this.#intake.bytesInFlight);
    this.#heldBack = !account.mayTake();
  }

  #onMessage(raw: RawMessage, now: number): void {
    const { decodedBytesMax } = this.#options.caps;
    const message = decodeBody(raw.kind, raw.flags, raw.body, decodedBytesMax);
    if (message.kind === 'bye') {
      return this.#end(endingOf('goodbye', `${message.reason} ${message.text}`.trim()));
    }
    switch (this.#state.name) {
      case 'greeting':
        if (message.kind === 'hello') return this.#onHello(message, raw.body, now);
        break;
      case 'joining':
        // A PONG has no place before WELCOME; the sign of life is enough.
        if (message.kind === 'ping' || message.kind === 'pong') return;
        break;
      case 'open':
        return this.#onOpenMessage(message);
    }
    throw new ProtocolError('state', `${nameOf(message)} while ${this.#state.name}`);
  }

  #onHello(hello: Hello, body: Buffer, now: number): void {
    if (hello.version !== PROTOCOL_VERSION) {
      const text = `the collector speaks version ${hello.version}, we speak ${PROTOCOL_VERSION}`;
      return this.#end(attemptOf('version', 'version', text));
    }
    const key = this.#keyThatProves(hello, body);
    if (key === undefined) return this.#end(unauthorized(hello.collector, this.#options.keys));
    this.#hello = { message: hello, body, key };
    this.#roundTripMs = now - this.#startedAt;
    this.#framer.liftLimit();
    this.#nextPingAt = now + this.#options.heartbeatMs;
    this.#go({ name: 'joining' });
    const { collector, instance } = hello;
    this.#actions.push({ type: 'admit', collector, instance });
  }

  /** All keys are tried, whichever is right: how long it takes tells nothing. */
  #keyThatProves({ collector }: Hello, body: Buffer): MacKey | undefined {
    const candidates = this.#options.keys.candidates(collector);
    return candidates.filter((key) => verifyHello(key, this.#greetingBody, body))[0];
  }

  #onOpenMessage(message: Message): void {
    switch (message.kind) {
      case 'frames':
        return this.#intake.onFrames(message);
      case 'gap':
        return this.#intake.onGaps(message);
      case 'epochs':
        return this.#onEpochs(message);
      case 'ping':
        this.#heartbeat('pong', message.id);
        return this.#onHighest(message);
      case 'pong':
        return;
      default:
        throw new ProtocolError('state', `${nameOf(message)} is not a collector's to send`);
    }
  }

  #onEpochs({ epochs, more }: Epochs): void {
    if (this.#intake.epochCount + epochs.length > EPOCHS_PER_CONNECTION_MAX) {
      return this.#end(endingOf('renew', `over ${EPOCHS_PER_CONNECTION_MAX} epochs announced`));
    }
    this.#announce(epochs, !more);
  }

  /** What came before goes to the store before. */
  #announce(epochs: readonly EpochAnnouncement[], complete: boolean): void {
    this.#intake.flush();
    for (let request = this.#intake.pollRequest(); request; request = this.#intake.pollRequest()) {
      this.#actions.push({ type: 'commit', ...request });
    }
    this.#announcing = epochs;
    this.#actions.push({ type: 'announce', epochs, complete });
  }

  #onHighest({ highest }: Heartbeat): void {
    const stream = highest && this.#intake.streamOf(highest.epochIndex);
    this.#actions.push({
      type: 'heard',
      highest: stream === undefined ? undefined : { stream, seq: highest?.seq ?? 0 },
    });
  }

  /** What came before the error stays, and is acknowledged before the end. */
  #onProtocolError(error: ProtocolError, now: number): void {
    if (this.#state.name === 'open') {
      this.#drain(endingOf('protocol_error', `${error.code}: ${error.message}`), now);
    } else {
      const text = `${error.code}: ${error.message}`;
      const known = this.#hello !== undefined;
      this.#end(
        known ? endingOf('protocol_error', text) : attemptOf('protocol', 'protocol_error', text),
      );
    }
  }

  #drain(ending: Ending, now: number): void {
    this.#intake.flush();
    this.#announcing = undefined;
    this.#go({ name: 'draining', ending, deadline: now + DRAIN_MS });
  }

  /** Says BYE where the peer may know why, and closes. */
  #end(ending: Ending): void {
    const { reason, text, retryAfterMs } = ending;
    const proven = this.#hello !== undefined;
    if (reason !== 'goodbye' && reason !== 'disconnected') {
      if (proven) this.#write({ kind: 'bye', reason, retryAfterMs, text });
      else if (reason !== 'protocol_error' && reason !== 'timeout') {
        this.#write({ kind: 'bye', reason, retryAfterMs, text: '' });
      }
    }
    this.#actions.push({ type: 'close' });
    this.#go({ name: 'closed', ending });
  }

  #heartbeat(kind: 'ping' | 'pong', id: number): void {
    this.#write({ kind, id, bytesReceived: this.#bytesReceived, highest: undefined });
  }

  /** Answers the message's body as it went out. */
  #write(message: Message): Buffer {
    const { bytes, body } = this.#writer.write(message);
    this.#actions.push({ type: 'write', bytes });
    return body;
  }

  #go(next: SessionState): void {
    assertLegalStep(this.#state, next);
    this.#state = next;
  }
}

function endingOf(reason: Ending['reason'], text: string, retryAfterMs = 0): Ending {
  return { reason, text, retryAfterMs };
}

/** Ended before it was proven. */
function attemptOf(attempt: FailedAttempt, reason: ByeReason, text: string): Ending {
  return { ...endingOf(reason, text), attempt };
}

function unauthorized(collector: string, keys: Keys): Ending {
  return keys.knows(collector)
    ? attemptOf('wrong_token', 'unauthorized', `${collector} did not prove that it has its token`)
    : attemptOf('unknown_collector', 'unauthorized', `no token is on file for ${collector}`);
}

function nameOf(message: Message): string {
  return message.kind.toUpperCase();
}
