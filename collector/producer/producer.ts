/**
 * The producer: frames in, durable at once, brought to the server by itself.
 *
 * Wires the queue, the sender and the link, and hands the sender the time and the randomness that
 * it is not allowed to have; both come from `surroundings.ts`. Installs no signal handler, prints
 * nothing and never ends the process; what happens comes out as events.
 *
 * `send` never fails because of the link. It fails when the frame can't be made durable: a queue
 * that is full and set to refuse, a payload over the limit, a disk that is full or has failed.
 */
import { assertNever } from '#protocol/errors.ts';
import { macKeyOf } from '#protocol/handshake.ts';
import type { Epoch } from '#protocol/identity.ts';
import { NONCE_BYTES, TOKEN_BYTES_MIN } from '#protocol/limits.ts';
import { type SettledRange, settledReason } from '#protocol/settlement.ts';
import { type DeadLetter, isOutOfRoom } from './dead-letters.ts';
import { DELIVERY_DEFAULTS, type DeliveryOptions } from './delivery.ts';
import type { DrainOrder } from './lanes.ts';
import { Link, type LinkEvents, type ServerAddress } from './link.ts';
import type { LinkErrorCode, Retry } from './link-error.ts';
import {
  type Damage,
  type Gap,
  Queue,
  type QueueEvent,
  type RecoveryReport,
  type StoreLoss,
  type WhenFull,
} from './queue/queue.ts';
import { Sender, type SenderAction } from './sender.ts';
import type { SenderState } from './sender-state.ts';
import { REAL_SURROUNDINGS, type Surroundings } from './surroundings.ts';

export interface ProducerOptions {
  readonly server: ServerAddress;
  /** The secret shared with the server, TOKEN_BYTES_MIN bytes or more. */
  readonly token: Uint8Array;
  /** The queue's directory; made when missing. One process at a time. */
  readonly queuePath: string;
  /** Without one the id that the queue's directory keeps is used, made at its first opening. */
  readonly collectorId?: string;
  /** How much disk the queue may take, in bytes. */
  readonly queueLimitBytes?: number;
  /** At that limit: the oldest frames are given up and declared (default), or new ones refused. */
  readonly queueWhenFull?: WhenFull;
  /**
   * Frames that wait for longer, in milliseconds, are given up and declared as expired; 0 (default):
   * never. By the monotonic clock; over a restart the time counts anew.
   */
  readonly queueMaxAgeMs?: number;
  /** What leaves first after an outage: the oldest frames (default), or new ones. */
  readonly drainOrder?: DrainOrder;
  /** With `live`: the backlog's part of the link while new frames wait too, 0 to 100; default 50. */
  readonly backlogSharePercent?: number;
  /** How long a frame may wait for others to share a message with, in milliseconds; default 0. */
  readonly flushIntervalMs?: number;
  /** `auto` (default): frames are compressed on the way where the link limits and where it pays. */
  readonly compression?: 'auto' | 'off';
  /**
   * How much of what the server has confirmed stays in the queue, to be sent again should the server
   * lose it: bytes (default 64 MiB) and milliseconds (default 1 h); both hold. 0 keeps none.
   */
  readonly keepSettledBytes?: number;
  readonly keepSettledMs?: number;
  readonly onEvent?: (event: ProducerEvent) => void;
}

export type ProducerEvent =
  | { readonly type: 'state'; readonly from: SenderState; readonly to: SenderState }
  /** Frames that had to be given up; the server will be told. */
  | { readonly type: 'gap'; readonly gap: Gap }
  /** The disk is full, so `send` fails with `disk_full` until it has room; told at both changes. */
  | { readonly type: 'disk_full'; readonly full: boolean }
  /** Frames that are stored at the server, on its disk; told again by each new connection. */
  | { readonly type: 'stored'; readonly epoch: Epoch; readonly from: number; readonly to: number }
  /** Damage was found in the queue's files; what is lost by it is declared in `gap` events. */
  | { readonly type: 'damage'; readonly damage: Damage }
  /**
   * The server no longer has what it had confirmed, or another server's store is in its place. What
   * is still in the queue is sent again; the rest is declared, in `gap` events of its own.
   */
  | { readonly type: 'store_lost'; readonly loss: StoreLoss }
  /** A frame that the server refuses for good; it is kept as a dead letter. */
  | {
      readonly type: 'rejected';
      readonly epoch: Epoch;
      readonly seq: number;
      /** A reject code of `#protocol/settlement.ts`, or `code_N` of a newer server. */
      readonly code: string;
      readonly text: string;
    }
  /** The disk failed: nothing more is accepted until the queue is opened anew. */
  | { readonly type: 'failed'; readonly error: Error };

/** Times are microseconds since 1970 UTC. */
export interface ProducerStatus {
  readonly collector: string;
  readonly epoch: Epoch | undefined;
  readonly state: SenderState['name'];
  /** Since when the link is Ready, or else since when it is not: an outage has one beginning. */
  readonly since: number;
  /** Failures since the link last did its work. */
  readonly attempt: number;
  readonly nextRetryAt: number | undefined;
  readonly lastError: LastError | undefined;
  readonly queue: {
    readonly frames: number;
    readonly bytes: number;
    /** What of it is settled, and kept in case the server loses it. */
    readonly keptBytes: number;
    readonly oldestCapturedAt: number | undefined;
    readonly limitBytes: number;
    readonly whenFull: WhenFull;
    /** 0: frames don't expire. */
    readonly maxAgeMs: number;
    /** The disk had no room for what was last to be written; it is tried again. */
    readonly diskFull: boolean;
  };
  readonly counters: {
    readonly accepted: number;
    readonly acked: number;
    readonly declared: number;
    /** What servers no longer had of what they had confirmed; sent again or declared since. */
    readonly lostByStore: number;
    readonly dead: number;
    readonly resent: number;
    readonly connections: number;
  };
}

export interface LastError {
  readonly code: LinkErrorCode;
  readonly message: string;
  readonly retry: Retry;
  readonly at: number;
}

/**
 * A stop goes on waiting for the link through so many failures in a row: one that was just lost is
 * soon back, one that stays away is not worth the wait.
 */
const STOP_ATTEMPTS_MAX = 2;
const FLUSH_MS_MAX = 60_000;
/** How often `close` looks whether everything is settled; acks are what it really waits for. */
const DRAIN_POLL_MS = 10;
/** How often a dead letter is tried on a disk without room. */
const DEAD_LETTER_RETRY_MS = 1_000;

export class Producer {
  readonly #options: ProducerOptions;
  readonly #surroundings: Surroundings;
  readonly #queue: Queue;
  readonly #collector: string;
  readonly #sender: Sender;
  readonly #link: Link;
  #disarm: () => void = () => {};
  #lastError: LastError | undefined;
  /** Wall times are taken once, at each step: they don't move with later jumps of the clock. */
  #linkSince: number;
  #nextRetryAt: number | undefined;
  #running = false;
  #burial: Promise<void> = Promise.resolve();
  /** The store that settles now. */
  #storeId: string | undefined;
  readonly #counters = { accepted: 0, declared: 0, lostByStore: 0, dead: 0 };

  /**
   * Opens the queue (reading through what it holds) and begins to dial. Rejects with the queue's
   * typed errors: in use by another process, unusable directory.
   * @param surroundings For tests; the real ones by default.
   */
  static async open(
    options: ProducerOptions,
    surroundings: Surroundings = REAL_SURROUNDINGS,
  ): Promise<Producer> {
    if (options.token.length < TOKEN_BYTES_MIN) {
      throw new RangeError(`the token must have at least ${TOKEN_BYTES_MIN} bytes`);
    }
    const { queuePath: path, queueLimitBytes: limitBytes } = options;
    const { keepSettledBytes, keepSettledMs } = options;
    const { queueWhenFull: whenFull, queueMaxAgeMs: maxAgeMs } = options;
    const queue = await Queue.open(
      {
        path,
        ...(limitBytes === undefined ? {} : { limitBytes }),
        ...(whenFull === undefined ? {} : { whenFull }),
        ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
        ...(keepSettledBytes === undefined ? {} : { keepSettledBytes }),
        ...(keepSettledMs === undefined ? {} : { keepSettledMs }),
      },
      surroundings.startQueueThread,
    );
    try {
      const collector = options.collectorId ?? (await queue.collectorId());
      return new Producer(options, queue, collector, surroundings);
    } catch (error) {
      await queue.close();
      throw error;
    }
  }

  private constructor(
    options: ProducerOptions,
    queue: Queue,
    collector: string,
    surroundings: Surroundings,
  ) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#linkSince = surroundings.wallTime();
    this.#queue = queue;
    this.#collector = collector;
    this.#sender = new Sender(
      {
        collector,
        instance: surroundings.randomUuid(),
        key: macKeyOf(options.token),
        random: surroundings.random,
        nonce: () => surroundings.randomBytes(NONCE_BYTES),
        storeId: queue.stats.storeId,
        delivery: deliveryOptions(options),
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
    this.#link = new Link(options.server, events, surroundings);
    queue.on((event) => this.#onQueueEvent(event));
    this.#drive(() => {
      if (queue.stats.highest) this.#sender.onAppended(queue.stats.highest);
    });
  }

  /** What opening found: pending frames, a torn tail, damage. */
  get recovery(): RecoveryReport {
    return this.#queue.recovery;
  }

  /**
   * Makes a frame of the payload and resolves when it is durable on this machine's disk.
   * `capturedAt` is in microseconds since 1970 UTC; now, when left out.
   * @throws The queue's typed errors: the frame was not accepted. `disk_full` (DiskFullError) and
   * `queue_full` pass by themselves; see `declareLost` for what can't wait.
   */
  async send(
    payload: Uint8Array,
    options: { capturedAt?: number } = {},
  ): Promise<{ epoch: Epoch; seq: number }> {
    const receipt = await this.#queue.append(
      payload,
      options.capturedAt ?? this.#surroundings.wallTime(),
    );
    this.#counters.accepted += 1;
    return receipt;
  }

  /**
   * Declares that `frames`, 1 or more, were captured and are lost because the disk was full. They get
   * numbers of their own, so that an audit shows them as declared instead of nothing at all. Rejects
   * as `send` does when the queue is closed or has failed.
   */
  async declareLost(frames: number): Promise<void> {
    await this.#queue.declareLost(frames);
  }

  status(): ProducerStatus {
    const state = this.#sender.state;
    const stats = this.#queue.stats;
    return {
      collector: this.#collector,
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
        whenFull: this.#options.queueWhenFull ?? 'drop-oldest',
        maxAgeMs: this.#options.queueMaxAgeMs ?? 0,
        diskFull: stats.diskFull,
      },
      counters: { ...this.#counters, acked: stats.acked, ...this.#sender.counters },
    };
  }

  /**
   * Waits until everything is settled, the link turns out to be away, or the deadline has passed;
   * says goodbye and releases the queue. What isn't settled stays on disk for the next opening.
   */
  async close(options: { deadlineMs: number }): Promise<void> {
    const { now, after } = this.#surroundings;
    const deadline = now() + options.deadlineMs;
    this.#drive(() => this.#sender.onFlush());
    while (this.#linkIsWorthAWait && this.#queue.stats.frames > 0 && now() < deadline) {
      await new Promise<void>((resolve) => after(DRAIN_POLL_MS, resolve));
    }
    this.#drive((now) => this.#sender.onStop(now));
    this.#disarm();
    await this.#queue.close();
  }

  get #linkIsWorthAWait(): boolean {
    const { state, attempt } = this.#sender;
    return state.name === 'Ready' || (state.name !== 'Stopped' && attempt <= STOP_ATTEMPTS_MAX);
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
        return this.#onStored(action.epoch, action.ranges);
      case 'reconcile': {
        const { storeId, epoch, within, ranges } = action;
        this.#storeId = storeId;
        this.#queue.reconcile(storeId, epoch, within, ranges);
        return this.#onStored(epoch, ranges);
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

  #onStored(epoch: Epoch, ranges: readonly SettledRange[]): void {
    for (const { state, from, to } of ranges) {
      if (state === 'stored') this.#emit({ type: 'stored', epoch, from, to });
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
        return this.#bury(action);
      default:
        return assertNever(action);
    }
  }

  /**
   * Keeps refused frames aside, on disk, before the queue may forget them. One after the other: a
   * refusal that is told twice finds its frame settled the second time.
   */
  #bury(action: Extract<SenderAction, { type: 'reject' }>): Promise<void> {
    const { connections } = this.#sender.counters;
    const buried = this.#burial.then(() => this.#buryNow(action, connections));
    this.#burial = buried.catch(() => undefined);
    return buried;
  }

  /**
   * A refusal holds for as long as its connection. A later one tells it again, unless the store has
   * lost it, or is another one: then the frame is still to be sent.
   */
  async #buryNow(
    { storeId, epoch, range, text }: Extract<SenderAction, { type: 'reject' }>,
    connections: number,
  ): Promise<void> {
    const code = settledReason(range) ?? 'unknown';
    const holds = (): boolean =>
      storeId === this.#storeId &&
      connections === this.#sender.counters.connections &&
      this.#sender.state.name !== 'Stopped';
    for (let { from: seq } = range; seq <= range.to && holds(); seq += 1) {
      const before = { epoch, seq: seq - 1 };
      const [frame] = await this.#queue.readPending(before, { frames: 1, bytes: 0 });
      if (frame?.epoch !== epoch || frame.seq > range.to) break;
      seq = frame.seq;
      const rejectedAt = this.#surroundings.wallTime();
      const letter = { collector: this.#collector, frame, code, text, rejectedAt };
      await this.#keep(letter, holds);
      if (!holds()) return;
      this.#counters.dead += 1;
      this.#queue.settle(storeId, epoch, [{ ...range, from: seq, to: seq }]);
      this.#emit({ type: 'rejected', epoch, seq, code, text });
    }
    if (holds()) this.#queue.settle(storeId, epoch, [range]);
  }

  /** A disk without room is waited for: meanwhile the frame stays pending in the queue. */
  async #keep(letter: DeadLetter, holds: () => boolean): Promise<void> {
    const { keepDeadLetter, after } = this.#surroundings;
    for (let kept = false; !kept && holds(); ) {
      try {
        await keepDeadLetter(this.#options.queuePath, letter);
        kept = true;
      } catch (error) {
        if (!isOutOfRoom(error)) throw error;
        await new Promise<void>((resolve) => after(DEAD_LETTER_RETRY_MS, resolve));
      }
    }
  }

  #onState(from: SenderState, to: SenderState): void {
    const at = this.#surroundings.wallTime();
    if (from.name === 'Ready' || to.name === 'Ready' || to.name === 'Stopped') this.#linkSince = at;
    if (to.name === 'Backoff') {
      const { code, message, retry } = to.error;
      this.#lastError = { code, message, retry, at };
      this.#nextRetryAt = at + Math.round((to.until - to.since) * 1_000);
    }
    this.#emit({ type: 'state', from, to });
  }

  #onQueueEvent(event: QueueEvent): void {
    switch (event.type) {
      case 'appended':
        return this.#drive(() => this.#sender.onAppended({ epoch: event.epoch, seq: event.seq }));
      case 'gap':
        this.#counters.declared += event.gap.to - event.gap.from + 1;
        this.#emit({ type: 'gap', gap: event.gap });
        return this.#drive(() => this.#sender.onGapsChanged());
      case 'disk_full':
        return this.#emit(event);
      case 'damage':
        return this.#emit({ type: 'damage', damage: event.damage });
      case 'store_lost': {
        const { loss } = event;
        this.#counters.lostByStore += loss.resent + loss.declared;
        this.#emit({ type: 'store_lost', loss });
        return this.#drive(() => this.#sender.onStoreLost());
      }
      case 'failed':
        return this.#emit({ type: 'failed', error: event.error });
      default:
        return assertNever(event);
    }
  }

  /** A read or a dead letter failed: the disk is not to be trusted, whatever else still works. */
  #onQueueFailure(error: unknown): void {
    if (this.#sender.state.name === 'Stopped') return;
    this.#drive((now) => this.#sender.onStop(now));
    this.#disarm();
    this.#emit({
      type: 'failed',
      error: error instanceof Error ? error : new Error(String(error)),
    });
  }

  #emit(event: ProducerEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Throws RangeError for what can't be meant. */
function deliveryOptions(options: ProducerOptions): DeliveryOptions {
  const { backlogSharePercent: percent = 50, flushIntervalMs: flushMs = 0 } = options;
  if (!(percent >= 0 && percent <= 100)) {
    throw new RangeError(`backlogSharePercent is ${percent}; it must be 0 to 100`);
  }
  if (!(flushMs >= 0 && flushMs <= FLUSH_MS_MAX)) {
    throw new RangeError(`flushIntervalMs is ${flushMs}; it must be 0 to ${FLUSH_MS_MAX}`);
  }
  return {
    order: options.drainOrder ?? DELIVERY_DEFAULTS.order,
    backlogShare: percent / 100,
    flushMs,
    compression: options.compression !== 'off',
  };
}
