/**
 * How a figure is spread over repeats, held against the limit of the scenario where it has one.
 */

import { duration, spreadOf } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import { strip } from '#pages/strip.ts';
import { drainMs, recoverMs } from '../oracle/timing.ts';
import type { ScenarioReport } from './document.ts';

type FaultReport = ScenarioReport['repeats'][number]['faults'][number];
type Limits = ScenarioReport['repeats'][number]['limits'];

const MEASURES: readonly {
  readonly name: string;
  readonly of: (fault: FaultReport) => number | null;
  readonly limit: keyof Limits;
}[] = [
  { name: 'Noticed', of: ({ detect_ms }) => detect_ms, limit: 'detect_ms_max' },
  { name: 'Recovered', of: recoverMs, limit: 'recover_ms_max' },
  { name: 'Drained', of: drainMs, limit: 'drain_ms_max' },
];

/** Nothing where a scenario was not repeated. */
export function strips({ repeats, faults }: ScenarioReport): Markup | null {
  if (repeats.filter(({ faults: seen }) => seen.length > 0).length < 2) return null;
  const limits = repeats.find(({ limits }) => Object.values(limits).some((one) => one !== null));
  return html`<h4>Over ${repeats.length} repeats</h4>
<div class="strips">${faults.map(({ name }) => {
    const seen = repeats.flatMap((one) => one.faults.filter((fault) => fault.name === name));
    return MEASURES.map(({ name: measure, of, limit }) => {
      const values = seen.map(of).filter((value) => value !== null);
      const spread = spreadOf(values);
      const max = limits?.limits[limit] ?? null;
      return (
        spread &&
        strip({
          name: measure,
          about: name,
          label: `${measure} after ${name}`,
          values,
          spread,
          limit: max === null ? null : { value: max, word: 'limit' },
          text: duration,
          reach: 1,
        })
      );
    });
  })}</div>`;
}
