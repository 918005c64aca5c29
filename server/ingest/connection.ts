/**
 * One collector's socket: feeds the session, does what it polls, and brings the store's answers
 * back. No decisions about the protocol here.
 *
 * Invariants: an error listener before anything else; an answer that comes late, after the end,
 * changes nothing; never half-closed (a proxy would cut off what is under way); what the peer
 * doesn't read is bounded.
 */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { NONCE_BYTES } from '#protocol/limits.ts';
import type { Terms, WireFrame } from '#protocol/messages.ts';
import type { Attempts } from '#server/access/attempts.ts';
import type { Keys } from '#server/access/keys.ts';
import type { Events } from '#server/events.ts';
import type { Metrics } from '#server/metrics.ts';
import { type CommitOutcome, type Store, StoreError } from '#server/store/store.ts';
import type { Surroundings } from '#server/surroundings.ts';
import type { Account, Budget } from './budget.ts';
import type { Caps } from './caps.ts';
import type { CommitRequest } from './intake.ts';
import type { Member, Registry } from './registry.ts';
import { Session, type SessionAction } from './session.ts';
import type { Ending, SessionState } from './session-state.ts';

/** What a connection uses of its socket. */
export type ConnectionSocket = Pick<
  Socket,
  | 'on'
  | 'write'
  | 'cork'
  | 'uncork'
  | 'pause'
  | 'resume'
  | 'isPaused'
  | 'setNoDelay'
  | 'destroy'
  | 'destroyed'
  | 'writableLength'
  | 'remoteAddress'
  | 'remotePort'
>;

export interface ConnectionOptions {
  readonly store: Store;
  readonly registry: Registry<Connection>;
  readonly events: Events;
  readonly metrics: Pick<
    Metrics,
    'onReceived' | 'onFrames' | 'onStored' | 'onDeclared' | 'onAcked' | 'onClosed'
  >;
  readonly log: Logger;
  readonly surroundings: Surroundings;
  readonly keys: Keys;
  readonly attempts: Pick<Attempts, 'onFailed'>;
  readonly heartbeatMs: number;
  readonly caps: Caps;
  readonly budget: Budget;
  readonly termsFor: (collectorsKnown: number) => Terms;
  /** Asked once it is proven: whether there is a place for it. */
  readonly mayStay: (connection: Connection) => boolean;
  /** It has ended, and its place is free; the socket may take a moment more. */
  readonly onLeft: (connection: Connection) => void;
  readonly onGone: (connection: Connection) => void;
}

/** What metrics, events and the log say of a batch. */
interface BatchSummary extends Pick<CommitRequest, 'epoch' | 'gaps' | 'rejects'> {
  /** Of its frames, in their order. */
  readonly capturedAt: readonly number[];
  readonly newest: Pick<WireFrame, 'seq' | 'capturedAt'> | undefined;
}

/** Acks and heartbeats that the peer may leave unread: hours of heartbeats, thousands of acks. */
const UNREAD_BYTES_MAX = 1_048_576;
/** How long a goodbye may take to leave before the socket is destroyed. */
const GOODBYE_MS = 500;
/** How long a collector is asked to wait while the store can't commit. */
const STORE_RETRY_MS = 2_000;
/** And where all places are taken by others. */
const CROWDED_RETRY_MS = 10_000;

export class Connection implements Member {
  readonly connectedAt: number;
  readonly order: number;
  readonly #options: ConnectionOptions;
  readonly #socket: ConnectionSocket;
  readonly #session: Session;
  readonly #account: Account;
  /** What the session holds; what the peer hasn't read comes on top. */
  #sessionBytes = 0;
  readonly #id: string;
  readonly #address: string;
  #collector = '';
  #instance = '';
  #heardAt: number;
  #disarm: () => void = () => {};
  #timerAt = Number.POSITIVE_INFINITY;
  #leaving = false;

  constructor(socket: ConnectionSocket, options: ConnectionOptions) {
    this.#options = options;
    this.order = options.registry.nextOrder();
    this.#id = options.surroundings.randomUuid();
    this.#socket = socket;
    this.#address = `${socket.remoteAddress}:${socket.remotePort}`;
    let failure = 'closed by the other side';
    socket.on('error', (error) => {
      failure = error.message;
    });
    socket.on('data', (bytes: Buffer) => this.#onData(bytes));
    socket.on('close', () => this.#onClose(failure));
    socket.setNoDelay(true);
    const { surroundings, store } = options;
    this.connectedAt = surroundings.wallTime();
    this.#heardAt = this.connectedAt;
    const nonce = surroundings.randomBytes(NONCE_BYTES);
    const { keys, heartbeatMs, caps, budget } = options;
    const { storeId } = store;
    this.#account = budget.open(() => this.#onRoom());
    const account = {
      hold: (bytes: number) => this.#hold(bytes),
      mayTake: () => this.#account.mayTake(),
    };
    const session = { keys, storeId, nonce, heartbeatMs, caps, account };
    this.#session = new Session(session, surroundings.now());
    this.#pump();
  }

  get address(): string {
    return this.#address;
  }

  get collector(): string {
    return this.#collector;
  }

  get instance(): string {
    return this.#instance;
  }

  get heardAt(): number {
    return this.#heardAt;
  }

  get state(): SessionState['name'] {
    return this.#session.state.name;
  }

  get open(): boolean {
    return this.state === 'open';
  }

  isLive(): boolean {
    const quietMs = this.#options.surroundings.now() - this.#session.heardAt;
    return this.#session.paused || quietMs <= 2 * this.#options.heartbeatMs;
  }

  /** Ends where the collector's key is no longer one of those that count. */
  onKeysReplaced(): void {
    this.#session.onKeysReplaced();
    this.#pump();
  }

  /** Ends once what has come is committed and acknowledged; the collector stays away for a time. */
  shutDown(retryAfterMs: number): void {
    this.#session.onShutdown(this.#options.surroundings.now(), retryAfterMs);
    this.#pump();
  }

  /** Ends now, without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  #onData(bytes: Buffer): void {
    const { metrics, surroundings } = this.#options;
    metrics.onReceived(bytes.length);
    this.#heardAt = surroundings.wallTime();
    this.#session.onBytes(bytes, surroundings.now());
    this.#pump();
  }

  #onClose(reason: string): void {
    this.#disarm();
    this.#timerAt = Number.NEGATIVE_INFINITY;
    this.#session.onDisconnected(reason);
    this.#leave();
    this.#options.onGone(this);
    this.#account.close();
    this.#options.budget.wake();
  }

  #hold(sessionBytes: number): void {
    this.#sessionBytes = sessionBytes;
    this.#account.hold(sessionBytes + this.#socket.writableLength);
  }

  #onRoom(): void {
    this.#session.onRoom(this.#options.surroundings.now());
    this.#pump();
  }

  /** Does all that the session wants, then arms the timer. */
  #pump(): void {
    this.#socket.cork();
    for (let action = this.#session.poll(); action; action = this.#session.poll()) {
      this.#perform(action);
    }
    this.#socket.uncork();
    if (this.#socket.writableLength > UNREAD_BYTES_MAX && !this.#leaving) {
      this.#session.onEnd('overloaded', `${this.#socket.writableLength} bytes are not being read`);
      this.#socket.destroy();
      return this.#leave();
    }
    this.#hold(this.#sessionBytes);
    if (this.#session.paused) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
    this.#arm();
    this.#options.budget.wake();
  }

  #perform(action: SessionAction): void {
    switch (action.type) {
      case 'write':
        this.#socket.write(action.bytes);
        return;
      case 'close':
        return this.#close();
      case 'admit':
        return this.#admit(action.collector, action.instance);
      case 'announce':
        void this.#announce(action.epochs, action.complete);
        return;
      case 'commit':
        return this.#commit(action);
      case 'heard': {
        const { collector } = this;
        this.#options.store.heard({ collector, at: this.#heardAt, highest: action.highest });
      }
    }
  }

  #admit(collector: string, instance: string): void {
    const { registry, heartbeatMs, log } = this.#options;
    this.#collector = collector;
    this.#instance = instance;
    const admission = registry.admit(this);
    if (!admission.admitted) {
      const { holder } = admission;
      if (holder === undefined) return this.#endSuperseded();
      log.warn(
        { event: 'collector_in_use', collector, instance, holder: holder.instance },
        `${collector} is already connected as another process; this one has to wait. Give each collector an id and a queue of its own`,
      );
      const text = `${collector} is connected as instance ${holder.instance}`;
      return this.#session.onEnd('in_use', text, 2 * heartbeatMs);
    }
    admission.superseded?.supersede();
    if (this.#options.mayStay(this)) return this.#session.onAdmitted();
    const text = 'as many collectors are connected as this server takes';
    log.warn({ event: 'collector_turned_away', collector, instance }, text);
    this.#session.onEnd('overloaded', text, CROWDED_RETRY_MS);
  }

  /** A newer connection has taken over. */
  supersede(): void {
    this.#endSuperseded();
    this.#pump();
  }

  #endSuperseded(): void {
    this.#session.onEnd('superseded', 'a newer connection of this collector has taken over');
  }

  async #announce(
    epochs: Extract<SessionAction, { type: 'announce' }>['epochs'],
    complete: boolean,
  ): Promise<void> {
    const { store, surroundings, termsFor, events, log } = this.#options;
    const { collector, instance } = this;
    const at = surroundings.wallTime();
    const announcement = { collector, instance, connection: this.#id, at, epochs, complete };
    try {
      const answer = await store.announce(announcement);
      const wasOpen = this.open;
      this.#session.onAnnounced(answer, termsFor(answer.collectorsKnown), surroundings.now());
      if (this.open && !wasOpen) {
        const address = this.#address;
        log.info({ event: 'collector_connected', collector, instance, address }, 'connected');
        events.publish({ type: 'collector', collector, connected: true, at });
      }
    } catch (error) {
      this.#onStoreError(error);
    }
    this.#pump();
  }

  /** Doesn't hold on to the frames while they are committed: the store has them. */
  #commit({ request, epoch, ...batch }: CommitRequest): void {
    const { store, surroundings, metrics } = this.#options;
    const { collector } = this;
    const { gaps, rejects, frames } = batch;
    const capturedAt = frames.map((frame) => frame.capturedAt);
    const summary = { epoch, gaps, rejects, capturedAt, newest: newestOf(frames) };
    const startedAt = surroundings.now();
    store.commit({ ...batch, collector, receivedAt: surroundings.wallTime() }).then(
      (outcome) => {
        this.#tell(summary, outcome);
        this.#session.onCommitted(request, outcome, surroundings.now());
        this.#pump();
        metrics.onAcked(surroundings.now() - startedAt);
      },
      (error: unknown) => {
        this.#onStoreError(error);
        this.#pump();
      },
    );
  }

  /** Whatever ended the store is told by the store; the collector has only to wait. */
  #onStoreError(error: unknown): void {
    if (!(error instanceof StoreError)) throw error;
    this.#session.onEnd('store_unavailable', 'the store cannot commit now', STORE_RETRY_MS);
  }

  /** Metrics, events and the log: what became of a batch. */
  #tell(
    { epoch, capturedAt, newest, gaps, rejects }: BatchSummary,
    { conflicts, duplicates }: CommitOutcome,
  ): void {
    const { metrics, events, log, surroundings } = this.#options;
    const { collector } = this;
    const again = duplicates + conflicts.length;
    const stored = capturedAt.length - again;
    metrics.onFrames('stored', stored);
    // What is sent again is sent first.
    metrics.onStored(collector, capturedAt.slice(again), surroundings.wallTime());
    metrics.onFrames('duplicate', duplicates);
    metrics.onFrames('conflict', conflicts.length);
    metrics.onFrames('rejected', rejects.length);
    metrics.onDeclared(gaps.reduce((sum, { from, to }) => sum + (to - from + 1), 0));
    if (newest !== undefined && stored > 0) {
      const { seq: to, capturedAt } = newest;
      events.publish({ type: 'stored', collector, epoch, to, capturedAt });
    }
    if (gaps.length > 0) {
      const text = 'the collector declared frames lost';
      log.warn({ event: 'frames_declared', collector, epoch, gaps }, text);
    }
    const lost = gaps.filter(({ reason }) => reason === 'lost_after_ack');
    if (lost.length > 0) {
      const text =
        'this store had confirmed these frames and has lost them, and the collector no longer holds them. Find out whether an older copy of the store was put in place, or whether it was damaged';
      log.error({ event: 'store_lost', collector, epoch, gaps: lost }, text);
    }
    if (rejects.length > 0) {
      const text = 'frames were refused for good; the collector keeps them as dead letters';
      log.error({ event: 'frames_rejected', collector, epoch, rejects }, text);
    }
    if (conflicts.length > 0) {
      const text =
        'frames came whose identity is taken by other bytes; the stored ones stay, the collector keeps these as dead letters. A queue was copied or restored: find out which';
      log.error({ event: 'frames_conflict', collector, epoch, conflicts }, text);
    }
  }

  #close(): void {
    const socket = this.#socket;
    this.#leave();
    if (socket.destroyed) return;
    socket.on(
      'close',
      this.#options.surroundings.after(GOODBYE_MS, () => socket.destroy()),
    );
    socket.write('', () => socket.destroy());
  }

  /** Once, when it is over: makes room for the collector's next connection. */
  #leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#options.onLeft(this);
    const { registry, store, events, metrics } = this.#options;
    const { state } = this.#session;
    if (state.name === 'closed') {
      metrics.onClosed(state.ending.reason);
      this.#logEnd(state.ending);
    }
    const { collector } = this;
    if (collector === '') return;
    // One that was refused or superseded has nothing to say about its collector any more.
    if (!registry.leave(this)) return;
    store.heard({ collector, at: this.#heardAt });
    events.publish({ type: 'collector', collector, connected: false, at: this.#heardAt });
  }

  #logEnd({ reason, text, attempt }: Ending): void {
    const { collector, instance } = this;
    const { log, attempts } = this.#options;
    if (attempt !== undefined) return attempts.onFailed(attempt, this.#address, text);
    const about = { event: 'connection_closed', reason, address: this.#address };
    if (collector !== '') log.info({ ...about, collector, instance }, text || 'closed');
    else log.debug(about, text);
  }

  #arm(): void {
    const deadline = this.#session.nextDeadline;
    if (deadline === undefined) {
      this.#disarm();
      this.#timerAt = Number.POSITIVE_INFINITY;
    } else if (deadline < this.#timerAt) {
      this.#disarm();
      this.#timerAt = deadline;
      const { now, after } = this.#options.surroundings;
      this.#disarm = after(Math.max(0, deadline - now()), () => this.#onTimer());
    }
  }

  #onTimer(): void {
    // After a freeze of this process the timer is due at once, with unread bytes in the socket that
    // prove the peer alive: those are read first.
    this.#options.surroundings.afterReads(() => {
      if (this.#timerAt === Number.NEGATIVE_INFINITY) return;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#session.onTick(this.#options.surroundings.now());
      this.#pump();
    });
  }
}

function newestOf(frames: readonly WireFrame[]): BatchSummary['newest'] {
  const newest = frames.at(-1);
  return newest && { seq: newest.seq, capturedAt: newest.capturedAt };
}
