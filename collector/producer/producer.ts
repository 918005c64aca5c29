/**
 * The producer: frames in, durable at once, brought to the server by itself. This module is all that
 * a program needs, the daemon's too; docs/producer.md has its contract.
 *
 * Here: what outlives an open queue: opening it in the background, and again after a failure; sends
 * that wait for their turn; who waits to hear what became of a frame; and the events. What runs
 * while a queue is open is `pipeline.ts`.
 *
 * Installs no signal handler, prints nothing, never ends the process, and no call ever fails because
 * of the link.
 */
import { EventEmitter } from 'node:events';
import { CAPTURED_AT_MAX } from '#protocol/identity.ts';
import type { ServerAddress } from './address.ts';
import { AbortedError, ArgumentError, ClosedError } from './errors.ts';
import type { Opening, PipelineEvent, ProducerEvent, ProducerEventMap } from './events.ts';
import {
  type CompleteOptions,
  checkCallOptions,
  checkOptions,
  checkWaitMs,
  type ProducerOptions,
  show,
} from './options.ts';
import { Pipeline } from './pipeline.ts';
import { QueueError, QueueOpenError } from './queue/errors.ts';
import type { QueuePosition } from './queue/queue.ts';
import { Receipt } from './receipt.ts';
import { SendLine } from './send-line.ts';
import { type Settlement, Settlements } from './settlements.ts';
import type { Lifecycle, ProducerStatus } from './status.ts';
import { REAL_SURROUNDINGS, type Surroundings } from './surroundings.ts';
import { Deadline, unlessAborted } from './waiting.ts';

export * from './errors.ts';
export type { LinkTls } from './link.ts';
export { LinkError, type LinkErrorCode } from './link-error.ts';
export {
  CollectorIdError,
  DiskFullError,
  PayloadTooLargeError,
  QueueError,
  type QueueErrorCode,
  QueueFailedError,
  QueueForeignError,
  QueueFullError,
  QueueInUseError,
  QueueOpenError,
  QueueReadError,
} from './queue/errors.ts';
export type { Damage, Gap, RecoveryReport, StoreLoss, WhenFull } from './queue/queue.ts';
export type { SenderState } from './sender-state.ts';
export type { LastError, Lifecycle, ProducerCounters, ProducerStatus } from './status.ts';
export type {
  Opening,
  ProducerEvent,
  ProducerEventMap,
  ProducerOptions,
  Receipt,
  ServerAddress,
  Settlement,
};

export interface SendOptions {
  /** Whole microseconds since 1970 UTC; the time of the call, when left out. */
  readonly capturedAt?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface FlushOptions extends WaitOptions {
  /** Milliseconds from the call; without it, as long as it takes. */
  readonly deadlineMs?: number | undefined;
}

/** How far a wait for delivery came. */
export interface FlushResult {
  /** Everything that was meant is stored, declared or rejected. */
  readonly settled: boolean;
  /** Frames that aren't, as far as is known: without an open queue nobody can count. */
  readonly pending: number;
}

/** How often it is asked how much is pending; acks are what a flush really waits for. */
const PENDING_POLL_MS = 10;

const WAIT_OPTIONS = ['signal'];
const SEND_OPTIONS = ['capturedAt', 'signal'];
const FLUSH_OPTIONS = ['deadlineMs', 'signal'];

/** A clock that says an earlier time, September 2001, was never set: it tells nothing about a number. */
const CLOCK_SET_US = 1e15;
const TEN_YEARS_US = 10 * 365 * 86_400 * 1e6;

export class Producer extends EventEmitter<ProducerEventMap> {
  readonly #options: CompleteOptions;
  readonly #surroundings: Surroundings;
  readonly #instance: string;
  readonly #line: SendLine<Receipt>;
  readonly #settlements = new Settlements();
  #lifecycle: Lifecycle = 'opening';
  #failure: QueueError | undefined;
  #opening: Promise<Opening>;
  /** The newest one, closed or failed as it may be. */
  #pipeline: Pipeline | undefined;
  /** It has failed and is being given up for the next one. */
  #isRetiring = false;
  /** What pipelines before it counted. */
  #past = NOTHING_COUNTED;
  /** Who waits for the end of what is pending. */
  #hurried = 0;
  readonly #since: number;
  #closing: Promise<FlushResult> | undefined;

  /**
   * Begins to open the queue and to connect, in the background; sends are taken at once, and wait
   * for it. Listeners that are added in the same turn hear everything.
   * @param surroundings For tests; the real ones by default.
   * @throws OptionsError, for nothing else than wrong options; it names all of them.
   */
  constructor(options: ProducerOptions, surroundings: Surroundings = REAL_SURROUNDINGS) {
    super();
    this.#options = checkOptions(options);
    this.#surroundings = surroundings;
    this.#instance = surroundings.randomUuid();
    this.#since = surroundings.wallTime();
    this.#line = new SendLine(
      this.#options.unsyncedBytesMax,
      (position) => new Receipt(position, this.#settlements),
    );
    // Node would print a warning about many listeners.
    this.setMaxListeners(0);
    this.#opening = this.#open('opened');
  }

  /**
   * Resolves when the queue is open, after `reopen` too, to what the opening found. Rejects with the
   * typed error of a failed opening (QueueInUseError, QueueForeignError, QueueOpenError, CollectorIdError), ClosedError
   * or AbortedError. Nobody has to call it: sends wait for the opening, too.
   */
  async opened(options: WaitOptions = {}): Promise<Opening> {
    checkCallOptions(options, WAIT_OPTIONS);
    if (this.#closing !== undefined) throw this.#closedError;
    if (this.#failure !== undefined) throw this.#failure;
    return unlessAborted(this.#opening, options.signal);
  }

  /**
   * Makes a frame of the payload and resolves when it is durable on this machine's disk. Resolves in
   * the order of the calls.
   * @param payload At most 1 MiB; text is encoded in UTF-8. Bytes must not change until it resolves.
   * @throws What says that the frame was not accepted: `payload_too_large`, `queue_full` and
   * `disk_full` (which pass by themselves), `argument_invalid`, `closed`, and the error of an opening
   * that failed. `queue_failed` and `aborted` may leave it unknown; see docs/producer.md.
   */
  send(payload: string | Uint8Array, options: SendOptions = {}): Promise<Receipt> {
    // Not async: one promise for each frame is enough.
    try {
      checkCallOptions(options, SEND_OPTIONS);
      const now = this.#surroundings.wallTime();
      const { capturedAt = now, signal } = options;
      checkCapturedAt(capturedAt, now);
      return this.#line.send(bytesOf(payload), capturedAt, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Declares that `frames`, 1 or more, were captured and are lost because the disk was full. They get
   * numbers of their own, so that an audit shows them as declared instead of nothing at all. Rejects
   * as `send` does when the producer is closed or has failed.
   */
  async declareLost(frames: number): Promise<void> {
    if (!(Number.isSafeInteger(frames) && frames >= 1)) {
      throw new ArgumentError('frames', 'a whole number, 1 or more', show(frames));
    }
    await this.opened();
    await this.#unlessClosed(this.#openPipeline.declareLost(frames));
  }

  /**
   * Waits until everything that was sent before the call, and whatever the queue held by then, is
   * settled, or the deadline has passed; meanwhile no frame waits for company. Frames that are sent
   * after the call are not waited for.
   * @throws AbortedError, ClosedError, and the error of an opening that failed.
   */
  async flush(options: FlushOptions = {}): Promise<FlushResult> {
    checkCallOptions(options, FLUSH_OPTIONS);
    const { deadlineMs, signal } = options;
    if (deadlineMs !== undefined) checkWaitMs('deadlineMs', deadlineMs);
    if (this.#closing !== undefined) throw this.#closedError;
    const deadline = new Deadline(deadlineMs, signal, this.#surroundings.after);
    this.#hurry(1);
    try {
      const pending = await this.#unlessClosed(this.#flush(deadline));
      if (signal?.aborted) throw new AbortedError(signal);
      return { settled: pending === 0, pending };
    } finally {
      this.#hurry(-1);
      deadline.end();
    }
  }

  /**
   * Takes nothing more, makes durable what was sent before, and waits until everything is settled,
   * the link turns out to be away, or the deadline has passed; then says goodbye and gives the queue
   * free. What isn't settled stays on disk for the next producer on this queue. May be called again.
   * @param options `deadlineMs`: what the wait for delivery may take, 0 by default; `signal` ends
   * that wait early, too: the producer is closed all the same.
   */
  async close(options: FlushOptions = {}): Promise<FlushResult> {
    checkCallOptions(options, FLUSH_OPTIONS);
    const { deadlineMs = 0, signal } = options;
    checkWaitMs('deadlineMs', deadlineMs);
    this.#closing ??= this.#close(new Deadline(deadlineMs, signal, this.#surroundings.after));
    return this.#closing;
  }

  /**
   * The way back after a failure, of the disk or of the opening: opens the queue anew, which verifies
   * what is really on the disk. Everything durable goes on, and so do promises for what becomes of
   * it. Does nothing but wait where nothing has failed. Rejects like `opened`.
   */
  async reopen(options: WaitOptions = {}): Promise<Opening> {
    checkCallOptions(options, WAIT_OPTIONS);
    if (this.#lifecycle === 'failed') {
      this.#line.pause();
      this.#failure = undefined;
      this.#lifecycle = 'opening';
      this.#opening = this.#open('reopened');
    }
    return this.opened(options);
  }

  status(): ProducerStatus {
    const { collectorId, queueLimitBytes, queueWhenFull, queueMaxAgeMs } = this.#options;
    const known = this.#pipeline?.status() ?? {
      collector: collectorId ?? '',
      epoch: undefined,
      state: 'Stopped',
      since: this.#since,
      attempt: 0,
      nextRetryAt: undefined,
      lastError: undefined,
      queue: {
        frames: 0,
        bytes: 0,
        keptBytes: 0,
        oldestCapturedAt: undefined,
        limitBytes: queueLimitBytes,
        whenFull: queueWhenFull,
        maxAgeMs: queueMaxAgeMs,
        diskFull: false,
      },
      counters: NOTHING_COUNTED,
    };
    return {
      ...known,
      lifecycle: this.#lifecycle,
      failure: this.#failure,
      unsynced: this.#line.unsynced,
      counters: { accepted: this.#line.accepted, ...sum(this.#past, known.counters) },
    };
  }

  get #closedError(): ClosedError {
    return new ClosedError(this.#options.queuePath);
  }

  /** Opens the queue; never throws at once, and what it answers needs no one to look at it. */
  #open(as: 'opened' | 'reopened'): Promise<Opening> {
    const opening = this.#openQueue(as);
    opening.catch(() => {});
    return opening;
  }

  async #openQueue(as: 'opened' | 'reopened'): Promise<Opening> {
    try {
      // At once, so that nothing more comes of it; then what follows the constructor: listeners, sends.
      await this.#retire();
      this.#pipeline = await Pipeline.open({
        options: this.#options,
        instance: this.#instance,
        surroundings: this.#surroundings,
        listener: {
          onEvent: (event) => this.#onEvent(event),
          onSettled: (epoch, ranges) => this.#settlements.onSettled(epoch, ranges),
        },
      });
    } catch (error) {
      const isKnown = error instanceof QueueError;
      throw this.#onOpenFailed(
        isKnown ? error : new QueueOpenError(this.#options.queuePath, error),
      );
    }
    return this.#onOpened(as, this.#pipeline);
  }

  /** Gives the queue free that has failed. */
  async #retire(): Promise<void> {
    const failed = this.#pipeline;
    if (failed === undefined) return;
    this.#settlements.onClosing();
    this.#isRetiring = true;
    await failed.close().finally(() => {
      this.#isRetiring = false;
    });
    this.#past = sum(this.#past, failed.status().counters);
    this.#pipeline = undefined;
  }

  #onOpened(as: 'opened' | 'reopened', pipeline: Pipeline): Opening {
    const { collector, recovery } = pipeline;
    if (this.#lifecycle === 'opening') this.#lifecycle = 'open';
    for (const gap of recovery.gaps) this.#settlements.onGap(gap);
    this.#settlements.onOpened(pipeline);
    pipeline.hurry(this.#hurried > 0);
    this.#line.open((frame) => pipeline.append(frame));
    this.#emit({ type: as, collector, recovery });
    return { collector, recovery };
  }

  #onOpenFailed(error: QueueError): QueueError {
    this.#onFailed(error);
    this.#emit({ type: 'open_failed', error });
    return error;
  }

  #onFailed(error: QueueError): void {
    this.#failure = error;
    if (this.#lifecycle !== 'closing') this.#lifecycle = 'failed';
    this.#line.refuse(error);
  }

  #onEvent(event: PipelineEvent): void {
    switch (event.type) {
      case 'failed': {
        // A dead thread is noticed by whoever asks it for something, too; and a queue that is being
        // given up may fail once more as it is closed, which is no failure of the next.
        if (this.#failure !== undefined || this.#isRetiring) return;
        this.#onFailed(event.error);
        break;
      }
      case 'gap':
        this.#settlements.onGap(event.gap);
        break;
      case 'rejected':
        this.#settlements.onRejected(event, event.code, event.text);
        break;
    }
    this.#emit(event);
  }

  /** Answers how many frames are still pending. */
  async #flush(deadline: Deadline): Promise<number> {
    await deadline.wait(this.#opening);
    await deadline.wait(this.#line.idle());
    const target = this.#pipeline?.highest;
    while (!deadline.isPassed) {
      const pending = target ? await deadline.wait(this.#pendingUpTo(target)) : 0;
      if (pending === 0) return 0;
      await deadline.wait(this.#pause());
    }
    const { frames, waiting } = this.#line.unsynced;
    return (this.#pipeline?.frames ?? 0) + frames + waiting;
  }

  /** How many frames up to there are pending, in whichever queue is open by then. */
  async #pendingUpTo(target: QueuePosition): Promise<number> {
    for (;;) {
      const opening = this.#opening;
      await opening;
      try {
        return await this.#openPipeline.pendingUpTo(target);
      } catch (error) {
        if (opening === this.#opening) throw error;
      }
    }
  }

  async #close(deadline: Deadline): Promise<FlushResult> {
    this.#lifecycle = 'closing';
    this.#line.end(this.#closedError);
    try {
      await this.#opening.catch(() => {});
      await this.#line.idle();
      this.#hurry(1);
      const pipeline = this.#pipeline;
      while (pipeline && pipeline.frames > 0 && pipeline.linkIsWorthAWait && !deadline.isPassed) {
        await this.#pause();
      }
      await pipeline?.close();
    } finally {
      deadline.end();
      this.#settlements.end();
      this.#lifecycle = 'closed';
      this.#emit({ type: 'closed' });
    }
    const pending = this.#pipeline?.frames ?? 0;
    return { settled: this.#pipeline !== undefined && pending === 0, pending };
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#surroundings.after(PENDING_POLL_MS, resolve));
  }

  #hurry(change: 1 | -1): void {
    this.#hurried += change;
    this.#pipeline?.hurry(this.#hurried > 0);
  }

  get #openPipeline(): Pipeline {
    if (this.#pipeline === undefined) throw this.#failure ?? this.#closedError;
    return this.#pipeline;
  }

  /** What was under way when the producer was closed fails for that, however it shows. */
  #unlessClosed<T>(promise: Promise<T>): Promise<T> {
    return promise.catch((error) => {
      throw this.#closing === undefined ? error : this.#closedError;
    });
  }

  #emit(event: ProducerEvent): void {
    this.#tell(event.type, event);
    this.#tell('event', event);
  }

  /** Calls each listener; what one throws is no business of the others, nor of ours. */
  #tell(name: keyof ProducerEventMap, event: ProducerEvent): void {
    for (const listener of this.rawListeners(name)) {
      try {
        (listener as (event: ProducerEvent) => void).call(this, event);
      } catch (error) {
        this.#onListenerFailed(error, event);
      }
    }
  }

  #onListenerFailed(error: unknown, event: ProducerEvent): void {
    if (event.type !== 'listener_failed' && this.listenerCount('listener_failed') > 0) {
      this.#emit({ type: 'listener_failed', error, event });
      return;
    }
    queueMicrotask(() => {
      throw error;
    });
  }
}

const NOTHING_COUNTED = {
  acked: 0,
  declared: 0,
  lostByStore: 0,
  dead: 0,
  resent: 0,
  connections: 0,
};

function sum(a: typeof NOTHING_COUNTED, b: typeof NOTHING_COUNTED): typeof NOTHING_COUNTED {
  return {
    acked: a.acked + b.acked,
    declared: a.declared + b.declared,
    lostByStore: a.lostByStore + b.lostByStore,
    dead: a.dead + b.dead,
    resent: a.resent + b.resent,
    connections: a.connections + b.connections,
  };
}

function bytesOf(payload: unknown): Uint8Array {
  if (typeof payload === 'string') return Buffer.from(payload);
  if (payload instanceof Uint8Array) return payload;
  throw new ArgumentError('payload', 'text or a Uint8Array', show(payload));
}

function checkCapturedAt(capturedAt: number, now: number): void {
  if (Number.isSafeInteger(capturedAt) && capturedAt >= 0) {
    if (!isMilliseconds(capturedAt, now)) return;
    const rule = 'in microseconds, as Date.now() * 1000 is';
    throw new ArgumentError('capturedAt', rule, `${capturedAt}, milliseconds by its size`);
  }
  const rule = `whole microseconds since 1970 UTC, 0 to ${CAPTURED_AT_MAX}`;
  throw new ArgumentError('capturedAt', rule, show(capturedAt));
}

/** A time of these years if it is milliseconds, and of January 1970 if it is not. */
function isMilliseconds(capturedAt: number, now: number): boolean {
  return now >= CLOCK_SET_US && Math.abs(capturedAt * 1_000 - now) < TEN_YEARS_US;
}
