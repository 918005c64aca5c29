/**
 * The load: attempts on time, each in the ledger before it is made, each answer after it.
 *
 * An attempt is captured when it is due, written down, and only called once its line is on disk.
 * Earlier calls are not waited for; what waits for an answer is bounded, and an attempt that finds
 * no room is skipped and counted, never delayed.
 *
 * Invariant: capture times ascend strictly through the whole ledger, restarts and clock steps
 * included, so that each names one attempt.
 */
import { createHash } from 'node:crypto';
import type { LedgerWriter } from '../ledger/writer.ts';
import { Pacer } from './pacer.ts';
import type { Payloads } from './payloads.ts';

/** Attempts without an answer at most. At 20,000 a second, a disk that stalls for a second. */
const OUTSTANDING_FRAMES_MAX = 20_000;
const OUTSTANDING_BYTES_MAX = 67_108_864;
/** Timers are no finer than this. */
const TIMER_MS_MIN = 1;

/** Answers that mean: surely not taken. After any other failure the frame may be on disk. */
const REFUSALS = new Set(['queue_full', 'disk_full', 'payload_too_large', 'queue_closed']);

export interface LoadOptions {
  readonly ledger: LedgerWriter;
  readonly payloads: Payloads;
  /** Attempts a second. */
  readonly rate: number;
  /** Attempts in the whole ledger at most; 0 for no limit. */
  readonly framesMax: number;
  /** Makes the call; resolves with the identity once the frame is durable. */
  readonly send: (
    payload: Uint8Array,
    capturedAt: number,
  ) => Promise<{ epoch: string; seq: number }>;
  /** The ledger failed: nothing more can be accounted for, so the process has to end. */
  readonly onFailed: (error: unknown) => void;
  /** The limit of frames is reached. */
  readonly onDone: () => void;
}

interface Attempt {
  readonly n: number;
  readonly capturedAt: number;
  readonly payload: Buffer;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #pacer: Pacer;
  readonly #calls = new Set<Promise<void>>();
  #attempts: number;
  #lastCapturedAt: number;
  #outstandingFrames = 0;
  #outstandingBytes = 0;
  #skipped = 0;
  #refused = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    const { attempts, lastCapturedAt } = options.ledger.past;
    this.#attempts = attempts;
    this.#lastCapturedAt = lastCapturedAt ?? 0;
    this.#pacer = new Pacer(performance.now(), options.rate);
  }

  /** Makes the first attempt now. */
  start(): void {
    this.#tick();
  }

  /** Attempts in the ledger, those of earlier processes included. */
  get attempts(): number {
    return this.#attempts;
  }

  get facts(): { lastCapturedAt: number; skipped: number; refused: number } {
    return {
      lastCapturedAt: this.#lastCapturedAt,
      skipped: this.#skipped,
      refused: this.#refused,
    };
  }

  /** Makes no more attempts, waits for every answer, and ends the account. May be called again. */
  stop(): Promise<void> {
    this.#stopped ??= this.#finish();
    return this.#stopped;
  }

  async #finish(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(this.#calls);
    const { ledger } = this.#options;
    ledger.append({ type: 'end', at: nowUs(), attempts: this.#attempts });
    await ledger.sync();
  }

  #tick(): void {
    const nowMs = performance.now();
    const due = this.#pacer.take(nowMs);
    if (due.stalled > 0) this.#skip(due.stalled, 'stalled');
    const made: Attempt[] = [];
    const limit = this.#options.framesMax || Number.POSITIVE_INFINITY;
    const wanted = Math.min(due.attempts, limit - this.#attempts);
    while (made.length < wanted && this.#hasRoom()) made.push(this.#attempt());
    if (made.length < wanted) this.#skip(wanted - made.length, 'outstanding');
    if (made.length > 0) this.#track(this.#send(made));
    if (this.#attempts >= limit) return this.#options.onDone();
    const waitMs = Math.max(TIMER_MS_MIN, this.#pacer.nextMs - performance.now());
    this.#timer = setTimeout(() => this.#tick(), waitMs);
  }

  #hasRoom(): boolean {
    return (
      this.#outstandingFrames < OUTSTANDING_FRAMES_MAX &&
      this.#outstandingBytes < OUTSTANDING_BYTES_MAX
    );
  }

  #skip(frames: number, reason: 'stalled' | 'outstanding'): void {
    this.#skipped += frames;
    this.#options.ledger.append({ type: 'skipped', frames, reason });
  }

  #attempt(): Attempt {
    const { ledger, payloads } = this.#options;
    this.#attempts += 1;
    this.#lastCapturedAt = Math.max(this.#lastCapturedAt + 1, nowUs());
    const n = this.#attempts;
    const payload = payloads.of(n);
    const sha256 = createHash('sha256').update(payload).digest('hex');
    const facts = { captured_at: this.#lastCapturedAt, bytes: payload.length, sha256 };
    ledger.append({ type: 'attempt', n, ...facts });
    this.#outstandingFrames += 1;
    this.#outstandingBytes += payload.length;
    return { n, capturedAt: this.#lastCapturedAt, payload };
  }

  #track(call: Promise<void>): void {
    const tracked = call
      .catch((error) => this.#options.onFailed(error))
      .finally(() => this.#calls.delete(tracked));
    this.#calls.add(tracked);
  }

  async #send(attempts: readonly Attempt[]): Promise<void> {
    await this.#options.ledger.sync();
    await Promise.all(attempts.map((attempt) => this.#call(attempt)));
    await this.#options.ledger.sync();
  }

  async #call({ n, capturedAt, payload }: Attempt): Promise<void> {
    const { ledger, send } = this.#options;
    try {
      const { epoch, seq } = await send(payload, capturedAt);
      ledger.append({ type: 'accepted', n, epoch, seq });
    } catch (error) {
      const code = codeOf(error);
      this.#refused += 1;
      const type = REFUSALS.has(code) ? 'refused' : 'unsure';
      ledger.append({ type, n, code, reason: error instanceof Error ? error.message : `${error}` });
    }
    this.#outstandingFrames -= 1;
    this.#outstandingBytes -= payload.length;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

/** The wall clock in microseconds since 1970 UTC. */
function nowUs(): number {
  return Number(Temporal.Now.instant().epochNanoseconds / 1_000n);
}
