/**
 * The view as the address carries it, so that a link shows the same: `?collector=web-3&range=15m`,
 * or `from` and `to` in place of `range`. Pure. What makes no sense is as if it was not there.
 */
import { FIRST_RANGE, isAskable, isSameRange, type Range, SPAN_MAX } from './range.ts';
import { DAY, HOUR, MINUTE, rfc3339, SECOND, timeOf } from './time.ts';

export interface View {
  /** Undefined: whichever comes first. */
  readonly collector: string | undefined;
  readonly range: Range;
}

const UNITS: readonly { readonly name: string; readonly size: number }[] = [
  { name: 'd', size: DAY },
  { name: 'h', size: HOUR },
  { name: 'm', size: MINUTE },
  { name: 's', size: SECOND },
];
const SPAN = /^([1-9]\d{0,5})([dhms])$/;

/** `search`: the address from `?` on. */
export function viewOf(search: string): View {
  const query = new URLSearchParams(search);
  return { collector: query.get('collector') || undefined, range: rangeOf(query) };
}

/** From `?` on; empty where all is as at the first visit. */
export function searchOf({ collector, range }: View): string {
  const query = new URLSearchParams();
  if (collector !== undefined) query.set('collector', collector);
  if (range.kind === 'between') {
    query.set('from', rfc3339(range.from));
    query.set('to', rfc3339(range.to));
  } else if (!isSameRange(range, FIRST_RANGE)) {
    query.set('range', range.kind === 'all' ? 'all' : spanText(range.span));
  }
  const text = query.toString().replaceAll('%3A', ':');
  return text === '' ? '' : `?${text}`;
}

function rangeOf(query: URLSearchParams): Range {
  const [from, to] = [timeOf(query.get('from') ?? ''), timeOf(query.get('to') ?? '')];
  if (isAskable({ from, to })) return { kind: 'between', from, to };
  const text = query.get('range') ?? '';
  if (text === 'all') return { kind: 'all' };
  const [, count, unit] = SPAN.exec(text) ?? [];
  const size = UNITS.find(({ name }) => name === unit)?.size;
  if (count === undefined || size === undefined) return FIRST_RANGE;
  const span = Number(count) * size;
  return span > SPAN_MAX ? FIRST_RANGE : { kind: 'last', span };
}

function spanText(span: number): string {
  const seconds = Math.max(SECOND, Math.round(span / SECOND) * SECOND);
  const unit = UNITS.find(({ size }) => seconds % size === 0);
  return unit === undefined ? '' : `${seconds / unit.size}${unit.name}`;
}
