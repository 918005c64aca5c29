/**
 * What the programs took over a long run: resident memory, open files and disk, a line each, with
 * their restarts marked, and what was judged of their growth.
 */

import { bytes, counted, duration, number } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import { linear, maxOf, percent, plot, roundMax, scaleTick, ticksOf } from '#pages/plot.ts';
import type { UsageSample } from '../run/records.ts';
import type { GrowthLine } from './document.ts';

const MEASURES = [
  { measure: 'resident_bytes', what: 'memory', name: 'Resident memory', text: bytes },
  { measure: 'open_files', what: 'files', name: 'Open files', text: number },
  { measure: 'disk_bytes', what: 'disk', name: 'Disk', text: bytes },
] as const;

/** What is not judged says so itself. */
const GROWTH_WORDS = { steady: 'Steady: ', grows: 'Grows: ', not_judged: '' } as const;

const HEIGHT = 56;
const TOP = 6;

export function usageSection(
  samples: readonly UsageSample[],
  growth: readonly GrowthLine[],
  pointsMax: number,
): Markup | null {
  if (samples.length < 2) return null;
  const start = samples.reduce((least, { at }) => Math.min(least, at.monotonic_ms), Infinity);
  const end = samples.reduce((most, { at }) => Math.max(most, at.monotonic_ms), -Infinity);
  const services = [...new Set(samples.map(({ service }) => service))];
  const span = Math.max(1, end - start);
  return html`<h4>What the programs took</h4>
<p class="quiet">Over ${duration(span)}; a dashed line is a new start of the program.</p>
${services.map((service) => {
  const own = samples.filter((one) => one.service === service);
  return html`<section class="usage"><h5>${service}</h5><div class="usage-lines">${MEASURES.map(
    ({ measure, what, name, text }) => {
      const judged = growth.find((one) => one.service === service && one.what === what);
      return usageLine({ own, start, span, pointsMax, measure, name, text, judged });
    },
  )}</div></section>`;
})}`;
}

interface UsageLine {
  readonly own: readonly UsageSample[];
  readonly start: number;
  readonly span: number;
  readonly pointsMax: number;
  readonly measure: (typeof MEASURES)[number]['measure'];
  readonly name: string;
  readonly text: (value: number) => string;
  readonly judged: GrowthLine | undefined;
}

function usageLine(usage: UsageLine): Markup | null {
  const { own, start, span, pointsMax, measure, name, text, judged } = usage;
  const points = Math.max(1, Math.min(pointsMax, own.length));
  const values: (number | null)[] = Array(points).fill(null);
  for (const sample of own) {
    const at = Math.min(points - 1, Math.floor(((sample.at.monotonic_ms - start) / span) * points));
    values[at] = Math.max(values[at] ?? 0, sample[measure]);
  }
  const max = maxOf(values);
  if (max === 0) return null;
  const restarts = own.filter((one, index) => {
    const before = own[index - 1];
    return before !== undefined && before.generation !== one.generation;
  });
  const last = own.at(-1)?.[measure] ?? 0;
  const label = `${name}: at most ${text(max)}, ${text(last)} at the end, ${counted(restarts.length, 'restart')}`;
  const floor = TOP + HEIGHT;
  const top = roundMax(max);
  return html`<figure class="usage-line"><figcaption><strong>${name}</strong> <span class="quiet">at most ${text(max)}, at the end ${text(last)}</span></figcaption>
<svg class="picture" width="100%" height="${floor + 20}" role="img" aria-label="${label}">
${restarts.map(({ at }) => {
  const x = percent(at.monotonic_ms - start, span);
  return html`<line class="exit-line" x1="${x}" x2="${x}" y1="${TOP}" y2="${floor}"/>`;
})}<line class="ground" x1="0" x2="100%" y1="${floor}" y2="${floor}"/>${plot({ values: bridged(values), scale: linear(top), top: TOP, height: HEIGHT, area: true })}${scaleTick(text(top), TOP + 9)}${scaleTick('0', floor)}
${ticksOf(span)
  .filter((_, index) => index % 2 === 0)
  .map(({ at_ms, text: tick }) => {
    const part = at_ms / span;
    const anchor = part > 0.94 ? 'end' : 'middle';
    return html`<text class="tick" x="${percent(at_ms, span)}" y="${floor + 15}" text-anchor="${anchor}">${tick}</text>`;
  })}
</svg>${judged !== undefined && html`<p class="${judged.verdict === 'grows' && judged.ours ? 'bad' : 'quiet'}">${GROWTH_WORDS[judged.verdict]}${withoutName(judged.text)}</p>`}</figure>`;
}

/** It stands under the name of the program, and of what is told. */
function withoutName(text: string): string {
  return text.replace(/^[^:]+: /, '');
}

/** Single buckets without a sample are the raster's doing, not the program's. */
function bridged(values: readonly (number | null)[]): (number | null)[] {
  return values.map((value, index) => {
    const before = values[index - 1] ?? null;
    const after = values[index + 1] ?? null;
    return value ?? (before !== null && after !== null ? (before + after) / 2 : null);
  });
}
