/** All that an answer of the series gives to draw, reckoned once for each answer. Pure. */
import type { Held } from '../columns.ts';
import type { Line } from '../lines.ts';
import { lateSpans, type Span, stateSpans } from './spans.ts';
import { type ChartSpec, chartsOf } from './specs.ts';

export interface PreparedChart {
  readonly spec: ChartSpec;
  readonly lines: readonly Line[];
  readonly limit: number | undefined;
  readonly empty: string;
}

export interface Prepared {
  readonly charts: readonly PreparedChart[];
  readonly states: readonly Span[];
  readonly late: readonly Span[];
}

const NO_VALUES = 'no values in this time';
const LOADING = 'loading …';

/** `loading`: more may come; what is not there yet is not said to be nowhere. */
export function prepare(held: Held | undefined, loading: boolean): Prepared {
  const { columns, width } = held ?? { columns: [], width: 1_000 };
  return {
    charts: chartsOf(columns).map((spec) => {
      const own = columns.filter(({ metric }) => spec.metrics.includes(metric));
      // Where there is nothing at all, nobody knows what a collector's samples tell.
      const nothing = columns.length === 0 ? NO_VALUES : (spec.empty ?? NO_VALUES);
      const empty = loading ? LOADING : nothing;
      return { spec, lines: spec.lines(own, width), limit: spec.limit?.(own), empty };
    }),
    states: stateSpans(columns, width),
    late: lateSpans(columns, width),
  };
}
