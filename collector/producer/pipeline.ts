/**
 * What lives while a queue is open: the queue, the sender and the link, wired. Hands the sender the
 * time and the randomness that it is not allowed to have; both come from `surroundings.ts`.
 *
 * Not here: what outlives a queue (opening it again, sends that wait, who waits for a frame's fate),
 * which is `producer.ts`.
 */
import { assertNever } from '#protocol/errors.ts';
import { macKeyOf } from '#protocol/handshake.ts';
import type { Epoch } from '#protocol/identity.ts';
import { NONCE_BYTES } from '#protocol/limits.ts';
import type { SettledRange } from '#protocol/settlement.ts';
import { Burial } from './burial.ts';
import type { PipelineEvent } from './events.ts';
import { Link, type LinkEvents } from './link.ts';
import type { CompleteOptions } from './options.ts';
import { QueueFailedError, QueueReadError } from './queue/errors.ts';
import {
  type Fate,
  type Gap,
  Queue,
  type QueueEvent,
  type QueuePosition,
  type RecoveryReport,
  type SentFrame,
} from './queue/queue.ts';
import { TRIED_RUNS_MAX } from './queue/sending-file.ts';
import { Sender, type SenderAction } from './sender.ts';
import type { SenderState } from './sender-state.ts';
import type { LastError, ProducerStatus } from './status.ts';
import type { Surroundings } from './surroundings.ts';

/** Who is told what happens; nothing is before `open` has resolved. */
export interface PipelineListener {
  onEvent(event: PipelineEvent): void;
  /** The server says that these are settled; of refused frames it is told once they are kept. */
  onSettled(epoch: Epoch, ranges: readonly SettledRange[]): void;
}

export interface PipelineStart {
  readonly options: CompleteOptions;
  /** Of this producer, whatever it opens. */
  readonly instance: string;
  readonly surroundings: Surroundings;
  readonly listener: PipelineListener;
}

/** What a pipeline knows of the status. */
export type PipelineStatus = Omit<
  ProducerStatus,
  'lifecycle' | 'failure' | 'unsynced' | 'counters'
> & { readonly counters: Omit<ProducerStatus['counters'], 'accepted'> };

/**
 * A stop goes on waiting for the link through so many failures in a row: one that was just lost is
 * soon back, one that stays away is not worth the wait. Nor is one that somebody has to mend.
 */
const STOP_ATTEMPTS_MAX = 2;

/** How often word is left of how sending goes, in milliseconds. */
const NOTE_EVERY_MS = 1_000;

export class Pipeline {
  readonly collector: string;
  readonly #options: CompleteOptions;
  readonly #instance: string;
  readonly #surroundings: Surroundings;
  readonly #queue: Queue;
  readonly #sender: Sender;
  readonly #link: Link;
  readonly #burial: Burial;
  readonly #listener: PipelineListener;
  #disarm: () => void = () => {};
  #lastError: LastError | undefined;
  /** Wall times are taken once, at each step: they don't move with later jumps of the clock. */
  #linkSince: number;
  #nextRetryAt: number | undefined;
  #running = false;
  /** What was last said of how sending goes. */
  #noted:
    | { readonly changes: number; readonly state: SenderState; readonly at: number }
    | undefined;
  #callOffNote: (() => void) | undefined;
  /** The store that settles now. */
  #storeId: string | undefined;
  readonly #counters = { declared: 0, lostByStore: 0, dead: 0 };

  /**
   * Opens the queue (reading through what it holds) and begins to dial. Rejects with the queue's
   * typed errors: in use by another process, unusable directory.
   */
  static async open(start: PipelineStart): Promise<Pipeline> {
    const { options, surroundings } = start;
    const queue = await Queue.open(
      {
        path: options.queuePath,
        limitBytes: options.queueLimitBytes,
        whenFull: options.queueWhenFull,
        maxAgeMs: options.queueMaxAgeMs,
        keepSettledBytes: options.keepSettledBytes,
        keepSettledMs: options.keepSettledMs,
        unsyncedBytesMax: options.unsyncedBytesMax,
      },
      surroundings.startQueueThread,
    );
    try {
      const collector = options.collectorId ?? (await queue.collectorId());
      return new Pipeline(start, queue, collector, surroundings);
    } catch (error) {
      await queue.close();
      throw error;
    }
  }

  private constructor(
    start: PipelineStart,
    queue: Queue,
    collector: string,
    surroundings: Surroundings,
  ) {
    const { options, listener, instance } = start;
    this.collector = collector;
    this.#options = options;
    this.#instance = instance;
    this.#listener = listener;
    this.#surroundings = surroundings;
    this.#linkSince = surroundings.wallTime();
    this.#queue = queue;
    this.#sender = new Sender(
      {
        collector,
        instance,
        key: macKeyOf(options.token),
        random: surroundings.random,
        nonce: () => surroundings.randomBytes(NONCE_BYTES),
        storeId: queue.stats.storeId,
        delivery: {
          order: options.drainOrder,
          backlogShare: options.backlogSharePercent / 100,
          flushMs: options.flushIntervalMs,
          compression: options.compression !== 'off',
        },
      },
      surroundings.now(),
    );
    const events: LinkEvents = {
      onConnected: (connection) => this.#drive((now) => this.#sender.onConnected(connection, now)),
      onBytes: (connection, bytes) =>
        this.#drive((now) => this.#sender.onBytes(connection, bytes, now)),
      onClosed: (connection, error) =>
        this.#drive((now) => this.#sender.onClosed(connection, error, now)),
    };
    this.#link = new Link({ ...options.server, tls: options.tls }, events, surroundings);
    this.#burial = new Burial({
      ...surroundings,
      queue,
      collector,
      queuePath: options.queuePath,
      watchConnection: (storeId) => this.#watchConnection(storeId),
      onBuried: ({ epoch, seq }, code, text) => {
        this.#counters.dead += 1;
        this.#listener.onEvent({ type: 'rejected', epoch, seq, code, text });
      },
    });
    queue.on((event) => this.#onQueueEvent(event));
    this.#drive(() => {
      if (queue.stats.highest) this.#sender.onAppended(queue.stats.highest);
    });
  }

  /** What opening found: pending frames, a torn tail, damage. */
  get recovery(): RecoveryReport {
    return this.#queue.recovery;
  }

  /** The newest durable frame. */
  get highest(): QueuePosition | undefined {
    return this.#queue.stats.highest;
  }

  /** Pending frames. */
  get frames(): number {
    return this.#queue.stats.frames;
  }

  /** Up, or lost so short a time ago, and for such a reason, that it may soon be back. */
  get linkIsWorthAWait(): boolean {
    const { state, attempt } = this.#sender;
    if (state.name === 'Ready') return true;
    if (state.name === 'Stopped') return false;
    // Of this row of failures, where there is one: each begins with a step that notes its error.
    const isPermanent = attempt > 0 && this.#lastError?.retry === 'permanent';
    return !isPermanent && attempt <= STOP_ATTEMPTS_MAX;
  }

  append(frame: SentFrame): void {
    this.#queue.append(frame);
  }

  declareLost(frames: number): Promise<Gap> {
    return this.#queue.declareLost(frames);
  }

  fates(positions: readonly QueuePosition[]): Promise<Fate[]> {
    return this.#queue.fates(positions);
  }

  pendingUpTo(position: QueuePosition): Promise<number> {
    return this.#queue.pendingUpTo(position);
  }

  /** Whether frames leave at once, without waiting for company. */
  hurry(hurries: boolean): void {
    this.#drive(() => this.#sender.onHurry(hurries));
  }

  status(): PipelineStatus {
    const state = this.#sender.state;
    const stats = this.#queue.stats;
    return {
      collector: this.collector,
      epoch: stats.highest?.epoch,
      state: state.name,
      since: this.#linkSince,
      attempt: this.#sender.attempt,
      nextRetryAt: state.name === 'Backoff' ? this.#nextRetryAt : undefined,
      lastError: this.#lastError,
      queue: {
        frames: stats.frames,
        bytes: stats.bytes,
        keptBytes: stats.keptBytes,
        oldestCapturedAt: stats.oldestCapturedAt,
        limitBytes: stats.limitBytes,
        whenFull: this.#options.queueWhenFull,
        maxAgeMs: this.#options.queueMaxAgeMs,
        diskFull: stats.diskFull,
      },
      counters: { ...this.#counters, acked: stats.acked, ...this.#sender.counters },
    };
  }

  /** Says goodbye and releases the queue. What isn't settled stays on disk for the next opening. */
  async close(): Promise<void> {
    this.#stopSender();
    await this.#queue.close();
  }

  #stopSender(): void {
    this.#drive((now) => this.#sender.onStop(now));
    this.#disarm();
  }

  /** Feeds one input, performs what follows, arms the timer. Inputs that come meanwhile queue up. */
  #drive(input: (now: number) => void): void {
    input(this.#surroundings.now());
    if (this.#running) return;
    this.#running = true;
    try {
      for (let action = this.#next(); action; action = this.#next()) this.#perform(action);
    } finally {
      this.#running = false;
    }
    this.#arm();
    this.#noteSending();
  }

  /** Leaves word of how sending goes, at most once in NOTE_EVERY_MS. */
  #noteSending(): void {
    const { changes } = this.#sender.tried;
    const { state } = this.#sender;
    const noted = this.#noted;
    if (noted?.changes === changes && noted.state === state) return;
    const { now, after, wallTime } = this.#surroundings;
    const waitMs = (noted?.at ?? Number.NEGATIVE_INFINITY) + NOTE_EVERY_MS - now();
    if (waitMs > 0 && state.name !== 'Stopped') {
      this.#callOffNote ??= after(Math.ceil(waitMs), () => {
        this.#callOffNote = undefined;
        this.#noteSending();
      });
      return;
    }
    this.#callOffNote?.();
    this.#callOffNote = undefined;
    this.#noted = { changes, state, at: now() };
    this.#queue.noteSending({
      at: wallTime(),
      instance: this.#instance,
      state: state.name,
      since: this.#linkSince,
      attempt: this.#sender.attempt,
      nextRetryAt: state.name === 'Backoff' ? this.#nextRetryAt : undefined,
      lastError: this.#lastError,
      tried: this.#sender.tried.all.slice(0, TRIED_RUNS_MAX),
    });
  }

  #next(): SenderAction | undefined {
    return this.#sender.poll(this.#surroundings.now());
  }

  #arm(): void {
    this.#disarm();
    const deadline = this.#sender.nextDeadline;
    if (deadline === undefined) return;
    const { now, after } = this.#surroundings;
    const waitMs = Math.max(0, Math.ceil(deadline - now()));
    this.#disarm = after(waitMs, () => this.#drive((at) => this.#sender.onTick(at)));
  }

  #perform(action: SenderAction): void {
    switch (action.type) {
      case 'dial':
        return this.#link.dial(action.connection);
      case 'write':
        return this.#link.write(action.connection, action.bytes);
      case 'close':
        return this.#link.close(action.connection);
      case 'settle':
        this.#storeId = action.storeId;
        this.#queue.settle(action.storeId, action.epoch, action.ranges);
        return this.#onSettled(action.epoch, action.ranges);
      case 'reconcile': {
        const { storeId, epoch, within, ranges } = action;
        this.#storeId = storeId;
        this.#queue.reconcile(storeId, epoch, within, ranges);
        return this.#onSettled(epoch, ranges);
      }
      case 'state':
        return this.#onState(action.from, action.to);
      case 'read-held':
      case 'read-frames':
      case 'read-gaps':
      case 'reject':
        this.#ask(action).catch((error) => this.#onQueueFailure(error));
        return;
      default:
        return assertNever(action);
    }
  }

  #onSettled(epoch: Epoch, ranges: readonly SettledRange[]): void {
    this.#listener.onSettled(epoch, ranges);
    for (const { state, from, to } of ranges) {
      if (state === 'stored') this.#listener.onEvent({ type: 'stored', epoch, from, to });
    }
  }

  /** The actions that wait for the disk. A late answer is for an old connection, and ignored. */
  async #ask(action: Extract<SenderAction, { type: `read-${string}` | 'reject' }>): Promise<void> {
    switch (action.type) {
      case 'read-held': {
        const held = await this.#queue.held();
        return this.#drive((now) => this.#sender.onHeld(action.connection, held, now));
      }
      case 'read-frames': {
        const { after, frames: framesMax, bytes } = action;
        const frames = await this.#queue.readPending(after, { frames: framesMax, bytes });
        return this.#drive(() => this.#sender.onFrames(action.connection, frames));
      }
      case 'read-gaps': {
        const gaps = await this.#queue.pendingGaps();
        return this.#drive(() => this.#sender.onGaps(action.connection, gaps));
      }
      case 'reject':
        return this.#burial.bury(action);
      default:
        return assertNever(action);
    }
  }

  #watchConnection(storeId: string): () => boolean {
    const { connections } = this.#sender.counters;
    return () =>
      storeId === this.#storeId &&
      connections === this.#sender.counters.connections &&
      this.#sender.state.name !== 'Stopped';
  }

  #onState(from: SenderState, to: SenderState): void {
    const at = this.#surroundings.wallTime();
    if (from.name === 'Ready' || to.name === 'Ready' || to.name === 'Stopped') this.#linkSince = at;
    if (to.name === 'Backoff') {
      const { code, message, retry } = to.error;
      this.#lastError = { code, message, retry, at };
      this.#nextRetryAt = at + Math.round((to.until - to.since) * 1_000);
    }
    this.#listener.onEvent({ type: 'state', from, to });
  }

  #onQueueEvent(event: QueueEvent): void {
    switch (event.type) {
      case 'appended':
        return this.#drive(() => this.#sender.onAppended({ epoch: event.epoch, seq: event.seq }));
      case 'gap':
        this.#counters.declared += event.gap.to - event.gap.from + 1;
        this.#listener.onEvent({ type: 'gap', gap: event.gap });
        return this.#drive(() => this.#sender.onGapsChanged());
      case 'store_lost': {
        const { loss } = event;
        this.#counters.lostByStore += loss.resent + loss.declared;
        this.#listener.onEvent({ type: 'store_lost', loss });
        return this.#drive(() => this.#sender.onStoreLost());
      }
      case 'replayed':
        return this.#drive(() => this.#sender.onReplayed());
      case 'disk_full':
      case 'damage':
      case 'failed':
        return this.#listener.onEvent(event);
      default:
        return assertNever(event);
    }
  }

  /** A read or a dead letter failed: the disk is not to be trusted, whatever else still works. */
  #onQueueFailure(error: unknown): void {
    if (this.#sender.state.name === 'Stopped') return;
    this.#stopSender();
    const isKnown = error instanceof QueueFailedError || error instanceof QueueReadError;
    this.#listener.onEvent({
      type: 'failed',
      error: isKnown ? error : new QueueFailedError(this.#options.queuePath, 'deliver', error),
    });
  }
}
