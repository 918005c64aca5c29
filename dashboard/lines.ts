/**
 * From columns of buckets to the lines of a chart: rates of counters, gaps that stay gaps, and
 * the table that uPlot draws. Pure. Times in milliseconds.
 */
import { type Column, firstFrom } from './columns.ts';

export interface Line {
  readonly label: string;
  readonly t: readonly number[];
  readonly value: readonly number[];
  /** Least and greatest; the value itself where there is nothing between. */
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** Whether something in it arrived late. */
  readonly late: readonly boolean[];
  /** Two values further apart than this have a gap between them. */
  readonly gap: number;
}

/** Buckets without a value are a gap from so many on. */
const GAP_BUCKETS = 3;
/** A value may be on its way from the store to here for so long. */
const UNDERWAY_MS = 5_000;

export function gaugeLine(label: string, column: Column, width: number): Line {
  const { t, mean, min, max, late } = column;
  return {
    label,
    t,
    value: mean,
    low: min,
    high: max,
    late: late.map((count) => count > 0),
    gap: gapFrom(t, width),
  };
}

/** The growth of a counter by second, between neighbours; none over a gap or a start from zero. */
export function rateLine(label: string, column: Column, width: number): Line {
  const gap = gapFrom(column.t, width);
  const [t, value, late]: [number[], number[], boolean[]] = [[], [], []];
  for (let i = 1; i < column.t.length; i += 1) {
    const [before, at] = [column.t[i - 1] ?? 0, column.t[i] ?? 0];
    const growth = (column.max[i] ?? 0) - (column.max[i - 1] ?? 0);
    if (growth < 0 || at - before > gap) continue;
    t.push(at);
    value.push((growth * 1_000) / (at - before));
    late.push((column.late[i] ?? 0) > 0);
  }
  return { label, t, value, low: value, high: value, late, gap };
}

/** The values that arrived late; null for all others. */
export function lateOf({ value, late }: Line): (number | null)[] {
  return value.map((each, i) => (late[i] === true ? each : null));
}

/** The sum of lines that have their values at the same times, as probes of one sample do. */
export function sumLine(label: string, lines: readonly Line[]): Line | undefined {
  const [first, ...others] = lines;
  if (first === undefined) return undefined;
  if (others.length === 0) return { ...first, label };
  const sums = new Map<number, { value: number; late: boolean }>();
  for (const { t, value, late } of lines) {
    for (const [i, at] of t.entries()) {
      const sum = sums.get(at) ?? { value: 0, late: false };
      sums.set(at, { value: sum.value + (value[i] ?? 0), late: sum.late || late[i] === true });
    }
  }
  const t = [...sums.keys()].sort((a, b) => a - b);
  const value = t.map((at) => sums.get(at)?.value ?? 0);
  const late = t.map((at) => sums.get(at)?.late === true);
  return {
    label,
    t,
    value,
    low: value,
    high: value,
    late,
    gap: Math.max(...lines.map(({ gap }) => gap)),
  };
}

/** The place of the value that holds at `time`: the nearest one, unless that is beyond a gap. */
export function nearest({ t, gap }: Pick<Line, 't' | 'gap'>, time: number): number | undefined {
  const after = firstFrom(t, time);
  const candidates = [after - 1, after].filter((i) => i >= 0 && i < t.length);
  const distance = (i: number) => Math.abs((t[i] ?? 0) - time);
  const best = candidates.sort((a, b) => distance(a) - distance(b))[0];
  return best !== undefined && distance(best) <= gap ? best : undefined;
}

/** The place of the last value, unless it is so far before `until` that it says nothing of it. */
export function newest({ t, gap }: Pick<Line, 't' | 'gap'>, until: number): number | undefined {
  const last = t.at(-1);
  return last !== undefined && until - last <= gap + UNDERWAY_MS ? t.length - 1 : undefined;
}

/** One row of times, and for each line its values at them: null is a gap, undefined no value. */
export type Table = [number[], ...(number | null | undefined)[][]];

/** `parts`: which of a line's numbers are wanted, one row each. */
export function tableOf(
  parts: readonly { readonly line: Line; readonly numbers: readonly (number | null)[] }[],
): Table {
  const times = new Set<number>();
  for (const { line } of parts) {
    for (const at of line.t) times.add(at);
    for (const at of breaksOf(line)) times.add(at);
  }
  const t = [...times].sort((a, b) => a - b);
  const places = new Map(t.map((at, i) => [at, i]));
  const rows = parts.map(({ line, numbers }) => {
    const row: (number | null | undefined)[] = new Array(t.length).fill(undefined);
    for (const at of breaksOf(line)) row[places.get(at) ?? 0] = null;
    for (const [i, at] of line.t.entries()) row[places.get(at) ?? 0] = numbers[i];
    return row;
  });
  return [t, ...rows];
}

/** A moment within each gap. */
function breaksOf({ t, gap }: Line): number[] {
  const breaks: number[] = [];
  for (let i = 1; i < t.length; i += 1) {
    const before = t[i - 1] ?? 0;
    if ((t[i] ?? 0) - before > gap) breaks.push(before + 1);
  }
  return breaks;
}

/** Two times further apart than this have a gap between them: slow probes have values in some samples only: what is usual for a series is no gap in it. */
export function gapFrom(t: readonly number[], width: number): number {
  const steps = t.slice(1).map((at, i) => at - (t[i] ?? 0));
  const usual = steps.sort((a, b) => a - b)[steps.length >> 1] ?? width;
  return GAP_BUCKETS * Math.max(width, usual);
}
