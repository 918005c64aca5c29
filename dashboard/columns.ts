/**
 * The series that are held, column by column, and how a newer answer for their end is merged in.
 * Pure. Times in milliseconds; a bucket's time is its beginning.
 */
import { timeOf } from './time.ts';

/** As /api/v1/series answers in columns; a list that would tell nothing is null. */
export interface SeriesAnswer {
  readonly complete_to: string | null;
  readonly from: string;
  readonly to: string;
  readonly bucket_seconds: number;
  readonly series: readonly {
    readonly metric: string;
    readonly unit: string;
    readonly attributes: Readonly<Record<string, string>>;
    /** Milliseconds behind `from`. */
    readonly t: readonly number[];
    readonly mean: readonly number[];
    readonly min: readonly number[] | null;
    readonly max: readonly number[] | null;
    readonly count: readonly number[] | null;
    readonly late: readonly number[] | null;
  }[];
}

export interface Column {
  readonly metric: string;
  readonly unit: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly t: readonly number[];
  readonly min: readonly number[];
  readonly max: readonly number[];
  readonly mean: readonly number[];
  readonly count: readonly number[];
  readonly late: readonly number[];
}

export interface Held {
  readonly from: number;
  readonly to: number;
  /** Milliseconds. */
  readonly width: number;
  /** All that was stored before is in it; undefined where that is not known. */
  readonly completeTo: number | undefined;
  readonly columns: readonly Column[];
}

const PARTS = ['t', 'min', 'max', 'mean', 'count', 'late'] as const;

export function heldOf(answer: SeriesAnswer): Held {
  const from = timeOf(answer.from);
  return {
    from,
    to: timeOf(answer.to),
    width: answer.bucket_seconds * 1_000,
    completeTo: answer.complete_to === null ? undefined : timeOf(answer.complete_to),
    // What has no value in this time says nothing of it.
    columns: answer.series
      .filter(({ t }) => t.length > 0)
      .map(({ metric, unit, attributes, t, mean, min, max, count, late }) => ({
        metric,
        unit,
        attributes,
        t: t.map((behind) => from + behind),
        min: min ?? mean,
        max: max ?? mean,
        mean,
        count: count ?? t.map(() => 1),
        late: late ?? t.map(() => 0),
      })),
  };
}

/**
 * What is held, with everything from the tail's beginning on as the tail has it, and nothing from
 * before `keepFrom`. Undefined where the two don't fit together: other buckets, or time between.
 */
export function mergeTail(held: Held, tail: Held, keepFrom: number): Held | undefined {
  if (held.width !== tail.width || tail.from > held.to || tail.from < held.from) return undefined;
  const tails = new Map(tail.columns.map((column) => [keyOf(column), column]));
  const columns = held.columns.map((column) => {
    const key = keyOf(column);
    const merged = joined(column, tails.get(key), keepFrom, tail.from);
    tails.delete(key);
    return merged;
  });
  return {
    from: Math.max(held.from, keepFrom),
    to: tail.to,
    width: held.width,
    completeTo: tail.completeTo,
    columns: [...columns, ...tails.values()].filter(({ t }) => t.length > 0),
  };
}

/** The same series has the same key, whatever the order of its attributes. */
export function keyOf({
  metric,
  unit,
  attributes,
}: Pick<Column, 'metric' | 'unit' | 'attributes'>) {
  return JSON.stringify([metric, unit, Object.entries(attributes).sort()]);
}

/** The place of the first time that is not before `time`. `t` ascends. */
export function firstFrom(t: readonly number[], time: number): number {
  let [low, high] = [0, t.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((t[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function joined(column: Column, tail: Column | undefined, from: number, tailFrom: number): Column {
  const [start, end] = [firstFrom(column.t, from), firstFrom(column.t, tailFrom)];
  const parts = PARTS.map((part) => [
    part,
    [...column[part].slice(start, Math.max(start, end)), ...(tail?.[part] ?? [])],
  ]);
  return { ...column, ...Object.fromEntries(parts) };
}
