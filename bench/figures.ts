/**
 * A measured figure: its samples, what it is aimed at, and how it was got. The form that the table
 * and the JSON have in common.
 */
import { strict as assert } from 'node:assert';

export interface Aim {
  /** Which of the figure's numbers is held to it. */
  readonly of: 'median' | 'min' | 'max';
  readonly at: 'least' | 'most';
  readonly value: number;
}

/**
 * Whose figure it is where several do the same side by side: such figures stand in one table for each
 * case, a row for each measure and a column for each contender, in the order in which they come.
 */
interface Compared {
  /** `ours` is what the others are held against. */
  readonly contender: string;
  /** What was measured; the same words, and the same unit, for every contender. */
  readonly measure: string;
  /** Under which circumstances, where there are several. */
  readonly case?: string;
  /**
   * For a ratio of ours to another: whom it is divided by. It stands below that one's own figure, or
   * beside the row where it is none of the contenders (`best rival`). `contender` is `ours` then.
   */
  readonly over?: string;
}

export interface Figure {
  readonly name: string;
  readonly unit:
    | 'bytes'
    | 'frames/s'
    | 's'
    | 'ms'
    | 'µs'
    | 'MB'
    | '%'
    | 'frames'
    | 'count'
    | 'ratio'
    | 'B/frame';
  /** In the order in which they were measured; never empty. */
  readonly samples: readonly number[];
  readonly aims?: readonly Aim[];
  /** How it was measured, in a sentence or two. */
  readonly method: string;
  /** Where the same is measured at several sizes: which of them this is. */
  readonly at?: { readonly value: number; readonly unit: string };
  /** Which way is the better one; follows from its aims or its unit when left out. */
  readonly better?: Better;
  /** What of the machine it follows; by its unit when left out. */
  readonly bound?: Bound;
  /** Where contenders are compared; the name still tells the same, for it is what is unique. */
  readonly compared?: Compared;
}

export type Better = 'more' | 'less' | 'neither';
/** By which probe two runs' figures are made comparable; `none` for what no machine changes much. */
export type Bound = 'processor' | 'disk' | 'none';

/** How a unit is read where a figure doesn't say it. Of the rest neither way is better. */
const READ_BY_UNIT: Readonly<Partial<Record<Figure['unit'], { better: Better; bound: Bound }>>> = {
  'frames/s': { better: 'more', bound: 'processor' },
  ms: { better: 'less', bound: 'processor' },
  µs: { better: 'less', bound: 'processor' },
  // Timers of the protocol, mostly.
  s: { better: 'less', bound: 'none' },
  MB: { better: 'less', bound: 'none' },
  bytes: { better: 'less', bound: 'none' },
  'B/frame': { better: 'less', bound: 'none' },
};

/** Which way is better, and what of the machine it follows. */
export function readingOf(figure: Figure): { readonly better: Better; readonly bound: Bound } {
  const read = READ_BY_UNIT[figure.unit];
  const [aim] = figure.aims ?? [];
  const byAim = aim && (aim.at === 'least' ? 'more' : 'less');
  // What only tells of the machine is no better or worse.
  const byName = /^(limit: |load of the machine)/.test(figure.name) ? 'neither' : undefined;
  return {
    better: figure.better ?? byName ?? byAim ?? read?.better ?? 'neither',
    bound: figure.bound ?? read?.bound ?? 'none',
  };
}

/** Its name, with its size where there are several. */
export function titleOf({
  name,
  at,
}: Pick<Figure, 'name'> & { readonly at?: Figure['at'] | null }): string {
  return at ? `${name}, ${at.value.toLocaleString('en-US')} ${at.unit}` : name;
}

export interface Summary {
  readonly n: number;
  readonly p25: number;
  readonly median: number;
  readonly p75: number;
  readonly p95: number;
  readonly min: number;
  readonly max: number;
}

export function summaryOf({ samples }: Pick<Figure, 'samples'>): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    n: sorted.length,
    p25: quantile(sorted, 0.25),
    median: quantile(sorted, 0.5),
    p75: quantile(sorted, 0.75),
    p95: quantile(sorted, 0.95),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
  };
}

export function perSecond(count: number, elapsedMs: number): number {
  return (count / elapsedMs) * 1_000;
}

export function medianOf(samples: readonly number[]): number {
  return quantileOf(samples, 0.5);
}

export function quantileOf(samples: readonly number[], q: number): number {
  return quantile(
    samples.toSorted((a, b) => a - b),
    q,
  );
}

/** The sample at that place of the order, between two of them by their distance. */
function quantile(sorted: readonly number[], q: number): number {
  const place = (sorted.length - 1) * q;
  const low = sorted[Math.floor(place)];
  const high = sorted[Math.ceil(place)];
  assert(low !== undefined && high !== undefined, 'a figure without a sample');
  return low + (high - low) * (place - Math.floor(place));
}

/** What of an aim was missed, in words; undefined when it was met. */
export function missed(figure: Figure, aim: Aim): string | undefined {
  const value = summaryOf(figure)[aim.of];
  if (aim.at === 'least' ? value >= aim.value : value <= aim.value) return undefined;
  const word = aim.at === 'least' ? 'below' : 'over';
  return `missed: ${aim.of} ${round(value)} is ${word} ${round(aim.value)}`;
}

export function describeAim({ of, at, value }: Aim): string {
  return `${of} ${at === 'least' ? '≥' : '≤'} ${round(value)}`;
}

/** Four digits are more than any of these figures is good for. */
export function round(value: number): string {
  if (Math.abs(value) >= 1_000) return String(Math.round(value));
  return String(Number(value.toPrecision(4)));
}
