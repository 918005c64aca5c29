/** What a scenario can wait for, looked for in the observer's samples. */
import type { Moment } from '#lab/ground/ground.ts';
import { msSince, now } from '../observe/moment.ts';
import type { CollectorStatus, Observer } from '../observe/observer.ts';
import { waitUntil } from '../observe/wait.ts';
import type { Condition } from '../scenario/scenario.ts';
import { within } from './within.ts';

/** Beyond the time that a condition names itself. */
const DEADLINE_MS = 120_000;

/** What a condition counts from. */
export interface Baseline {
  readonly since: Moment;
  readonly queued: number;
  readonly stored: number;
}

/** Taken when the step begins, while the source still answers. */
export async function baselineOf(
  condition: Condition | undefined,
  observer: Observer,
): Promise<Baseline> {
  let queued = 0;
  let stored = 0;
  if (condition?.drained_percent !== undefined) {
    const { queue } = await observer.status('there is a status', () => true);
    queued = queue.frames;
  }
  if (condition?.stored_more !== undefined) {
    const { totals } = await observer.audit('the source is in the audit', () => true);
    stored = totals.stored;
  }
  return { since: now(), queued, stored };
}

/** Resolves when all of it holds at once. Rejects after the deadline, with what was seen last. */
export async function untilHolds(
  condition: Condition,
  baseline: Baseline,
  { observer, signal }: { readonly observer: Observer; readonly signal: AbortSignal },
  deadlineMs: number = (condition.seconds ?? 0) * 1_000 + DEADLINE_MS,
): Promise<void> {
  const what = inWords(condition, baseline);
  const { seconds = 0, stored_more } = condition;
  const elapsed = () => msSince(baseline.since) >= seconds * 1_000;
  const status = (one: CollectorStatus) => statusHolds(condition, baseline, one);
  const looksAtStatus = Object.keys(condition).some((key) => !ELSEWHERE.has(key));
  let storedEnough = stored_more === undefined;
  const wholly = async (): Promise<void> => {
    if (stored_more !== undefined) {
      const target = baseline.stored + stored_more;
      await observer.audit(what, ({ totals }) => totals.stored >= target, deadlineMs);
      storedEnough = true;
    }
    if (looksAtStatus) await observer.status(what, (one) => elapsed() && status(one), deadlineMs);
    else await waitUntil(what, () => elapsed() && storedEnough, { deadlineMs, signal });
  };
  await within(signal, wholly());
}

/** Conditions that are not about the source's status. */
const ELSEWHERE: ReadonlySet<string> = new Set(['seconds', 'stored_more']);

function statusHolds(condition: Condition, baseline: Baseline, status: CollectorStatus): boolean {
  const { frames } = status.queue;
  const { queued_min = 0, queued_max = Infinity, drained_percent, state } = condition;
  const most = drained_percent === undefined ? Infinity : leftAfter(drained_percent, baseline);
  return (
    frames >= queued_min &&
    frames <= Math.min(queued_max, most) &&
    (state === undefined || status.state === state)
  );
}

function leftAfter(percent: number, { queued }: Baseline): number {
  return Math.floor((queued * (100 - percent)) / 100);
}

/** "5 s have passed and 1000 frames wait" */
export function inWords(condition: Condition, baseline?: Baseline): string {
  const { seconds, queued_min, queued_max, drained_percent, stored_more, state } = condition;
  const of = baseline === undefined ? '' : ` of ${baseline.queued}`;
  const parts = [
    seconds !== undefined && `${seconds} s have passed`,
    queued_min !== undefined && `${queued_min} frames wait`,
    queued_max !== undefined && `at most ${queued_max} frames wait`,
    drained_percent !== undefined && `${drained_percent} %${of} waiting frames have left the queue`,
    stored_more !== undefined && `${stored_more} more frames are stored`,
    state !== undefined && `the source's link is ${state}`,
  ];
  return parts.filter((part) => part !== false).join(' and ');
}
