/**
 * `report.html`, on one page. It opens on the verdict; then all scenarios at a glance, then each with its picture, its figures, what was done
 * and what was found. It can be read without scripts, on a phone, in the dark and on paper.
 */
import { readFileSync } from 'node:fs';
import { counted, duration } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import { page as pageOf } from '#pages/page.ts';
import type { UsageSample } from '../run/records.ts';
import { anchor, badge, WORDS } from './badge.ts';
import type { RepeatReport, Report, ScenarioReport } from './document.ts';
import { bystanderFigures, findings } from './found.ts';
import { overview } from './overview.ts';
import { PATTERN_DEFINITIONS, picture } from './picture.ts';
import { faultTable, type Step, stepTable } from './steps.ts';
import { strips } from './strips.ts';
import type { Timeline } from './timeline.ts';
import { usageSection } from './usage.ts';
import { verdictSection } from './verdict.ts';

/** What is drawn of a repeat beside what report.json has of it. */
export interface RepeatView {
  readonly repeat: RepeatReport;
  readonly timeline: Timeline | undefined;
  readonly steps: readonly Step[];
  /** The scenario's file, as it was run. */
  readonly scenario: string | undefined;
  readonly usage: readonly UsageSample[];
  readonly points: number;
}

const asset = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');

/** `folder`: the run's own, as people are told of it. */
export function page(report: Report, views: readonly RepeatView[], folder: string): string {
  const viewOf = new Map(views.map((view) => [view.repeat, view]));
  const ran = report.scenarios.filter(({ outcome }) => outcome !== 'not_run');
  const body = html`${PATTERN_DEFINITIONS}
${verdictSection(report, folder)}
<main>
${overview(report)}
${notRun(report)}
${ran.length > 0 && html`<h2>${report.kind === 'soak' ? 'The long run' : 'Scenario by scenario'}</h2>`}
${ran.map((scenario) => scenarioSection(scenario, viewOf))}
</main>
${footer(report)}`;
  const [styles, script] = [asset('page.css'), asset('page.js')];
  return pageOf({ title: report.sentence, styles, body, script });
}

function notRun({ scenarios, ground }: Report): Markup | null {
  const left = scenarios.filter(({ outcome }) => outcome === 'not_run');
  if (left.length === 0) return null;
  return html`<h2>Not run on this ground (${ground})</h2>
<div class="card"><table>
<thead><tr><th scope="col">Scenario</th><th scope="col">Why</th></tr></thead>
<tbody>${left.map(({ title, repeats }) => html`<tr><th scope="row">${title}</th><td class="text">${repeats[0]?.reason}</td></tr>`)}</tbody>
</table></div>`;
}

function scenarioSection(
  scenario: ScenarioReport,
  viewOf: ReadonlyMap<RepeatReport, RepeatView>,
): Markup {
  const { name, title, description, outcome, repeats } = scenario;
  const first = repeats.find((one) => one.outcome === outcome);
  const about = [
    name,
    ...(repeats.length > 1 ? [counted(repeats.length, 'repeat')] : []),
    duration(first?.duration_ms),
  ].filter((part) => part !== '–');
  return html`<article class="card scenario" id="${anchor(name)}" aria-labelledby="${anchor(name)}-title">
<header><h3 id="${anchor(name)}-title">${title}</h3>${badge(outcome)}</header>
<p class="description">${description}</p>
<p class="about">${about.join(' · ')}</p>
${strips(scenario)}
${first && repeats.length > 1 && html`<h4>Repeat ${first.repeat}, in full</h4>`}
${first && repeatBody(title, first, viewOf.get(first))}
${repeats
  .filter((one) => one !== first)
  .map(
    (one) =>
      html`<details class="repeat"><summary>Repeat ${one.repeat}${badge(one.outcome)}</summary>${repeatBody(title, one, viewOf.get(one))}</details>`,
  )}
</article>
`;
}

function repeatBody(title: string, repeat: RepeatReport, view: RepeatView | undefined): Markup {
  const lost = (repeat.offenders.lost ?? []).map(
    ({ captured_at }) => Date.parse(captured_at) * 1_000,
  );
  return html`${reasons(repeat)}
${view?.timeline && picture(view.timeline, lost, title)}
${view && usageSection(view.usage, repeat.growth, view.points)}
${faultTable(repeat)}
${bystanderFigures(repeat)}
${view && stepTable(view.steps)}
${findings(repeat)}
${repeat.problems.length > 0 && html`<h4>Files</h4><ul class="quiet">${repeat.problems.map((text) => html`<li>${text}</li>`)}</ul>`}
${view?.scenario && html`<details><summary>The scenario, as it was run</summary><pre>${view.scenario}</pre></details>`}`;
}

/** The oracle's, or the runner's where there was nothing to judge. */
function reasons({ outcome, reason, reasons: all }: RepeatReport): Markup | null {
  const known = all.some(({ text }) => reason.includes(text));
  const items = [
    ...(reason !== '' && !known ? [html`<li>${reason}</li>`] : []),
    ...all.map(
      ({ verdict: kind, code, text }) => html`<li class="${kind}"><code>${code}</code>${text}</li>`,
    ),
  ];
  if (items.length === 0) return null;
  return html`<ul class="reasons ${WORDS[outcome].tone}">${items}</ul>`;
}

function footer({ seed }: Report): Markup {
  return html`<footer>
<p>Made from the raw files beside this page (seed ${seed}): report.json has the same figures for programs, junit.xml the outcomes for CI. <code>./holdfast chaos recheck FOLDER</code> judges and draws it all again. docs/oracle.md explains the words.</p>
</footer>`;
}
