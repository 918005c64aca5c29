/**
 * `report.html`: one file that holds all it needs and asks the network for nothing. It opens on the
 * verdict; then all scenarios at a glance, then each with its picture, its figures, what was done
 * and what was found. It can be read without scripts, on a phone, in the dark and on paper.
 */
import { readFileSync } from 'node:fs';
import type { UsageSample } from '../run/records.ts';
import type { Outcome, RepeatReport, Report, ScenarioReport } from './document.ts';
import { bytes, counted, duration, number } from './figures.ts';
import { findings } from './found.ts';
import { html, Markup } from './html.ts';
import { PATTERN_DEFINITIONS, picture } from './picture.ts';
import { faultTable, type Step, stepTable } from './steps.ts';
import { strips } from './strips.ts';
import { drainMs, recoverMs } from './summary.ts';
import type { Timeline } from './timeline.ts';
import { usageSection } from './usage.ts';

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

/** `views` has one for each repeat, in the order of the report's scenarios and their repeats. */
export function page(report: Report, views: readonly RepeatView[]): string {
  const viewOf = new Map(views.map((view) => [view.repeat, view]));
  const ran = report.scenarios.filter(({ outcome }) => outcome !== 'not_run');
  const { text } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${report.sentence}</title>
<style>${new Markup(asset('page.css'))}</style>
</head>
<body>
${PATTERN_DEFINITIONS}
${verdict(report)}
<main>
${overview(report)}
${notRun(report)}
${ran.length > 0 && html`<h2>${report.kind === 'soak' ? 'The long run' : 'Scenario by scenario'}</h2>`}
${ran.map((scenario) => scenarioSection(scenario, viewOf))}
</main>
${footer(report)}
<script>${new Markup(asset('page.js'))}</script>
</body>
</html>
`;
  return text;
}

const WORDS: Readonly<Record<Outcome, { readonly word: string; readonly tone: string }>> = {
  pass: { word: 'Held', tone: 'good' },
  fail: { word: 'Did not hold', tone: 'bad' },
  inconclusive: { word: 'Inconclusive', tone: 'warn' },
  interrupted: { word: 'Interrupted', tone: 'warn' },
  not_run: { word: 'Not run', tone: 'quiet' },
};

/** Told by their shape as well as by their colour. */
const SHAPES: Readonly<Record<Outcome, string>> = {
  pass: 'M3 8.5L6.5 12L13 4.5',
  fail: 'M4 4L12 12M12 4L4 12',
  inconclusive: 'M5 6A3 3 0 1 1 8 9V10M8 13V13',
  interrupted: 'M6 4V12M10 4V12',
  not_run: 'M4 8H12',
};

function shape(outcome: Outcome, name: string): Markup {
  return html`<svg class="${name}" viewBox="0 0 16 16" aria-hidden="true"><path d="${SHAPES[outcome]}"/></svg>`;
}

function badge(outcome: Outcome): Markup {
  const { word, tone } = WORDS[outcome];
  return html`<span class="badge ${tone}">${shape(outcome, '')}${word}</span>`;
}

function verdict(report: Report): Markup {
  const outcome = ({ held: 'pass', failed: 'fail', inconclusive: 'inconclusive' } as const)[
    report.verdict
  ];
  const { word, tone } = WORDS[outcome];
  const { machine, product, totals } = report;
  const what = { scenarios: 'Chaos', swarm: 'Random swarm', soak: 'Long run', matrix: 'Matrix' };
  const commit = product.commit === null ? '' : ` (${product.commit.slice(0, 12)})`;
  const fact = (name: string, value: string | Markup) => html`<dt>${name}</dt><dd>${value}</dd>`;
  const wide = (name: string, value: string | Markup) =>
    html`<dt>${name}</dt><dd class="wide">${value}</dd>`;
  const rest = report.sentence.slice(report.sentence.indexOf(': ') + 2);
  return html`<header>
<p class="eyebrow">Holdfast ${product.version}${commit} · ${what[report.kind]} · ${time(report.started_at)}</p>
<h1 class="${tone}">${shape(outcome, 'mark')}${word}</h1>
<p class="lede">${rest}.</p>
<dl class="facts">
${fact('Ground', report.ground)}${fact('Took', report.ended_at === null ? 'did not end' : duration(report.duration_ms))}
${fact('Machine', `${counted(machine.cpus, 'core')} (${machine.cpu_model}), ${bytes(machine.memory_bytes)}`)}${fact('System', `${machine.os}, Node ${machine.node}`)}
${wide('Why this ground', report.ground_reason)}
${wide('Once more', html`<code>${report.command}</code>`)}
${wide('Seed', html`<code>${report.seed}</code>`)}
${report.healed.length > 0 && wide('Mended before', report.healed.join('; '))}
${
  totals.uncounted > 0 &&
  wide(
    'Not counted',
    `${counted(totals.uncounted, 'repeat')} without evidence that could be counted`,
  )
}
</dl>
</header>`;
}

/** The longest over all faults and repeats. */
function longest(
  { repeats }: ScenarioReport,
  of: (fault: RepeatReport['faults'][number]) => number | null,
): number | null {
  const values = repeats.flatMap(({ faults }) => faults.map(of)).filter((one) => one !== null);
  return values.length === 0 ? null : Math.max(...values);
}

function overview({ scenarios }: Report): Markup {
  const cell = (label: string, value: string) =>
    html`<td class="n${value === '–' ? ' none' : ''}" data-label="${label}">${value}</td>`;
  return html`<h2>All at a glance</h2>
<div class="card overview"><table class="figures">
<caption>Noticed, recovered, drained: the longest over all faults and repeats of a scenario, from the fault's beginning, and from the moment when what was hit worked again.</caption>
<thead><tr><th scope="col">Scenario</th><th scope="col">Verdict</th><th scope="col" class="n">Noticed</th><th scope="col" class="n">Recovered</th><th scope="col" class="n">Drained</th><th scope="col" class="n">Frames</th><th scope="col" class="n">Most waiting</th></tr></thead>
<tbody>
${scenarios.map((scenario) => {
  const { name, title, outcome, repeats } = scenario;
  const frames = repeats.reduce((sum, { counts }) => sum + (counts?.accepted ?? 0), 0);
  const queued = repeats.map(({ queued_max }) => queued_max).filter((one) => one !== null);
  const times = repeats.length > 1 ? html` <small class="quiet">× ${repeats.length}</small>` : null;
  const link = outcome === 'not_run' ? title : html`<a href="#${anchor(name)}">${title}</a>`;
  return html`<tr${outcome === 'not_run' && html` class="idle"`}><th scope="row"><span>${link}${times}</span></th><td data-label="Verdict">${badge(outcome)}</td>${cell('Noticed', duration(longest(scenario, ({ detect_ms }) => detect_ms)))}${cell('Recovered', duration(longest(scenario, recoverMs)))}${cell('Drained', duration(longest(scenario, drainMs)))}${cell('Frames', frames > 0 ? number(frames) : '–')}${cell('Most waiting', queued.length > 0 ? number(Math.max(...queued)) : '–')}</tr>
`;
})}</tbody>
</table></div>`;
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

function anchor(name: string): string {
  return `s-${encodeURIComponent(name)}`;
}

/** `2026-11-26 07:12 UTC`. */
function time(text: string): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
