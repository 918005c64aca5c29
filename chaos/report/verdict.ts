/**
 * The first screen: the verdict, what did not hold with what to do about it, and what was run.
 */

import { bytes, counted, duration } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import { timeText } from '#pages/page.ts';
import { commandFor } from './again.ts';
import { anchor, badge, shape, WORDS } from './badge.ts';
import type { Outcome, RepeatReport, Report, ScenarioReport } from './document.ts';
import { kindName, lastSeen } from './found.ts';

const TROUBLES_MAX = 8;
const REASONS_MAX = 3;
const INTERVAL_CHARACTERS_MAX = 160;

const OUTCOMES: Readonly<Record<Report['verdict'], Outcome>> = {
  held: 'pass',
  failed: 'fail',
  inconclusive: 'inconclusive',
  interrupted: 'interrupted',
};

/** `folder`: the run's own, as people are told of it. */
export function verdictSection(report: Report, folder: string): Markup {
  const outcome = OUTCOMES[report.verdict];
  const { word, tone } = WORDS[outcome];
  const { machine, product, totals } = report;
  const what = { scenarios: 'Chaos', swarm: 'Random swarm', soak: 'Long run', matrix: 'Matrix' };
  const commit = product.commit === null ? '' : ` (${product.commit.slice(0, 12)})`;
  const fact = (name: string, value: string | Markup) => html`<dt>${name}</dt><dd>${value}</dd>`;
  const wide = (name: string, value: string | Markup) =>
    html`<dt>${name}</dt><dd class="wide">${value}</dd>`;
  const rest = report.sentence.slice(report.sentence.indexOf(': ') + 2);
  return html`<header>
<p class="eyebrow">Holdfast ${product.version}${commit} · ${what[report.kind]} · ${timeText(report.started_at)}</p>
<h1 class="${tone}">${shape(outcome, 'mark')}${word}</h1>
<p class="lede">${rest}.</p>
${troubles(report, folder)}
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

interface Trouble {
  readonly scenario: ScenarioReport;
  readonly repeat: RepeatReport;
}

/** What failed, then what could not be judged; nothing where all held. */
function troubles(report: Report, folder: string): Markup | null {
  const all = (['fail', 'inconclusive', 'interrupted'] as const).flatMap((outcome) =>
    report.scenarios.flatMap((scenario) =>
      scenario.repeats
        .filter((repeat) => repeat.outcome === outcome)
        .map((repeat): Trouble => ({ scenario, repeat })),
    ),
  );
  if (all.length === 0) return null;
  const failed = all.filter(({ repeat }) => repeat.outcome === 'fail').length;
  const more = all.length - TROUBLES_MAX;
  return html`<section class="troubles" aria-labelledby="troubles">
<h2 class="troubles-title" id="troubles">${failed > 0 ? 'What did not hold' : 'What has no verdict'}</h2>
${all.slice(0, TROUBLES_MAX).map((one) => trouble(report, folder, one))}
${more > 0 && html`<p class="quiet">And ${more} more, below.</p>`}
</section>`;
}

function trouble(report: Report, folder: string, { scenario, repeat }: Trouble): Markup {
  const { name, title, repeats } = scenario;
  const { tone } = WORDS[repeat.outcome];
  const which = repeats.length > 1 ? `, repeat ${repeat.repeat} of ${repeats.length}` : '';
  return html`<div class="trouble ${tone}"><div class="trouble-text">
<p class="which"><span><a href="#${anchor(name)}">${title}</a>${which}</span>${badge(repeat.outcome)}</p>
${reasonsOf(repeat).map((text) => html`<p>${text}</p>`)}
<dl class="next">${
    repeat.outcome === 'fail' &&
    Object.entries(repeat.intervals).map(([kind, set]) => {
      const seen = lastSeen(repeat.offenders[kind] ?? []);
      return html`<dt>${kindName(kind)}</dt><dd><code>${cut(set)}</code>${seen !== '' && `, ${seen}`}</dd>`;
    })
  }<dt>Again</dt><dd><code>${commandFor(report, name, repeat)}</code></dd>${
    repeat.folder !== null &&
    html`<dt>Raw files</dt><dd><code>${folder}/${repeat.folder}/</code></dd>`
  }</dl>
</div></div>
`;
}

/** Those of its outcome first, in few words. */
function reasonsOf({ outcome, reason, reasons }: RepeatReport): string[] {
  const own = reasons.filter(({ verdict }) => verdict === outcome).map(({ text }) => text);
  const texts = own.length > 0 ? own : [reason].filter((text) => text !== '');
  const more = texts.length - REASONS_MAX;
  return more > 0
    ? [...texts.slice(0, REASONS_MAX), `And ${counted(more, 'more reason')}.`]
    : texts;
}

function cut(set: string): string {
  return set.length > INTERVAL_CHARACTERS_MAX ? `${set.slice(0, INTERVAL_CHARACTERS_MAX)} …` : set;
}
