/**
 * Figures of one unit side by side on one scale: a dot for each sample, the median and the 95th
 * percentile marked, what it is aimed at as a line; the numbers beside it.
 */
import { compact, number } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import { percent } from '#pages/plot.ts';
import { marks } from '#pages/strip.ts';
import type { FigureDocument } from '../document.ts';
import { titleOf } from '../figures.ts';
import { type Scale, scaleOf } from './scale.ts';
import { shown } from './words.ts';

/** More dots than these say nothing more, and make the page heavy: evenly chosen in their order. */
const DOTS_MAX = 200;

export function rows(unit: string, figures: readonly FigureDocument[]): Markup {
  const scale = scaleOf(
    figures.flatMap(({ min, max, aims }) => [min, max, ...aims.map(({ value }) => value)]),
  );
  return html`<figure class="rows"><figcaption>${unit}</figcaption>
${figures.map((figure) => row(figure, scale))}
<div class="row axis" aria-hidden="true"><span></span><svg class="scale-marks" width="100%" height="18">${scale.ticks.map(
    (tick, i) =>
      html`<text class="tick" x="${percent(scale.at(tick), 1)}" y="12" text-anchor="${i === 0 ? 'start' : i === scale.ticks.length - 1 ? 'end' : 'middle'}">${tickText(tick)}</text>`,
  )}</svg><span></span></div>
</figure>
`;
}

function row(figure: FigureDocument, scale: Scale): Markup {
  const { n, median, p25, p75, p95, min, max, samples, unit, aims } = figure;
  const title = titleOf(figure);
  const at = (value: number) => percent(scale.at(value), 1);
  const spoken = `${title}: ${n} samples, median ${shown(median)} ${unit}, from ${shown(min)} to ${shown(max)}`;
  return html`<div class="row"><p class="name">${title}</p><svg width="100%" height="26" role="img" aria-label="${spoken}">
<line class="ground" x1="0" x2="100%" y1="13" y2="13"/>${aims.map(
    ({ value, text }) =>
      html`<line class="limit" x1="${at(value)}" x2="${at(value)}" y1="0" y2="26"><title>aim: ${text}</title></line>`,
  )}${marks({ values: thinned(samples), spread: { n, min, median, p95, max }, at: (value) => scale.at(value), y: 13, text: shown })}</svg><p class="value"><strong>${shown(median)}</strong> <span class="quiet">${
    n === 1 ? 'n = 1' : `${shown(p25)} – ${shown(p75)}, n = ${number(n)}`
  }</span></p></div>
`;
}

function tickText(tick: number): string {
  return tick !== 0 && tick < 1 ? String(Number(tick.toPrecision(3))) : compact(tick);
}

function thinned(samples: readonly number[]): readonly number[] {
  if (samples.length <= DOTS_MAX) return samples;
  const step = samples.length / DOTS_MAX;
  return Array.from({ length: DOTS_MAX }, (_, i) => samples[Math.floor(i * step)] ?? 0);
}
