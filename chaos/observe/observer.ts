/**
 * Looks at a running pipeline, and keeps what it was told and when: `/status` of the source and the
 * audit of the server, over and over, through every fault. What isn't answered in time is no
 * sample. Everything that a case waits for, it waits for in these samples.
 *
 * The server may know other collectors; `audit` is about the source's own.
 */
import type { Moment } from '#lab/ground/ground.ts';
import { now } from './moment.ts';
import { Thinned } from './thinned.ts';
import { waitUntil } from './wait.ts';

const STATUS_EVERY_MS = 100;
const AUDIT_EVERY_MS = 250;
/** Of each kind: a quarter of an hour at full density, and any length at less. */
const SAMPLES_MAX = 10_000;

export interface Sample<T> {
  /** When the answer came. */
  readonly at: Moment;
  readonly document: T;
}

/** What is used of a collector's `/status`; the samples keep all of it. */
export interface CollectorStatus {
  readonly collector: string;
  readonly state: 'Ready' | 'Backoff' | 'Recovering' | 'Stopped';
  readonly last_error: { readonly code: string } | null;
  readonly queue: { readonly frames: number };
  readonly counters: Readonly<
    Record<'captured' | 'accepted' | 'acked' | 'declared' | 'resent' | 'connections', number>
  >;
}

interface SeqRange {
  readonly from: number;
  readonly to: number;
  readonly reason?: string;
}

export interface AuditCollector {
  readonly collector: string;
  readonly connected: boolean;
  readonly last_heard_at: string;
  readonly silent_since: string | null;
  readonly totals: Readonly<Record<'stored' | 'declared' | 'pending' | 'missing', number>>;
  readonly epochs: readonly { readonly epoch: string; readonly missing: readonly SeqRange[] }[];
}

export interface AuditDocument {
  readonly collectors: readonly AuditCollector[];
}

/** Where the answers come from; each rejects when there is none. */
export interface Questions {
  status(): Promise<CollectorStatus>;
  audit(): Promise<AuditDocument>;
}

/** A question that is put again and again, and its answers. */
class Series<T> {
  readonly #samples = new Thinned<Sample<T>>(SAMPLES_MAX);
  readonly #ask: () => Promise<T>;
  readonly #everyMs: number;
  #newest: T | undefined;
  #newestAskedMs = -Infinity;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(ask: () => Promise<T>, everyMs: number) {
    this.#ask = ask;
    this.#everyMs = everyMs;
    this.#running = this.#run();
  }

  get samples(): readonly Sample<T>[] {
    return this.#samples.kept;
  }

  /** The newest answer to a question put after this monotonic time. */
  since(monotonicMs: number): T | undefined {
    return this.#newestAskedMs > monotonicMs ? this.#newest : undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const askedMs = performance.now();
      try {
        const document = await this.#ask();
        this.#samples.add({ at: now(), document });
        this.#newest = document;
        this.#newestAskedMs = askedMs;
      } catch {
        // No answer is what some faults are about; a case waits for answers that it needs.
      }
      const waitMs = Math.max(0, askedMs + this.#everyMs - performance.now());
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

export class Observer {
  readonly #signal: AbortSignal | undefined;
  readonly #statuses: Series<CollectorStatus>;
  readonly #audits: Series<AuditDocument>;

  constructor(questions: Questions, signal?: AbortSignal) {
    this.#signal = signal;
    this.#statuses = new Series(() => questions.status(), STATUS_EVERY_MS);
    this.#audits = new Series(() => questions.audit(), AUDIT_EVERY_MS);
  }

  get statuses(): readonly Sample<CollectorStatus>[] {
    return this.#statuses.samples;
  }

  get audits(): readonly Sample<AuditDocument>[] {
    return this.#audits.samples;
  }

  /** Waits for a `/status`, asked for from now on, of which the condition holds, and answers it. */
  status(
    what: string,
    condition: (status: CollectorStatus) => boolean,
    deadlineMs?: number,
  ): Promise<CollectorStatus> {
    return this.#until(
      this.#statuses,
      what,
      (one) => (condition(one) ? one : undefined),
      deadlineMs,
    );
  }

  /** The same for the source's part of the audit. */
  audit(
    what: string,
    condition: (audit: AuditCollector) => boolean,
    deadlineMs?: number,
  ): Promise<AuditCollector> {
    const own = ({ collectors }: AuditDocument) => {
      const id = this.statuses.at(-1)?.document.collector;
      const found = collectors.find(({ collector }) => collector === id);
      return found !== undefined && condition(found) ? found : undefined;
    };
    return this.#until(this.#audits, what, own, deadlineMs);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#statuses.stop(), this.#audits.stop()]);
  }

  async #until<T, Found>(
    series: Series<T>,
    what: string,
    find: (document: T) => Found | undefined,
    deadlineMs: number | undefined,
  ): Promise<Found> {
    const fromMs = performance.now();
    let found: Found | undefined;
    const holds = () => {
      const document = series.since(fromMs);
      if (document !== undefined) found = find(document);
      return found !== undefined;
    };
    await waitUntil(what, holds, {
      describe: () => series.since(fromMs) ?? 'no answer',
      deadlineMs,
      signal: this.#signal,
    });
    if (found === undefined) throw new Error('a wait ended before what it waited for');
    return found;
  }
}
