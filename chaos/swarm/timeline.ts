/**
 * When each fault of a scenario is in force by plan, and how long all of it takes. The plan counts
 * for each fault the time that its order, the sight of its effect, and a restart may take on top of
 * what the scenario says; conditions other than time count as met.
 */
import type { Action, Step } from '../scenario/scenario.ts';
import { type Facts, relation } from './rules.ts';

/** From the end of a fault until what it hit works again, as a person would guess it. */
export const SETTLE_SECONDS = 4;
/** A killed program, until its restart policy has it back. */
export const RESTART_SECONDS = 8;

interface Window {
  readonly action: Action;
  readonly from: number;
  readonly to: number;
  /** The faults in whose method it stands. */
  readonly outer: readonly Action[];
}

interface Timeline {
  /** In the order in which they begin. */
  readonly windows: readonly Window[];
  /** Until everything has ended. */
  readonly seconds: number;
}

/** What the steps take at least: the time that they say, without what the plan counts on top. */
export function leastSeconds(steps: readonly Step[]): number {
  const spans = steps.map((step): number => {
    const pauses = (step.pauses?.before ?? 0) + (step.pauses?.after ?? 0);
    if (step.type === 'action' && step.background) return pauses;
    const within = step.type === 'action' ? leastSeconds(step.method) : 0;
    return pauses + (step.until?.seconds ?? 0) + within;
  });
  return spans.reduce((sum, seconds) => sum + seconds, 0);
}

export function timelineOf(steps: readonly Step[]): Timeline {
  const windows: Window[] = [];
  const end = walk(steps, { at: 0, outer: [], windows });
  const seconds = Math.max(end, ...windows.map(({ to }) => to + SETTLE_SECONDS));
  return { windows, seconds: Math.round(10 * seconds) / 10 };
}

/** Faults that stand against the table, in words; `factsOf` knows what each fault is. */
export function violations(
  steps: readonly Step[],
  factsOf: (action: Action) => Facts,
): readonly string[] {
  const { windows } = timelineOf(steps);
  return windows.flatMap((second, index) =>
    windows.slice(0, index).flatMap((first) => {
      if (first.to + SETTLE_SECONDS <= second.from) return [];
      const how = relation(factsOf(first.action), factsOf(second.action));
      if (how === 'across' || (how === 'within' && isWithin(second, first))) return [];
      return [`${nameOf(second.action)} begins while ${nameOf(first.action)} is in force (${how})`];
    }),
  );
}

/** It ends before the other is lifted, however long it really takes. */
function isWithin({ action, outer }: Window, first: Window): boolean {
  const index = outer.indexOf(first.action);
  return index >= 0 && [...outer.slice(index + 1), action].every((one) => !one.background);
}

function nameOf({ name, fault }: Action): string {
  return name ?? fault;
}

interface Walk {
  readonly at: number;
  readonly outer: readonly Action[];
  readonly windows: Window[];
}

/** When the last foreground step is over. */
function walk(steps: readonly Step[], { at: begin, outer, windows }: Walk): number {
  let at = begin;
  for (const step of steps) {
    at += step.pauses?.before ?? 0;
    if (step.type === 'probe') {
      at += step.until.seconds ?? 0;
    } else {
      const index = windows.length;
      const lasts = step.until?.seconds ?? RESTART_SECONDS;
      const to = walk(step.method, { at: at + lasts, outer: [...outer, step], windows });
      windows.splice(index, 0, { action: step, from: at, to, outer });
      if (!step.background) at = to + SETTLE_SECONDS;
    }
    at += step.pauses?.after ?? 0;
  }
  return at;
}
