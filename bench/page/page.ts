/**
 * `bench.html`: a run of benchmarks on one page. It opens on whether everything was stored and which
 * aims were met; then each part with its figures side by side, how they grow, how they were measured
 * and what was verified. It is made of bench.json alone, and is whole without scripts.
 */
import { readFileSync } from 'node:fs';
import { badgeOf, shapeOf, type Verdict } from '#pages/badge.ts';
import { counted, duration, number } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import { page, timeText } from '#pages/page.ts';
import type { BenchDocument, FigureDocument, PartDocument } from '../document.ts';
import { medianOf, titleOf } from '../figures.ts';
import { matricesOf, methodsOf } from '../matrix.ts';
import { troubles } from '../report.ts';
import { growth, type SizedFigure } from './growth.ts';
import { matrixTable } from './matrix.ts';
import { rows } from './rows.ts';
import { shown } from './words.ts';

const STYLES = readFileSync(new URL('page.css', import.meta.url), 'utf8');

const HELD: Verdict = { word: 'Nothing was lost', tone: 'good', shape: 'tick' };
const NOT_HELD: Verdict = { word: 'Did not hold', tone: 'bad', shape: 'cross' };
const NOT_ALL: Verdict = { word: 'Not all was measured', tone: 'bad', shape: 'cross' };
const UNDER_WAY: Verdict = { word: 'Not to its end', tone: 'warn', shape: 'pause' };
const MET: Verdict = { word: 'Met', tone: 'good', shape: 'tick' };
const MISSED: Verdict = { word: 'Missed', tone: 'bad', shape: 'cross' };

/** More are no glance any more: those that were met are folded. */
const AIMS_MAX = 40;

export function benchPage(run: BenchDocument): string {
  const { word } = verdictOf(run);
  const body = html`${head(run)}
<main>
${aims(run)}
<h2>Part by part</h2>
<p class="quiet">A dot for each sample; the bold mark is the median, the thin one the 95th percentile, an upright line what is aimed at. Beside it the median, and between what the middle half lies. Figures of one unit share a scale; where they lie far apart it goes by powers of ten. Where contenders are compared each row has a scale of its own from 0, a bar for each median, and the least and the most beside it; the best of a row is bold.</p>
${run.parts.map(partSection)}
</main>
${footer()}`;
  return page({ title: `Benchmarks, ${timeText(run.started_at)}: ${word}`, styles: STYLES, body });
}

function verdictOf({ held, ended_at, parts }: BenchDocument): Verdict {
  if (parts.some(({ proofs: all }) => all.some((proof) => !proof.held))) return NOT_HELD;
  if (!held || parts.length === 0) return NOT_ALL;
  return ended_at === null ? UNDER_WAY : HELD;
}

function head(run: BenchDocument): Markup {
  const { product, machine, parts, size, seed } = run;
  const verdict = verdictOf(run);
  const commit = product.commit === null ? '' : ` (${product.commit.slice(0, 12)})`;
  const fact = (name: string, value: string | Markup) => html`<dt>${name}</dt><dd>${value}</dd>`;
  const wide = (name: string, value: string | Markup) =>
    html`<dt>${name}</dt><dd class="wide">${value}</dd>`;
  const troubled = troubles(run);
  return html`<header>
<p class="eyebrow">Holdfast ${product.version}${commit} · Benchmarks, ${size} · ${timeText(run.started_at)}</p>
<h1 class="${verdict.tone}">${shapeOf(verdict, 'mark')}${verdict.word}</h1>
<p class="lede">${sentence(run)}</p>
${troubled.length > 0 && html`<ul class="troubled">${troubled.map((text) => html`<li>${text}</li>`)}</ul>`}
<dl class="facts">
${fact('Machine', `${counted(machine.cores, 'core')} (${machine.cpu}), ${machine.memory_gb} GB`)}${fact('System', `${machine.kernel}, Node ${machine.node}`)}
${fact('Took', duration(run.elapsed_s * 1_000))}${fact('Load before', machine.load.toFixed(2))}
${parts.length > 0 && wide('Its limits', `an fdatasync of 4 KiB takes ${shown(probeOf(parts, 'fdatasync_ms'))} ms, a fixed piece of work is done ${shown(probeOf(parts, 'processor_per_s'))} times a second on one core: medians of what was probed before each part`)}
${wide('Once more', html`<code>${run.command}</code>`)}
${wide('Seed', html`<code>${seed}</code>`)}
</dl>
</header>`;
}

function probeOf(parts: readonly PartDocument[], name: keyof PartDocument['probes']): number {
  return medianOf(parts.map(({ probes }) => probes[name].median));
}

function sentence({ parts }: BenchDocument): string {
  const figures = parts.reduce((sum, one) => sum + one.figures.length, 0);
  const all = parts.flatMap((part) => part.figures.flatMap((one) => one.aims));
  const met = all.filter((aim) => aim.met).length;
  const proofs = parts.flatMap((part) => part.proofs);
  const sum = (of: (proof: (typeof proofs)[number]) => number) =>
    proofs.reduce((total, proof) => total + of(proof), 0);
  const bad = sum(
    ({ lost, duplicated, altered, unexpected }) => lost + duplicated + altered + unexpected,
  );
  const found =
    bad === 0 ? 'each stored once, bit for bit' : `${counted(bad, 'defect')} among them`;
  const reached = all.length === 0 ? '' : `${met} of ${counted(all.length, 'aim')} met; `;
  return `${counted(figures, 'figure')}; ${reached}${counted(
    sum(({ sent }) => sent),
    'frame',
  )} sent, ${found}.`;
}

function aims({ parts }: BenchDocument): Markup | null {
  const all = parts.flatMap((part) =>
    part.figures.flatMap((figure) => figure.aims.map((aim) => ({ part, figure, aim }))),
  );
  if (all.length === 0) return null;
  const met = all.filter(({ aim }) => aim.met);
  const missed = all.filter(({ aim }) => !aim.met);
  return html`<h2>Aims at a glance</h2>
<div class="card">${all.length <= AIMS_MAX ? aimTable([...missed, ...met]) : html`${missed.length > 0 && aimTable(missed)}<details><summary>${counted(met.length, 'aim')} met</summary>${aimTable(met)}</details>`}</div>`;
}

function aimTable(
  rows: readonly {
    readonly part: PartDocument;
    readonly figure: FigureDocument;
    readonly aim: FigureDocument['aims'][number];
  }[],
): Markup {
  return html`<table>
<thead><tr><th scope="col">Figure</th><th scope="col">Part</th><th scope="col" class="n">Aimed at</th><th scope="col" class="n">Reached</th><th scope="col">Verdict</th></tr></thead>
<tbody>
${rows.map(({ part, figure, aim }) => {
  const bound = `${aim.of} ${aim.at === 'least' ? '≥' : '≤'} ${shown(aim.value)}`;
  return html`<tr><th scope="row"><a href="#${anchor(part)}">${titleOf(figure)}</a> <span class="quiet">${figure.unit}</span></th><td data-label="Part">${part.suite} ${part.name}</td><td class="n" data-label="Aimed at">${bound}</td><td class="n" data-label="Reached">${shown(figure[aim.of])}</td><td data-label="Verdict">${badgeOf(aim.met ? MET : MISSED)}</td></tr>
`;
})}</tbody>
</table>`;
}

function partSection(part: PartDocument): Markup {
  const { suite, name, figures, error, probes, elapsed_s, load } = part;
  const { matrices, rest } = matricesOf(figures);
  const sized = sizedGroups(rest);
  const inGrowth = new Set<FigureDocument>(sized.flat());
  const units = Map.groupBy(
    rest.filter((figure) => !inGrowth.has(figure)),
    ({ unit }) => unit,
  );
  return html`<article class="card part" id="${anchor(part)}" aria-labelledby="${anchor(part)}-title">
<h3 id="${anchor(part)}-title">${suite}${suite !== name && html` <span class="quiet">${name}</span>`}</h3>
${error !== null && html`<p class="bad">No figures: ${error}</p>`}
${matrices.map((matrix) => matrixTable(matrix, `${suite} ${name}`))}
${sized.length > 0 && html`<div class="growths">${sized.map(growth)}</div>`}
${[...units].map(([unit, those]) => rows(unit, those))}
<p class="probes">Took ${duration(elapsed_s * 1_000)}. Just before: an fdatasync ${shown(probes.fdatasync_ms.median)} ms, ${shown(probes.processor_per_s.median)} pieces of work a second, a load of ${shown(load)}.</p>
${
  figures.length > 0 &&
  html`<details><summary>How each was measured</summary><dl class="methods">${methodsOf(figures).map(({ title, method }) => html`<dt>${title}</dt><dd>${method}.</dd>`)}</dl></details>
<details><summary>All numbers</summary>${numbers(figures)}</details>`
}
${proofs(part)}
</article>
`;
}

/** Figures that were measured at several sizes, each from the smallest on. */
function sizedGroups(figures: readonly FigureDocument[]): SizedFigure[][] {
  const sized = figures.filter((figure): figure is SizedFigure => figure.at !== null);
  return [...Map.groupBy(sized, ({ name, at }) => `${name} ${at.unit}`).values()]
    .filter((group) => group.length > 1)
    .map((group) => group.toSorted((a, b) => a.at.value - b.at.value));
}

function numbers(figures: readonly FigureDocument[]): Markup {
  const names = ['median', 'p25', 'p75', 'p95', 'min', 'max'] as const;
  return html`<table class="numbers">
<thead><tr><th scope="col">Figure</th><th scope="col" class="n">n</th>${names.map((name) => html`<th scope="col" class="n">${name}</th>`)}</tr></thead>
<tbody>
${figures.map(
  (figure) =>
    html`<tr><th scope="row">${titleOf(figure)} <span class="quiet">${figure.unit}</span></th><td class="n" data-label="n">${number(figure.n)}</td>${names.map((name) => html`<td class="n" data-label="${name}">${shown(figure[name])}</td>`)}</tr>
`,
)}</tbody>
</table>`;
}

function proofs({ proofs: all }: PartDocument): Markup | null {
  if (all.length === 0) return null;
  const bad = all.filter(({ held }) => !held);
  const frames = all.reduce((sum, { sent }) => sum + sent, 0);
  const word = bad.length === 0 ? 'all stored once and unaltered' : `${bad.length} did not hold`;
  return html`<details${bad.length > 0 && html` open`}><summary>Verified: ${counted(frames, 'frame')} in ${counted(all.length, 'run')}, ${word}</summary><table class="numbers">
<thead><tr><th scope="col">Run</th>${PROOF_COLUMNS.map(([title]) => html`<th scope="col" class="n">${title}</th>`)}<th scope="col">Verdict</th></tr></thead>
<tbody>
${all.map(
  (proof) =>
    html`<tr><th scope="row">${proof.of}</th>${PROOF_COLUMNS.map(([title, field]) => html`<td class="n" data-label="${title}">${number(proof[field])}</td>`)}<td data-label="Verdict">${badgeOf(proof.held ? PROVEN : NOT_HELD)}</td></tr>
`,
)}</tbody>
</table></details>`;
}

const PROVEN: Verdict = { word: 'Held', tone: 'good', shape: 'tick' };
const PROOF_COLUMNS = [
  ['Sent', 'sent'],
  ['Stored', 'stored'],
  ['Lost', 'lost'],
  ['Twice', 'duplicated'],
  ['Altered', 'altered'],
  ['Foreign', 'unexpected'],
  ['Sent again', 'resent'],
] as const;

function anchor({ suite, name }: PartDocument): string {
  return `p-${encodeURIComponent(suite)}-${encodeURIComponent(name)}`;
}

function footer(): Markup {
  return html`<footer>
<p>Made from bench.json beside this page, which has every sample. <code>./holdfast bench draw FOLDER</code> makes the page again, <code>make bench-compare</code> holds the run against the committed one. docs/performance.md says what the figures mean, and what they don't.</p>
</footer>`;
}
