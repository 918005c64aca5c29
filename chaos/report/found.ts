/** What was found: the counts, the offenders of each kind, and where each was last as it should be. */

import { counted, duration, number } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import type { RepeatReport } from './document.ts';

/** All of them are in report.json. */
const INTERVAL_CHARACTERS_MAX = 1_200;
/** Of each kind, one by one. */
const TOLD_MAX = 20;

/** Kinds of docs/oracle.md, in words; the worst first. */
const KINDS: Readonly<Record<string, string>> = {
  lost: 'Lost: accepted, and not in the store',
  duplicated: 'Stored more than once',
  altered_payload: 'Stored with another payload',
  altered_captured_at: 'Stored with another capture time',
  altered_identity: 'Stored under another identity',
  altered_checksum: 'Stored with a checksum that is not its own',
  unexpected: 'Stored, and never attempted or refused',
  identity_reused: 'Two frames under one identity',
  audit_contradicted: 'Stored, and not stored by the audit',
  declared: 'Declared: given up by the collector',
  rejected: 'Rejected by the server',
  pruned: 'Pruned: past the retention of the server',
  pending: 'Still waiting at the collector',
};

const PLACES = {
  source: 'sealed wrong',
  queue: 'nothing shows that it left',
  wire: 'it had left the queue',
  server: 'it was there, or counted as stored',
} as const;

type Offender = RepeatReport['offenders'][string][number];

export function kindName(kind: string): string {
  return KINDS[kind] ?? kind;
}

/** `last seen at server (3 frames), wire (1 frame)`; nothing of none. */
export function lastSeen(list: readonly Offender[]): string {
  if (list.length === 0) return '';
  const places = Object.keys(PLACES)
    .map((place) => [place, list.filter(({ last_seen }) => last_seen === place).length] as const)
    .filter(([, count]) => count > 0)
    .map(([place, count]) => `${place} (${counted(count, 'frame')})`);
  return `${list.length >= TOLD_MAX ? `the first ${TOLD_MAX} ` : ''}last seen at ${places.join(', ')}`;
}

/** How sources fared that no fault was aimed at. */
export function bystanderFigures({ bystander_lag: lag, limits }: RepeatReport): Markup | null {
  if (lag === null) return null;
  const most = limits.bystander_lag_ms_p99_max;
  const entry = (name: string, value: string, wrong = false) =>
    html`<div><dt>${name}</dt><dd${wrong && html` class="bad"`}>${value}</dd></div>`;
  return html`<h4>The bystander</h4>
<p class="quiet">From capture to storage, of the source that no fault was aimed at.</p>
<dl class="counts">${entry('stored', number(lag.frames))}${entry('half within', duration(lag.p50_ms))}${entry('99 of 100 within', duration(lag.p99_ms), most !== null && lag.p99_ms > most)}${most !== null && entry('asked for', duration(most))}${entry('all within', duration(lag.max_ms))}</dl>`;
}

export function findings({ counts, offenders, intervals }: RepeatReport): Markup | null {
  if (counts === null) return null;
  return html`<h4>What was found</h4>
${countList(counts)}
${Object.keys(offenders)
  .toSorted((a, b) => rank(a) - rank(b))
  .map((kind) => offenderSection(kind, offenders[kind] ?? [], intervals[kind] ?? ''))}`;
}

function rank(kind: string): number {
  const at = Object.keys(KINDS).indexOf(kind);
  return at < 0 ? Infinity : at;
}

function countList(counts: NonNullable<RepeatReport['counts']>): Markup {
  const { altered, acked, ...rest } = counts;
  const alterations = Object.values(altered).reduce((sum, one) => sum + one, 0);
  const all: [name: string, value: number | null, wrong: boolean][] = [
    ['accepted', rest.accepted, false],
    ['acked', acked, false],
    ['stored', rest.stored, false],
    ['lost', rest.lost, rest.lost > 0],
    ['duplicated', rest.duplicated, rest.duplicated > 0],
    ['altered', alterations, alterations > 0],
    ['unexpected', rest.unexpected, rest.unexpected > 0],
  ];
  const more = (
    [
      ['declared', rest.declared],
      ['rejected', rest.rejected],
      ['pruned', rest.pruned],
      ['pending', rest.pending],
      ['refused', rest.refused],
      ['indeterminate', rest.indeterminate],
      ['recovered', rest.recovered],
      ['skipped', rest.skipped],
      ['rows not judged', rest.unjudged_rows],
    ] as const
  ).filter(([, value]) => value > 0);
  const entry = (name: string, value: number | null, wrong: boolean) =>
    html`<div><dt>${name}</dt><dd${wrong && html` class="bad"`}>${value === null ? 'unknown' : number(value)}</dd></div>`;
  return html`<dl class="counts">${all.map(([name, value, wrong]) => entry(name, value, wrong))}${more.map(([name, value]) => entry(name, value, false))}</dl>`;
}

function offenderSection(kind: string, list: readonly Offender[], all: string): Markup {
  const cut = all.length > INTERVAL_CHARACTERS_MAX;
  const set = cut ? `${all.slice(0, INTERVAL_CHARACTERS_MAX)} …` : all;
  return html`<h4>${kindName(kind)}</h4>
<p class="quiet">Their numbers in the ledger: <code>${set}</code>${cut && ' All of them are in report.json.'}</p>
${places(list)}
<table class="offenders">
${list.length >= TOLD_MAX && html`<caption>The first ${TOLD_MAX} of them.</caption>`}
<thead><tr><th scope="col" class="n">Number</th><th scope="col">Captured at</th><th scope="col" class="n">Bytes</th><th scope="col">Identity</th><th scope="col">What was wrong</th><th scope="col" class="at">Last seen at</th></tr></thead>
<tbody>${list.map(({ n, collector, epoch, seq, captured_at, bytes, detail, last_seen }) => {
    const identity = epoch === null ? collector : `${collector} ${epoch}/${seq}`;
    return html`<tr><td class="n" data-label="Number">${n === null ? 'none' : number(n)}</td><td class="at" data-label="Captured at">${captured_at}</td><td class="n" data-label="Bytes">${number(bytes)}</td><td class="text"><code>${identity}</code></td><td class="text">${detail}</td><td class="at" data-label="Last seen at"><strong>${last_seen}</strong></td></tr>
`;
  })}</tbody>
</table>`;
}

/** The way of a frame, and how many of these were last right where. */
function places(list: readonly Offender[]): Markup {
  return html`<ol class="places" aria-label="Where they were last seen as they should be">${Object.entries(
    PLACES,
  ).map(([place, meaning]) => {
    const here = list.filter(({ last_seen }) => last_seen === place).length;
    return html`<li${here > 0 && html` class="here"`}><strong>${place}</strong>${here > 0 ? `${counted(here, 'frame')}: ${meaning}` : 'none'}</li>`;
  })}</ol>`;
}
