/**
 * One scenario on a ground that runs: launches its load source, waits until frames flow, has the
 * method played, waits for the backlog, gathers the evidence into the scenario's folder, and has the
 * oracle judge what is in there. What goes wrong with the scenario itself is written down and judged
 * with the rest. However it ends, everything is lifted and what was launched is gone.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ground, Moment } from '#lab/ground/ground.ts';
import { linkOf } from '#lab/ground/link-of-lab.ts';
import type { Link } from '#lab/link.ts';
import type { FaultKind, Scene } from '../faults/fault.ts';
import { Hands } from '../observe/hands.ts';
import { msSince, now } from '../observe/moment.ts';
import { type CollectorStatus, Observer } from '../observe/observer.ts';
import { Pulse } from '../observe/pulse.ts';
import { Stretch } from '../observe/stretch.ts';
import { judgeFiles } from '../oracle/evidence.ts';
import { EvidenceError, type Result } from '../oracle/judge.ts';
import { faultsOf } from '../scenario/file.ts';
import type { Scenario, Step } from '../scenario/scenario.ts';
import { judgeGrowth, withGrowth } from '../soak/judge.ts';
import { Method } from './method.ts';
import { restoreLink } from './rollbacks.ts';
import { auditOf, exportTo } from './server.ts';
import { Source } from './source.ts';
import { messageOf, within, withinMs } from './within.ts';

/** Frames stored before the first fault, so that everything is in its stride. */
const WARM_UP_FRAMES = 400;
/** Frames accepted after the last fault, so that there is something with which to recover. */
const AFTERMATH_FRAMES = 400;
const DRAIN_MS_MAX = 60_000;
/** Beside what a scenario waits for by its own words: starts, effects, recoveries. */
const SPARE_MS = 300_000;
const CLEAN_UP_MS_MAX = 60_000;
const EXIT_OF = { pass: 0, fail: 1, inconclusive: 3 } as const;

export interface StageOptions {
  readonly ground: Ground;
  readonly kinds: readonly FaultKind[];
  readonly scenario: Scenario;
  /** Made already, and empty but for the scenario's own file. */
  readonly folder: string;
  /** Begins the names of the sources at the server; another one for each scenario of a lab. */
  readonly prefix: string;
  readonly random: () => number;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** What is being done, in words. */
  readonly tell: (doing: string) => void;
  /** Each sample of the source's `/status`. */
  readonly onStatus: (status: CollectorStatus) => void;
  /** Runs beside the method, from the warm-up to the drain; a failure of it is the scenario's. */
  readonly beside?: ((scene: Scene, folder: string) => Promise<void>) | undefined;
}

export interface Played {
  readonly outcome: Result['verdict'] | 'interrupted';
  /** In words; empty for a pass. */
  readonly reason: string;
  /** Null where there was nothing that could be judged. */
  readonly result: Result | null;
}

/** Never rejects for what a scenario or the pipeline does. */
export async function playScenario(options: StageOptions): Promise<Played> {
  if (options.signal.aborted) return interrupted();
  const stage = new Stage(options);
  try {
    await stage.play();
    return await stage.judge();
  } catch (error) {
    if (options.signal.aborted) return interrupted();
    throw error;
  } finally {
    await stage.cleanUp();
  }
}

function interrupted(): Played {
  return { outcome: 'interrupted', reason: 'by Ctrl-C', result: null };
}

/** Milliseconds after which the method of a scenario is given up, whatever it waits for. */
export function limitMsOf({ method, configuration }: Pick<Scenario, 'method' | 'configuration'>) {
  const steps = (list: readonly Step[]): number =>
    list.reduce((sum, step) => {
      const { before = 0, after = 0 } = step.pauses ?? {};
      const own =
        step.type === 'probe'
          ? step.deadline
          : (step.until?.seconds ?? 0) + steps(step.method) / 1_000;
      return sum + (before + after + own) * 1_000;
    }, 0);
  return SPARE_MS * (configuration.bystander ? 2 : 1) + steps(method);
}

class Stage {
  readonly #options: StageOptions;
  readonly #began: Moment = now();
  readonly #beganAt = new Date();
  readonly #stretch = new Stretch();
  readonly #link: Link;
  readonly #sources: Source[] = [];
  readonly #failures: string[] = [];
  readonly #proxies: { at: Moment; after: string; proxies: unknown }[] = [];
  readonly #method: Method;
  /** Ends what still waits for a sample when the stage ends. */
  readonly #over = new AbortController();
  readonly #pulse = new Pulse();
  #observer: Observer | undefined;
  #hands: Hands | undefined;
  #drain: { outcome: 'drained' | 'timed_out'; waited_ms: number } | null = null;

  constructor(options: StageOptions) {
    this.#options = options;
    this.#link = linkOf(options.ground);
    this.#method = new Method({
      kinds: options.kinds,
      tell: options.tell,
      note: (after) => this.#note(after),
    });
  }

  /** From the launch of the source to an empty queue; after Ctrl-C only as far as it came. */
  async play(): Promise<void> {
    const { scenario, signal, tell } = this.#options;
    const limit = new AbortController();
    const limitMs = limitMsOf(scenario);
    const late = () =>
      limit.abort(new Error(`it took longer than its limit of ${limitMs / 1_000} s`));
    const timer = setTimeout(late, limitMs);
    const bounded = AbortSignal.any([signal, limit.signal]);
    const beside = new AbortController();
    try {
      tell('launching the load source');
      if (!(await this.#try('launching the source', () => within(bounded, this.#launch())))) return;
      const scene = this.#scene(bounded);
      tell('warming up');
      if (!(await this.#try('warming up', () => within(bounded, this.#warmUp(scene))))) return;
      this.#hands = new Hands(this.#link, () => this.#method.hasProxyDown);
      const besideDone = this.#beside({
        ...scene,
        signal: AbortSignal.any([bounded, beside.signal]),
      });
      await this.#try('the method', () => this.#method.play(scenario.method, scene));
      await this.#rollBack();
      this.#failures.push(...this.#method.failures);
      // What is still in force keeps frames from the store; judged like that they would look lost.
      if (this.#method.failures.length > 0) await this.#undoByForce();
      if (!signal.aborted) await this.#comeToRest(scene.observer);
      beside.abort();
      await besideDone;
    } finally {
      clearTimeout(timer);
      beside.abort();
      this.#pulse.stop();
      await Promise.all([this.#hands?.stop(), this.#observer?.stop()]);
    }
  }

  /** Gathers what there is to judge, and has it judged. Rejects after Ctrl-C. */
  async judge(): Promise<Played> {
    const { tell, folder, ground, signal } = this.#options;
    tell('gathering the evidence');
    const collectors = this.#sources.map(({ collector }) => collector);
    const files = {
      ledgers: this.#sources.map(({ ledgerPath }) => ledgerPath),
      export: join(folder, 'export.ndjson'),
      audit: join(folder, 'audit.json'),
      observations: this.#write('observations.json', this.#observations()),
      case: this.#write('case.json', this.#case()),
    };
    signal.throwIfAborted();
    try {
      // The audit first: what is stored in between is then no contradiction.
      this.#write('audit.json', await within(signal, auditOf(ground, collectors)));
      const wanted = { collectors, since: this.#beganAt };
      await within(signal, exportTo(files.export, ground, wanted));
      tell('judging');
      const result = withGrowth(await judgeFiles(files), await judgeGrowth(folder));
      this.#write('result.json', { exit_code: EXIT_OF[result.verdict], ...result });
      return { outcome: result.verdict, reason: reasonOf(result), result };
    } catch (error) {
      signal.throwIfAborted();
      const what = error instanceof EvidenceError ? error.message : messageOf(error);
      const reasons = [...this.#failures, `nothing could be judged: ${what}`];
      return { outcome: 'inconclusive', reason: reasons.join('; '), result: null };
    }
  }

  /** Keeps the logs, and removes what was launched. */
  async cleanUp(): Promise<void> {
    const { tell, ground } = this.#options;
    tell('cleaning up');
    this.#over.abort();
    this.#write('toxiproxy.json', this.#proxies);
    await Promise.all(ground.services.map((service) => this.#keepLog(service.name)));
    for (const { service } of this.#sources) {
      const removing = ground.remove(service);
      // What is left here, the ground's own healing takes away.
      await withinMs(CLEAN_UP_MS_MAX, 'removing', removing).catch(() => undefined);
    }
  }

  async #launch(): Promise<void> {
    const { ground, scenario, prefix, folder, random } = this.#options;
    const names = scenario.configuration.bystander
      ? (['source', 'bystander'] as const)
      : (['source'] as const);
    for (const name of names) {
      const collector = `${prefix}-${name}`;
      const configuration = { ...scenario.configuration };
      this.#sources.push(
        await Source.launch({ ground, name, collector, folder, configuration, random }),
      );
    }
  }

  #scene(signal: AbortSignal): Scene {
    const { ground, random, onStatus } = this.#options;
    const source = this.#source();
    const collectors = this.#sources.map(({ collector }) => collector);
    const questions = {
      status: async () => {
        const status = await source.status();
        onStatus(status);
        return status;
      },
      audit: () => auditOf(ground, collectors),
    };
    this.#observer = new Observer(questions, this.#over.signal);
    return { ground, link: this.#link, observer: this.#observer, random, signal };
  }

  async #warmUp({ observer }: Scene): Promise<void> {
    await observer.audit(
      `${WARM_UP_FRAMES} frames are stored`,
      ({ totals }) => totals.stored >= WARM_UP_FRAMES,
    );
    await observer.status('the link is Ready', ({ state }) => state === 'Ready');
    await this.#note('warming up');
  }

  async #beside(scene: Scene): Promise<void> {
    const { beside, folder } = this.#options;
    if (beside === undefined) return;
    await this.#try('what runs beside it', () => beside(scene, folder));
  }

  /** The scenario's own, whatever happened before. */
  async #rollBack(): Promise<void> {
    const { scenario, ground, tell } = this.#options;
    for (const { rollback, service: name = 'server' } of scenario.rollbacks) {
      tell(`rolling back: ${rollback}`);
      const undo = async (): Promise<void> => {
        if (rollback === 'restore-link') return this.#link.restore();
        const service = ground.service(name);
        const { frozen, running } = await service.state();
        if (rollback === 'thaw' && frozen) await service.thaw();
        if (rollback === 'restart' && running) await service.stop();
        if (rollback === 'restart' || (rollback === 'start' && !running)) await service.start();
      };
      await this.#try(`rolling back (${rollback})`, () =>
        withinMs(CLEAN_UP_MS_MAX, rollback, undo()),
      );
    }
  }

  /** The link open and every program running, past the faults that did not let go. */
  async #undoByForce(): Promise<void> {
    const { ground, tell } = this.#options;
    tell('undoing by force what could not be lifted');
    const undo = async (): Promise<void> => {
      for (const service of ground.services) {
        const { frozen, running } = await service.state();
        if (frozen) await service.thaw();
        if (!running) await service.start();
      }
      await restoreLink(this.#link);
    };
    await this.#try('undoing by force', () => withinMs(CLEAN_UP_MS_MAX, 'it', undo()));
  }

  /** Fed and Ready again, then without load until nothing waits. */
  async #comeToRest(observer: Observer): Promise<void> {
    const { signal, tell } = this.#options;
    tell('the aftermath: until it is Ready, and frames are acked again');
    await this.#try('the aftermath', () => within(signal, aftermath(observer)));
    tell('the drain: until nothing waits');
    await this.#try('ending the load', () => this.#endLoad());
    await this.#try('the drain', () => within(signal, this.#drained(observer)));
  }

  async #endLoad(): Promise<void> {
    const { signal } = this.#options;
    const ends = this.#sources.map((source) => source.endLoad(signal));
    await within(signal, Promise.all(ends));
  }

  async #drained(observer: Observer): Promise<void> {
    const since = now();
    const drained = async () => {
      await observer.status('the queue is empty', ({ queue }) => queue.frames === 0, DRAIN_MS_MAX);
      await observer.audit(
        'nothing is pending',
        ({ totals }) => totals.pending === 0,
        DRAIN_MS_MAX,
      );
    };
    const done = () => true;
    const outcome = (await drained().then(done, () => false)) ? 'drained' : 'timed_out';
    this.#drain = { outcome, waited_ms: msSince(since) };
  }

  #observations(): unknown {
    const { ground } = this.#options;
    const during = ({ at }: { at: Moment }) => at.monotonic_ms >= this.#began.monotonic_ms;
    return {
      faults: this.#method.faults,
      statuses: this.#observer?.statuses ?? [],
      audits: this.#observer?.audits ?? [],
      exits: ground.services.flatMap(({ exits }) => exits).filter(during),
      operator_actions: this.#handsSeen(),
      harness_failures: [...this.#failures, ...this.#pulse.failures],
      stretch: this.#stretch.factor(),
      bystanders: this.#sources
        .filter(({ name }) => name === 'bystander')
        .map(({ collector }) => collector),
      drain: this.#drain,
    };
  }

  /** A Toxiproxy that ended unasked forgot what it was told: that is no hand. */
  #handsSeen(): Hands['seen'] {
    const { exits } = this.#options.ground.service('toxiproxy');
    const own = exits.filter(({ injected }) => !injected).map(({ at }) => at.monotonic_ms);
    const forgot = Math.min(...own.filter((at) => at >= this.#began.monotonic_ms));
    return (this.#hands?.seen ?? []).filter(({ at }) => at.monotonic_ms < forgot);
  }

  #case(): unknown {
    const { scenario } = this.#options;
    const { tolerances } = scenario['steady-state-hypothesis'];
    return { ...tolerances, faults: faultsOf(scenario).map(({ name }) => name) };
  }

  #source(): Source {
    const [source] = this.#sources;
    if (source === undefined) throw new Error('there is no source yet');
    return source;
  }

  /** False when it failed, which is written down, unless Ctrl-C did it. */
  async #try(what: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!this.#options.signal.aborted) this.#failures.push(`${what}: ${messageOf(error)}`);
      return false;
    }
  }

  async #note(after: string): Promise<void> {
    const proxies = await this.#link.account().catch(messageOf);
    this.#proxies.push({ at: now(), after, proxies });
  }

  async #keepLog(name: string): Promise<void> {
    const log = this.#options.ground.service(name).log(this.#beganAt);
    const lines = await withinMs(CLEAN_UP_MS_MAX, 'reading a log', log).catch((error) => [
      `the log could not be read: ${messageOf(error)}`,
    ]);
    writeFileSync(join(this.#options.folder, `${name}.log`), `${lines.join('\n')}\n`);
  }

  /** Answers the path. */
  #write(name: string, document: unknown): string {
    const path = join(this.#options.folder, name);
    writeFileSync(path, `${JSON.stringify(document, null, 1)}\n`);
    return path;
  }
}

async function aftermath(observer: Observer): Promise<void> {
  const { counters } = await observer.status('there is a status', () => true);
  await observer.status(
    `${AFTERMATH_FRAMES} more frames are acked, and the link is Ready`,
    ({ state, counters: { acked } }) =>
      state === 'Ready' && acked >= counters.acked + AFTERMATH_FRAMES,
  );
}

function reasonOf({ reasons }: Result): string {
  return reasons.map(({ text }) => text).join('; ');
}
