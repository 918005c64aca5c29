/**
 * What lies under the charts as stretches of time: the producer's states, the faults of the link,
 * frames that are not there and why. Pure; times in milliseconds.
 */
import type { Fault, Gap, GapsAnswer } from '../answers.ts';
import type { Column, Held } from '../columns.ts';
import { gapFrom } from '../lines.ts';
import { detailsText, isSwallowing, linkWord } from '../link-details.ts';
import type { Window } from '../range.ts';
import { durationText, SECOND, timeOf } from '../time.ts';
import { LAG_METRIC, STATE_METRIC } from './specs.ts';

export interface Span {
  readonly from: number;
  readonly to: number;
  /** How it looks. */
  readonly kind: 'plain' | 'warn' | 'bad' | 'gap' | 'waiting' | 'late' | 'idle';
  readonly text: string;
  /** What a closer look tells, where that is more. */
  readonly long?: string;
}

/** A busy machine is late with a sample now and then. */
const HICCUP_MAX = 5 * SECOND;
/** How far the charts may be behind the store, where it is not still charting. */
const UNCHARTED_MAX = 10 * SECOND;

const STATE_KINDS: Readonly<Record<string, Span['kind']>> = {
  Ready: 'plain',
  Recovering: 'warn',
  Backoff: 'bad',
};

/** In which state the producer was, as its samples tell: for most of each bucket. */
export function stateSpans(columns: readonly Column[], width: number): Span[] {
  const states = columns.filter(({ metric }) => metric === STATE_METRIC);
  const most = new Map<number, { state: string; share: number }>();
  for (const { attributes, t, mean } of states) {
    const state = attributes.state ?? '';
    for (const [i, at] of t.entries()) {
      const share = mean[i] ?? 0;
      if (share > (most.get(at)?.share ?? 0)) most.set(at, { state, share });
    }
  }
  const times = [...most.keys()].sort((a, b) => a - b);
  const step = Math.max(width, stepOf(times));
  const spans: Span[] = [];
  for (const at of times) {
    const state = most.get(at)?.state ?? '';
    const last = spans.at(-1);
    if (last !== undefined && last.text === state && at - last.to <= 2 * step) {
      spans[spans.length - 1] = { ...last, to: at + step };
    } else {
      // The one before lasts until here, unless nothing is known in between.
      if (last !== undefined && at - last.to <= 2 * step)
        spans[spans.length - 1] = { ...last, to: at };
      spans.push({ from: at, to: at + step, kind: STATE_KINDS[state] ?? 'plain', text: state });
    }
  }
  return spans;
}

export function faultSpans(faults: readonly Fault[], now: number): Span[] {
  return faults.map(({ from, to, state, details }) => ({
    from: timeOf(from),
    to: to === null ? now : timeOf(to),
    kind: state === 'cut' || isSwallowing({ state, details }) ? 'bad' : 'warn',
    text: faultText(state, details),
  }));
}

function faultText(state: Fault['state'], details: readonly string[]): string {
  const word = linkWord({ state, details });
  return details.length === 0 ? word : `${word} · ${detailsText(details)}`;
}

/** Frames that are not stored: by when their stored neighbours were captured. */
export function gapSpans(answer: GapsAnswer | undefined, window: Window): Span[] {
  return (answer?.gaps ?? []).map((gap) => ({
    from: gap.captured_after === null ? window.from : timeOf(gap.captured_after),
    to: gap.captured_before === null ? window.to : timeOf(gap.captured_before),
    kind: gap.kind === 'pending' ? 'waiting' : 'gap',
    text: gapText(gap),
  }));
}

function gapText({ kind, from, to, reason }: Gap): string {
  const count = to - from + 1;
  const frames = `${count.toLocaleString('en')} ${count === 1 ? 'frame' : 'frames'} ${kind}`;
  return reason === null ? frames : `${frames}: ${reason}`;
}

/** Where frames came in late. Of all series, for slow probes have values in some samples only. */
export function lateSpans(columns: readonly Column[], width: number): Span[] {
  const late = new Set<number>();
  const lags = columns.filter(({ metric }) => metric === LAG_METRIC);
  const source = lags.length > 0 ? lags : columns;
  for (const { t, late: counts } of source) {
    for (const [i, at] of t.entries()) if ((counts[i] ?? 0) > 0) late.add(at);
  }
  const times = [...late].sort((a, b) => a - b);
  // How far apart values are at the closest, late or not.
  const steps = source.map(({ t }) => stepOf(t)).filter((step) => step > 0);
  const step = Math.max(width, steps.length > 0 ? Math.min(...steps) : 0);
  const apart = (i: number) =>
    (times[i] ?? 0) - (times[i - 1] ?? Number.NEGATIVE_INFINITY) > 2 * step;
  const starts = [...times.keys()].filter(apart);
  return starts.map((start, i) => ({
    from: times[start] ?? 0,
    to: (times[(starts[i + 1] ?? times.length) - 1] ?? 0) + step,
    kind: 'late',
    text: 'arrived late, with the times of capture',
  }));
}

/**
 * Where the collector made no sample: its own come one after the other, and each has its producer's
 * state. Not told where frames may still be underway, or not be charted yet: `gaps` are what is
 * known not to be stored.
 */
export function idleSpans({ columns, width, to, completeTo }: Held, gaps: readonly Span[]): Span[] {
  if (completeTo === undefined || completeTo < to - Math.max(2 * width, UNCHARTED_MAX)) return [];
  const states = columns.filter(({ metric }) => metric === STATE_METRIC);
  const times = [...new Set(states.flatMap(({ t }) => t))].sort((a, b) => a - b);
  const usual = stepOf(times);
  const gap = Math.max(gapFrom(times, width), HICCUP_MAX);
  const spans: Span[] = [];
  for (const [i, next] of times.entries()) {
    const last = times[i - 1] ?? next;
    if (next - last <= gap) continue;
    const [from, end] = [last + Math.max(width, usual), next];
    if (gaps.some((each) => each.from < end && each.to > from)) continue;
    const long = `nothing was captured for ${durationText(next - last)}: the collector did not run, or stood still`;
    spans.push({ from, to: end, kind: 'idle', text: 'nothing captured', long });
  }
  return spans;
}

/** The one that is told of a moment; `reach`: how far beside a short one it is still meant. */
export function spanAt(spans: readonly Span[], time: number, reach = 0): Span | undefined {
  return (
    spans.findLast(({ from, to }) => from <= time && time < to) ??
    spans.findLast(({ from, to }) => from - reach <= time && time < to + reach)
  );
}

function stepOf(times: readonly number[]): number {
  const steps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  return steps.sort((a, b) => a - b)[steps.length >> 1] ?? 0;
}
