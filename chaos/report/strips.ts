/**
 * How a figure is spread over repeats: one dot for each, with the median and the 95th percentile
 * marked, and the limit of the scenario where it has one; the numbers beside it.
 */
import type { ScenarioReport } from './document.ts';
import { duration, type Spread, spreadOf } from './figures.ts';
import { html, type Markup } from './html.ts';
import { percent } from './plot.ts';
import { drainMs, recoverMs } from './summary.ts';

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
      return spread && strip(name, measure, values, spread, limits?.limits[limit] ?? null);
    });
  })}</div>`;
}

function strip(
  fault: string,
  measure: string,
  values: readonly number[],
  spread: Spread,
  limit: number | null,
): Markup {
  const { n, min, median, p95, max } = spread;
  const whole = Math.max(max, limit ?? 0, 1) * 1.04;
  const at = (value: number) => percent(value, whole);
  const text = `${measure} after ${fault}, ${n} times: at least ${duration(min)}, median ${duration(median)}, 95th percentile ${duration(p95)}, at most ${duration(max)}`;
  return html`<div class="strip">
<p><strong>${measure}</strong> <span class="quiet">${fault}</span></p>
<svg width="100%" height="30" role="img" aria-label="${text}">
<line class="ground" x1="0" x2="100%" y1="20" y2="20"/>
<rect class="reach" x="${at(min)}" width="${at(max - min)}" y="18" height="4"/>
${limit !== null && html`<line class="limit" x1="${at(limit)}" x2="${at(limit)}" y1="6" y2="30"/><text class="tick" x="${at(limit)}" dx="-4" y="9" text-anchor="end">limit</text>`}
${values.map((value) => html`<circle class="dot" cx="${at(value)}" cy="20" r="4"><title>${duration(value)}</title></circle>`)}
<line class="median" x1="${at(median)}" x2="${at(median)}" y1="11" y2="29"/>
<line class="p95" x1="${at(p95)}" x2="${at(p95)}" y1="13" y2="27"/>
</svg>
<dl class="spread"><div><dt>min</dt><dd>${duration(min)}</dd></div><div><dt>median</dt><dd>${duration(median)}</dd></div><div><dt>p95</dt><dd>${duration(p95)}</dd></div><div><dt>max</dt><dd>${duration(max)}</dd></div>${
    limit !== null && html`<div><dt>limit</dt><dd>${duration(limit)}</dd></div>`
  }</dl>
</div>`;
}
