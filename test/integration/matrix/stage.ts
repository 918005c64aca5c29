/**
 * One case on its way: brings up a stack under load, has the case played on it, ends the load,
 * waits for the backlog and gathers the evidence. Faults nest; each is lifted whatever happens in
 * it. What goes wrong with the case itself is written down and judged with the rest.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Fault as FaultSeen, Moment } from '#chaos/oracle/observations.ts';
import { msSince, now } from '../support/moment.ts';
import type { Exit } from '../support/service.ts';
import { type CollectorStatus, Stack } from '../support/stack.ts';
import { waitUntil } from '../support/wait.ts';
import type { MatrixCase } from './cases.ts';
import type { Fault, Ground } from './faults.ts';
import { type AuditDocument, Observer, type Sample } from './observer.ts';

const DRAIN_MS_MAX = 60_000;
/** Frames stored before the first fault, so that everything is in its stride. */
const WARM_UP_FRAMES = 400;
/** Frames accepted after the last fault, so that there is something with which to recover. */
const AFTERMATH_FRAMES = 400;
const LEDGER_END_BYTES = 200;

/** What the oracle takes as observations; it checks the form itself. */
export interface Seen {
  readonly faults: readonly FaultSeen[];
  readonly statuses: readonly Sample<CollectorStatus>[];
  readonly audits: readonly Sample<AuditDocument>[];
  readonly exits: readonly (Exit & { readonly signal: null })[];
  readonly harness_failures: readonly string[];
  readonly drain: { readonly outcome: string; readonly waited_ms: number } | null;
}

type FaultRecord = { -readonly [Key in keyof FaultSeen]: FaultSeen[Key] };

export class Stage implements Ground {
  readonly stack: Stack;
  readonly observer: Observer;
  readonly random: () => number;
  readonly #faults: FaultRecord[] = [];
  readonly #failures: string[] = [];
  readonly #proxies: { at: Moment; after: string; proxies: unknown }[] = [];
  #drain: Seen['drain'] = null;

  /** Resolves when the pipeline is Ready and has stored its first frames. */
  static async open(
    name: string,
    options: {
      environment: Readonly<Record<string, string>>;
      traced: MatrixCase['traced'];
      secured: boolean;
      random: () => number;
    },
  ): Promise<Stage> {
    const { environment, traced = {}, secured, random } = options;
    const stack = await Stack.start(name, { program: 'source', environment, traced, secured });
    const stage = new Stage(stack, random);
    await stage.#try('warming up', async () => {
      await stage.observer.audit(
        `${WARM_UP_FRAMES} frames are stored`,
        ({ totals }) => totals.stored >= WARM_UP_FRAMES,
      );
      await stage.observer.status('the link is Ready', ({ state }) => state === 'Ready');
    });
    return stage;
  }

  private constructor(stack: Stack, random: () => number) {
    this.stack = stack;
    this.random = random;
    this.observer = new Observer(stack);
  }

  /** Toxiproxy's own account after each step. */
  get proxies(): readonly unknown[] {
    return this.#proxies;
  }

  get seen(): Seen {
    const exits = this.stack.services.flatMap((service) => service.exits);
    return {
      faults: this.#faults,
      statuses: this.observer.statuses,
      audits: this.observer.audits,
      exits: exits.map((exit) => ({ ...exit, signal: null })),
      harness_failures: this.#failures,
      drain: this.#drain,
    };
  }

  /** Has a fault in force while `hold` runs, and at least until it was seen to bite. */
  async suffer(fault: Fault, hold: (began: Moment) => Promise<unknown>): Promise<void> {
    const { name, target, outage } = fault;
    const began = now();
    const open = { lifted: null, running: null, bit: false, evidence: 'not looked for' };
    const record: FaultRecord = { name, target, outage, began, ...open };
    this.#faults.push(record);
    try {
      await fault.inject(this);
      await this.#note(`injecting ${name}`);
      await this.#bite(record, fault);
      await hold(began);
    } catch (error) {
      await this.#note(`a failure in ${name}`);
      throw error;
    } finally {
      if (fault.lift !== undefined) {
        record.lifted = now();
        await fault.lift(this);
      }
    }
    await fault.running(this);
    record.running = now();
    await this.#note(`lifting ${name}`);
  }

  /** Plays the case, waits until the pipeline is Ready again and fed, and ends the load. */
  async play(script: (stage: Stage) => Promise<void>): Promise<void> {
    await this.#try('the case', () => script(this));
    await this.#try('the aftermath', () => this.#aftermath());
    await this.#try('ending the load', () => this.#endLoad());
    await this.#try('the drain', () => this.#drained());
    await this.observer.stop();
  }

  async #bite(record: FaultRecord, fault: Fault): Promise<void> {
    try {
      record.evidence = await fault.effect(this);
      record.bit = true;
    } catch (error) {
      record.evidence = messageOf(error);
    }
  }

  async #aftermath(): Promise<void> {
    const { observer } = this;
    const { counters } = await observer.status('there is a status', () => true);
    await observer.status(
      `${AFTERMATH_FRAMES} more frames are acked, and the link is Ready`,
      ({ state, counters: { acked } }) =>
        state === 'Ready' && acked >= counters.acked + AFTERMATH_FRAMES,
    );
  }

  async #endLoad(): Promise<void> {
    await this.stack.collector.signal('USR2');
    await waitUntil('the ledger ends', () => tail(this.stack.ledgerPath).includes('"type":"end"'));
  }

  async #drained(): Promise<void> {
    const since = now();
    const drained = async () => {
      await this.observer.status(
        'the queue is empty',
        ({ queue }) => queue.frames === 0,
        DRAIN_MS_MAX,
      );
      await this.observer.audit(
        'nothing is pending',
        ({ totals }) => totals.pending === 0,
        DRAIN_MS_MAX,
      );
    };
    const done = () => true;
    const outcome = (await drained().then(done, () => false)) ? 'drained' : 'timed_out';
    this.#drain = { outcome, waited_ms: msSince(since) };
  }

  async #try(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#failures.push(`${what}: ${messageOf(error)}`);
    }
  }

  async #note(after: string): Promise<void> {
    const proxies = await this.stack.link.state().catch(messageOf);
    this.#proxies.push({ at: now(), after, proxies });
  }
}

/** With the causes, which say what was really wrong. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}

function tail(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, LEDGER_END_BYTES));
    readSync(file, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('utf8');
  } finally {
    closeSync(file);
  }
}
