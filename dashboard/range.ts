/**
 * Which time is shown. A range is what the reader chose; a window is where that lies now. Ranges
 * that end at now follow it ("live"). Pure; all times in milliseconds.
 */
import { DAY, HOUR, MINUTE, SECOND } from './time.ts';

export type Range =
  /** The last so many milliseconds. */
  | { readonly kind: 'last'; readonly span: number }
  /** From the first frame on. */
  | { readonly kind: 'all' }
  | { readonly kind: 'between'; readonly from: number; readonly to: number };

export interface Window {
  readonly from: number;
  readonly to: number;
}

export const RANGES: readonly { readonly name: string; readonly range: Range }[] = [
  { name: '5 min', range: { kind: 'last', span: 5 * MINUTE } },
  { name: '15 min', range: { kind: 'last', span: 15 * MINUTE } },
  { name: '1 h', range: { kind: 'last', span: HOUR } },
  { name: '6 h', range: { kind: 'last', span: 6 * HOUR } },
  { name: '24 h', range: { kind: 'last', span: DAY } },
  { name: 'All', range: { kind: 'all' } },
];

export const FIRST_RANGE: Range = { kind: 'last', span: 5 * MINUTE };

const SPAN_MIN = 10 * SECOND;
export const SPAN_MAX = 10 * 365 * DAY;
/** The times that the API tells apart: from 1970 on, in microseconds that are exact. */
const TIME_MAX = Math.floor(Number.MAX_SAFE_INTEGER / 1_000);

export function isLive(range: Range): boolean {
  return range.kind !== 'between';
}

/** `first`: when the first frame was captured, where that is known. */
export function windowOf(range: Range, now: number, first: number | undefined): Window {
  switch (range.kind) {
    case 'last':
      return { from: now - range.span, to: now };
    case 'all':
      return { from: Math.min(first ?? Number.POSITIVE_INFINITY, now - MINUTE), to: now };
    case 'between':
      return { from: range.from, to: range.to };
  }
}

/** A stretch that somebody marked, in either direction; not shorter than can be read, nor beyond what can be asked for. */
export function between(a: number, b: number): Range {
  const [from, to] = a < b ? [a, b] : [b, a];
  const lacking = Math.max(0, SPAN_MIN - (to - from)) / 2;
  return {
    kind: 'between',
    from: clamp(from - lacking, 0, TIME_MAX - SPAN_MIN),
    to: clamp(to + lacking, SPAN_MIN, TIME_MAX),
  };
}

/** `factor` below 1 shows less. A range that follows now goes on doing so. */
export function zoom(range: Range, window: Window, factor: number): Range {
  const span = Math.min(SPAN_MAX, Math.max(SPAN_MIN, (window.to - window.from) * factor));
  if (isLive(range)) return { kind: 'last', span: Math.round(span) };
  const middle = (window.from + window.to) / 2;
  return between(middle - span / 2, middle + span / 2);
}

/** By a share of the window, negative to the past; what would go beyond now follows it instead. */
export function pan(window: Window, share: number, now: number): Range {
  const span = window.to - window.from;
  const to = window.to + span * share;
  if (to >= now) return { kind: 'last', span: Math.round(span) };
  return between(to - span, to);
}

/** What the API can be asked for. */
export function isAskable({ from, to }: Window): boolean {
  return from >= 0 && from < to && to <= TIME_MAX;
}

export function isSameRange(a: Range, b: Range): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function clamp(time: number, least: number, greatest: number): number {
  return Math.round(Math.min(greatest, Math.max(least, time)));
}
