/**
 * Looks at a running pipeline, and keeps what it was told and when: `/status` of the source and the
 * audit of the server, over and over, through every fault. What isn't answered in time is no
 * sample. Everything that a case waits for, it waits for in these samples.
 */

import type { Moment } from '#chaos/oracle/observations.ts';
import { now } from '../support/moment.ts';
import type { AuditCollector, CollectorStatus, Stack } from '../support/stack.ts';
import { waitUntil } from '../support/wait.ts';

const STATUS_EVERY_MS = 100;
const AUDIT_EVERY_MS = 250;

export interface Sample<T> {
  /** When the answer came. */
  readonly at: Moment;
  readonly document: T;
}

export interface AuditDocument {
  readonly collectors: readonly AuditCollector[];
}

/** A question that is put again and again, and its answers. */
class Series<T> {
  readonly samples: Sample<T>[] = [];
  readonly #ask: () => Promise<T>;
  readonly #everyMs: number;
  #newestAskedMs = -Infinity;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(ask: () => Promise<T>, everyMs: number) {
    this.#ask = ask;
    this.#everyMs = everyMs;
    this.#running = this.#run();
  }

  /** The newest answer to a question put after this monotonic time. */
  since(ms: number): T | undefined {
    return this.#newestAskedMs >= ms ? this.samples.at(-1)?.document : undefined;
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
        this.samples.push({ at: now(), document });
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
  readonly #statuses: Series<CollectorStatus>;
  readonly #audits: Series<AuditDocument>;

  constructor(stack: Stack) {
    this.#statuses = new Series(() => stack.status(), STATUS_EVERY_MS);
    this.#audits = new Series(() => stack.auditDocument(), AUDIT_EVERY_MS);
  }

  get statuses(): readonly Sample<CollectorStatus>[] {
    return this.#statuses.samples;
  }

  get audits(): readonly Sample<AuditDocument>[] {
    return this.#audits.samples;
  }

  /** Waits for a `/status`, asked for from now on, of which the condition holds, and answers it. */
  async status(
    what: string,
    condition: (status: CollectorStatus) => boolean,
    deadlineMs?: number,
  ): Promise<CollectorStatus> {
    return this.#until(this.#statuses, what, condition, deadlineMs);
  }

  /** The same for the audit of the one collector that there is. */
  async audit(
    what: string,
    condition: (audit: AuditCollector) => boolean,
    deadlineMs?: number,
  ): Promise<AuditCollector> {
    const all = await this.#until(
      this.#audits,
      what,
      ({ collectors: [one] }) => one !== undefined && condition(one),
      deadlineMs,
    );
    const [collector] = all.collectors;
    if (collector === undefined) throw new Error('the server knows no collector');
    return collector;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#statuses.stop(), this.#audits.stop()]);
  }

  async #until<T>(
    series: Series<T>,
    what: string,
    condition: (document: T) => boolean,
    deadlineMs: number | undefined,
  ): Promise<T> {
    const fromMs = performance.now();
    let found: T | undefined;
    const holds = () => {
      const document = series.since(fromMs);
      if (document !== undefined && condition(document)) found = document;
      return found !== undefined;
    };
    await waitUntil(what, holds, {
      describe: () => series.since(fromMs) ?? 'no answer',
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
    if (found === undefined) throw new Error('a wait ended before what it waited for');
    return found;
  }
}
