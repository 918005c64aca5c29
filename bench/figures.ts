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

export interface Figure {
  readonly name: string;
  readonly unit:
    | 'bytes'
    | 'frames/s'
    | 's'
    | 'ms'
    | 'MB'
    | 'frames'
    | 'count'
    | 'ratio'
    | 'B/frame';
  /** In the order in which they were measured; never empty. */
  readonly samples: readonly number[];
  readonly aims?: readonly Aim[];
  /** How it was measured, in a sentence or two. */
  readonly method: string;
}

export interface Summary {
  readonly n: number;
  readonly median: number;
  readonly p95: number;
  readonly min: number;
  readonly max: number;
}

export function summaryOf({ samples }: Figure): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    n: sorted.length,
    median: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
  };
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
