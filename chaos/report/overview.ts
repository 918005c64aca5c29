/** All scenarios at a glance, a row each: the median over its repeats, and the worst of them. */

import { duration, number, spreadOf } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import { drainMs, recoverMs } from '../oracle/timing.ts';
import { anchor, badge } from './badge.ts';
import type { RepeatReport, Report, ScenarioReport } from './document.ts';

export function overview({ scenarios }: Report): Markup {
  const repeated = scenarios.some(({ repeats }) => repeats.length > 1);
  return html`<h2>All at a glance</h2>
<div class="card overview"><table class="figures">
<caption>Noticed, recovered, drained: the longest over all faults of a scenario, from the fault's beginning, and from the moment when what was hit worked again.${repeated && ' Over repeats: the median, and the worst; frames: of all.'}</caption>
<thead><tr><th scope="col">Scenario</th><th scope="col">Verdict</th><th scope="col" class="n">Noticed</th><th scope="col" class="n">Recovered</th><th scope="col" class="n">Drained</th><th scope="col" class="n">Frames</th><th scope="col" class="n">Most waiting</th></tr></thead>
<tbody>
${scenarios.map(row)}</tbody>
</table></div>`;
}

function row(scenario: ScenarioReport): Markup {
  const { name, title, outcome, repeats } = scenario;
  const frames = repeats.reduce((sum, { counts }) => sum + (counts?.accepted ?? 0), 0);
  const times = repeats.length > 1 ? html` <small class="quiet">× ${repeats.length}</small>` : null;
  const same = repeats.filter((one) => one.outcome === outcome).length;
  const share =
    same < repeats.length && html`<small class="quiet">${same} of ${repeats.length}</small>`;
  const link = outcome === 'not_run' ? title : html`<a href="#${anchor(name)}">${title}</a>`;
  const over = (
    label: string,
    of: (repeat: RepeatReport) => number | null,
    text: (value: number) => string,
  ) => {
    const spread = spreadOf(repeats.map(of).filter((value) => value !== null));
    if (spread === null) return cell(label, '–');
    const median = text(spread.median);
    const worst = text(spread.max);
    return cell(label, median, worst === median ? null : `worst ${worst}`);
  };
  return html`<tr${outcome === 'not_run' && html` class="idle"`}><th scope="row"><span>${link}${times}</span></th><td data-label="Verdict">${badge(outcome)}${share}</td>${over(
    'Noticed',
    longest(({ detect_ms }) => detect_ms),
    duration,
  )}${over('Recovered', longest(recoverMs), duration)}${over('Drained', longest(drainMs), duration)}${cell('Frames', frames > 0 ? number(frames) : '–')}${over('Most waiting', ({ queued_max }) => queued_max, number)}</tr>
`;
}

function cell(label: string, value: string, small: string | null = null): Markup {
  return html`<td class="n${value === '–' ? ' none' : ''}" data-label="${label}">${value}${small !== null && html`<small class="quiet">${small}</small>`}</td>`;
}

/** Over the faults of a repeat. */
function longest(
  of: (fault: RepeatReport['faults'][number]) => number | null,
): (repeat: RepeatReport) => number | null {
  return ({ faults }) => {
    const values = faults.map(of).filter((one) => one !== null);
    return values.length === 0 ? null : Math.max(...values);
  };
}
