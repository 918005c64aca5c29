/**
 * A run: scenarios one after the other on one ground, each to its verdict, in a folder of its own.
 * The lab is made whole before the first and after each of them. What is in the folder at any moment
 * is enough to tell how far it came.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { basename, join } from 'node:path';
import type { Ground } from '#lab/ground/ground.ts';
import { linkOf } from '#lab/ground/link-of-lab.ts';
import type { Link } from '#lab/link.ts';
import { pointTo, writeJson } from '#pages/folder.ts';
import type { FaultKind } from '../faults/fault.ts';
import type { Result } from '../oracle/judge.ts';
import { randomOf } from '../random.ts';
import { faultsOf } from '../scenario/file.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { Progress } from './progress.ts';
import type { RunRecord, ScenarioRecord } from './records.ts';
import { makeWhole } from './rollbacks.ts';
import { playScenario, type StageOptions } from './stage.ts';
import { MARK_OF, type RunResult, resultOf, scenarioLine } from './summary.ts';

export interface RunOptions {
  readonly ground: Ground;
  /** Why this one, in words. */
  readonly groundReason: string;
  /** What was mended before this, left by a run that died. */
  readonly mended?: readonly string[];
  readonly kinds: readonly FaultKind[];
  readonly kind: RunRecord['kind'];
  readonly seed: number;
  /** What to type to have it again. */
  readonly command: string;
  readonly product: RunRecord['product'];
  /** Made here; its name is the time of the run. */
  readonly folder: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** A scenario that is to be played. */
export interface Planned {
  readonly name: string;
  readonly scenario: Scenario;
  /** As it is kept beside the evidence. */
  readonly text: string;
  /** 1 and up. */
  readonly repeat?: number;
  /** How often it is played in all. */
  readonly repeats?: number;
  readonly beside?: StageOptions['beside'];
}

export interface Ran {
  readonly record: ScenarioRecord;
  readonly result: Result | null;
}

export class Run {
  readonly #options: RunOptions;
  readonly #link: Link;
  #record: RunRecord;

  /** Makes the lab whole and the run's folder. Rejects when the lab can't be made whole. */
  static async begin(options: RunOptions): Promise<Run> {
    const { ground, folder, progress, mended = [] } = options;
    mkdirSync(folder, { recursive: true });
    const link = linkOf(ground);
    const healed = [...mended, ...(await makeWhole(ground, link))];
    for (const what of healed) progress.line(`mended, left by an earlier run: ${what}`);
    return new Run(options, link, healed);
  }

  private constructor(options: RunOptions, link: Link, healed: string[]) {
    const { ground, groundReason, kind, seed, command, product, folder } = options;
    this.#options = options;
    this.#link = link;
    this.#record = {
      version: 1,
      kind,
      ground: ground.kind,
      ground_reason: groundReason,
      started_at: new Date().toISOString(),
      ended_at: null,
      seed,
      command,
      product,
      machine: machine(),
      scenarios: [],
      healed,
    };
    this.#write();
    pointTo(folder, 'latest');
  }

  get record(): RunRecord {
    return this.#record;
  }

  /** Plays one to its verdict. Rejects only when the lab can't be made whole afterwards. */
  async play(planned: Planned): Promise<Ran> {
    const { progress } = this.#options;
    const reason = cannotRun(planned.scenario, this.#options);
    if (reason !== null) {
      return this.#add(planned, { folder: null, outcome: 'not_run', reason, started_at: null });
    }
    const folder = this.#folderFor(planned);
    mkdirSync(join(this.#options.folder, folder), { recursive: true });
    const started_at = new Date().toISOString();
    progress.begin(titleOf(planned));
    const played = await this.#stage(planned, folder);
    const { outcome, reason: why, result } = played;
    return this.#add(planned, { folder, outcome, reason: why, started_at }, result);
  }

  /** Answers what the run comes to, and writes it down. */
  end(): RunResult {
    this.#record = { ...this.#record, ended_at: new Date().toISOString() };
    this.#write();
    const result = resultOf(this.#record, this.#options.signal.aborted);
    writeJson(join(this.#options.folder, 'result.json'), result);
    return result;
  }

  async #stage(planned: Planned, folder: string) {
    const { ground, kinds, seed, signal, progress } = this.#options;
    const { name, scenario, text, repeat = 1, beside } = planned;
    const path = join(this.#options.folder, folder);
    writeFileSync(join(path, 'scenario.yaml'), text);
    try {
      return await playScenario({
        ground,
        kinds,
        scenario,
        folder: path,
        prefix: this.#prefix(folder),
        random: randomOf(seed, `${name}-${repeat}`),
        signal,
        tell: (doing) => progress.doing(doing),
        onStatus: (status) => progress.status(status),
        beside,
      });
    } finally {
      progress.doing('making the lab whole');
      await makeWhole(ground, this.#link);
    }
  }

  #add(
    { name, scenario, repeat = 1 }: Planned,
    facts: Pick<ScenarioRecord, 'folder' | 'outcome' | 'reason' | 'started_at'>,
    result: Result | null = null,
  ): Ran {
    const { title, description } = scenario;
    const ended_at = facts.started_at === null ? null : new Date().toISOString();
    const record = { name, title, description, repeat, ...facts, ended_at };
    this.#record = { ...this.#record, scenarios: [...this.#record.scenarios, record] };
    this.#write();
    this.#options.progress.end(MARK_OF[record.outcome], scenarioLine(record, result));
    return { record, result };
  }

  /** "03-cut-r2" */
  #folderFor({ name, repeat = 1, repeats = 1 }: Planned): string {
    const number = String(this.#record.scenarios.length + 1).padStart(2, '0');
    return `${number}-${name}${repeats > 1 ? `-r${repeat}` : ''}`;
  }

  /** Begins collector ids, which are 64 letters at most and of few signs. */
  #prefix(folder: string): string {
    const time = basename(this.#options.folder).replaceAll(/[^0-9]/g, '');
    return `chaos-${time}-${folder.toLowerCase().replaceAll(/[^a-z0-9._-]/g, '-')}`.slice(0, 50);
  }

  #write(): void {
    writeJson(join(this.#options.folder, 'run.json'), this.#record);
  }
}

/** Why a ground can't play it, in words; null when it can. */
function cannotRun(
  scenario: Scenario,
  { ground, kinds }: Pick<RunOptions, 'ground' | 'kinds'>,
): string | null {
  const reasons = new Set<string>();
  for (const { fault } of faultsOf(scenario)) {
    const kind = kinds.find((one) => one.kind === fault);
    if (kind?.grounds !== undefined && !kind.grounds.includes(ground.kind)) {
      reasons.add(`${fault} needs the ground ${kind.grounds.join(' or ')}`);
    }
    for (const ability of kind?.needs ?? []) {
      const why = ground.cannot(ability);
      if (why !== null) reasons.add(`${fault}: ${why}`);
    }
  }
  return reasons.size === 0 ? null : [...reasons].join('; ');
}

function titleOf({ name, scenario, repeat = 1, repeats = 1 }: Planned): string {
  return `${name}${repeats > 1 ? ` (${repeat} of ${repeats})` : ''}: ${scenario.title}`;
}

function machine(): RunRecord['machine'] {
  const all = cpus();
  return {
    cpus: all.length,
    cpu_model: all[0]?.model ?? 'unknown',
    memory_bytes: totalmem(),
    node: process.version,
    os: `${type()} ${release()}`,
  };
}
