/**
 * Makes a failing schedule smaller by delta debugging: fewer faults, then none within another, then
 * shorter. Each candidate costs a run, so there is a budget, and the search is greedy: where one half
 * of the suspects does not fail, the other half is blamed untested, until one suspect is left.
 * Only what was seen to fail is answered: where the blame was wrong, because it takes several faults
 * together or because the failure comes and goes, that is the smallest that did.
 */
import type { Action, Scenario, Step } from '../scenario/scenario.ts';
import { timelineOf } from './timeline.ts';

export interface ShrinkOptions {
  /** One that has failed. */
  readonly scenario: Scenario;
  /** Runs one, and says whether it fails in the same way. */
  readonly fails: (scenario: Scenario) => Promise<boolean>;
  /** How often that may be asked; 6 unless told. */
  readonly budget?: number;
}

export interface Shrunk {
  /** The smallest that was seen to fail; the one that was given, when nothing smaller did. */
  readonly scenario: Scenario;
  readonly reruns: number;
  /** How many faults it has, and had. */
  readonly faults: { readonly before: number; readonly after: number };
}

const BUDGET = 6;
/** What is shorter is hardly a fault any more. */
const SHORTEST_SECONDS = 1;

export async function shrink(options: ShrinkOptions): Promise<Shrunk> {
  const search = new Search(options);
  await search.fewer();
  await search.smaller(unnested);
  await search.smaller(shortened);
  await search.smaller(shortened);
  return search.found;
}

class Search {
  readonly #options: ShrinkOptions;
  #left: number;
  #smallest: Scenario;
  /** The faults that it has, as they stand in the scenario that was given. */
  #kept: readonly Action[];

  constructor(options: ShrinkOptions) {
    this.#options = options;
    this.#left = options.budget ?? BUDGET;
    this.#smallest = options.scenario;
    this.#kept = actionsOf(options.scenario.method);
  }

  get found(): Shrunk {
    const { scenario, budget = BUDGET } = this.#options;
    return {
      scenario: this.#smallest,
      reruns: budget - this.#left,
      faults: {
        before: actionsOf(scenario.method).length,
        after: actionsOf(this.#smallest.method).length,
      },
    };
  }

  /** Finds the fault that does it, or else drops what it can. */
  async fewer(): Promise<void> {
    let suspects = this.#kept;
    let seen = true;
    // The last rerun is for the one that is blamed.
    while (suspects.length > 1 && this.#left > 1) {
      const middle = Math.ceil(suspects.length / 2);
      seen = await this.#try(suspects.slice(0, middle));
      suspects = seen ? suspects.slice(0, middle) : suspects.slice(middle);
    }
    if (seen || (await this.#try(suspects))) return;
    await this.#dropChunks();
  }

  /** Several faults do it together: what of them can be left out? */
  async #dropChunks(): Promise<void> {
    for (let size = Math.ceil(this.#kept.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let from = 0; from < this.#kept.length && this.#kept.length > size; ) {
        const rest = [...this.#kept.slice(0, from), ...this.#kept.slice(from + size)];
        if (!(await this.#try(rest))) from += size;
      }
    }
  }

  /** Takes a change over if it is one, and fails. */
  async smaller(change: (scenario: Scenario) => Scenario): Promise<void> {
    const changed = change(this.#smallest);
    if (JSON.stringify(changed) !== JSON.stringify(this.#smallest)) await this.#test(changed);
  }

  async #try(actions: readonly Action[]): Promise<boolean> {
    const fails = await this.#test(only(this.#options.scenario, new Set(actions)));
    if (fails) this.#kept = actions;
    return fails;
  }

  async #test(candidate: Scenario): Promise<boolean> {
    if (this.#left === 0) return false;
    this.#left -= 1;
    const fails = await this.#options.fails(candidate);
    if (fails) this.#smallest = candidate;
    return fails;
  }
}

function actionsOf(steps: readonly Step[]): Action[] {
  return steps.flatMap((step) => (step.type === 'probe' ? [] : [step, ...actionsOf(step.method)]));
}

/** With these faults alone. What stood within one that is gone takes its place. */
function only(scenario: Scenario, actions: ReadonlySet<Action>): Scenario {
  const keep = (step: Step): Step[] => {
    if (step.type === 'probe') return [step];
    const method = step.method.flatMap(keep);
    return actions.has(step) ? [{ ...step, method: joined(method) }] : method;
  };
  return { ...scenario, method: joined(calmed(scenario.method.flatMap(keep))) };
}

/** No calm behind a calm, but for the last one. */
function calmed(steps: readonly Step[]): Step[] {
  return steps.filter((step, index) => {
    const follows = index > 0 && steps[index - 1]?.type === 'action';
    return step.type === 'action' || follows || index === steps.length - 1;
  });
}

/** The last fault before a calm, or of a list, is waited for, and until those beside it have ended. */
function joined(steps: readonly Step[]): Step[] {
  let storm: Step[] = [];
  return steps.map((step, index) => {
    storm.push(step);
    const next = steps[index + 1];
    if (step.type === 'probe') storm = [];
    if (step.type === 'probe' || next?.type === 'action') return step;
    const { windows } = timelineOf(storm);
    const own = windows.find(({ action }) => action === step)?.to ?? 0;
    const last = Math.max(...windows.map(({ to }) => to));
    const after = Math.max(step.pauses?.after ?? 0, Math.ceil(last - own));
    const pauses = after > 0 ? { pauses: { ...step.pauses, after } } : {};
    return { ...step, background: false, ...pauses };
  });
}

/** Faults one after the other that were within or beside each other. */
function unnested(scenario: Scenario): Scenario {
  const flat = (step: Step): Step[] => {
    if (step.type === 'probe') return [step];
    return [{ ...step, background: false, method: [] }, ...step.method.flatMap(flat)];
  };
  return { ...scenario, method: scenario.method.flatMap(flat) };
}

/** Half as long: faults, the pauses before and behind them, and calms. */
function shortened(scenario: Scenario): Scenario {
  const half = (step: Step): Step => {
    const pauses = step.pauses && {
      pauses: {
        before: halved(step.pauses.before ?? 0, 0),
        after: halved(step.pauses.after ?? 0, 0),
      },
    };
    const seconds = step.until?.seconds;
    const until = seconds !== undefined && {
      until: { ...step.until, seconds: halved(seconds, SHORTEST_SECONDS) },
    };
    const shorter = { ...step, ...pauses, ...until };
    return shorter.type === 'probe' ? shorter : { ...shorter, method: shorter.method.map(half) };
  };
  return { ...scenario, method: scenario.method.map(half) };
}

function halved(seconds: number, least: number): number {
  return Math.min(seconds, Math.max(least, Math.round(seconds * 5) / 10));
}
