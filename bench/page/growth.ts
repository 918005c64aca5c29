/**
 * How a figure grows with the size of what it is measured on: a line through the medians, a dot for
 * each sample. Sizes stand by powers of ten where they lie far apart.
 */
import { compact } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import { percent, scaleTick } from '#pages/plot.ts';
import type { FigureDocument } from '../document.ts';
import { linear, scaleOf } from './scale.ts';
import { shown } from './words.ts';

const TOP = 8;
const HEIGHT = 120;
const AXIS = 22;
/** Room at both sides, in parts of the width, so that no dot lies over the edge. */
const MARGIN = 0.04;

export type SizedFigure = FigureDocument & { readonly at: NonNullable<FigureDocument['at']> };

/** `figures`: one figure at its sizes, the smallest first. */
export function growth(figures: readonly SizedFigure[]): Markup {
  const [first] = figures;
  const sizes = figures.map(({ at }) => at.value);
  const across = scaleOf(sizes);
  const [least, most] = [across.at(Math.min(...sizes)), across.at(Math.max(...sizes))];
  // The sizes that there are take all of the width.
  const x = (value: number) =>
    MARGIN + ((across.at(value) - least) / (most - least || 1)) * (1 - 2 * MARGIN);
  const up = linear(Math.max(...figures.map(({ max }) => max)));
  const y = (value: number) => Math.round((TOP + HEIGHT * (1 - up.at(value))) * 10) / 10;
  const path = figures
    .map(({ at, median }, i) => `${i === 0 ? 'M' : 'L'}${100 * x(at.value)} ${y(median)}`)
    .join('');
  const floor = TOP + HEIGHT;
  const spoken = figures
    .map(({ at, median }) => `${shown(median)} at ${at.value.toLocaleString('en-US')}`)
    .join(', ');
  return html`<figure class="growth"><figcaption><strong>${first?.name}</strong> <span class="quiet">${first?.unit}, by ${first?.at.unit}</span></figcaption>
<svg class="picture" width="100%" height="${floor + AXIS}" role="img" aria-label="${first?.name}: ${spoken}">
${up.ticks.map((tick) => html`<line class="grid" x1="0" x2="100%" y1="${y(tick)}" y2="${y(tick)}"/>${scaleTick(shown(tick), y(tick) + 4)}`)}
<svg x="0" y="0" width="100%" height="${floor}" viewBox="0 0 100 ${floor}" preserveAspectRatio="none"><path class="line" d="${path}"/></svg>
${figures.map(({ at, samples, median, unit }) => {
  const cx = percent(x(at.value), 1);
  return html`${samples.map((value) => html`<circle class="dot" cx="${cx}" cy="${y(value)}" r="4"><title>${shown(value)} ${unit}</title></circle>`)}<text class="tick" x="${cx}" y="${floor + 15}" text-anchor="middle">${compact(at.value)}</text><text class="tick of-median" x="${cx}" y="${y(median) - 9}" text-anchor="middle">${shown(median)}</text>`;
})}
</svg></figure>
`;
}
