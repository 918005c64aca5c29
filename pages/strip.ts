/**
 * How a figure is spread: one dot for each value, with the median and the 95th percentile marked,
 * and a limit where there is one; the numbers below it.
 */
import type { Spread } from './figures.ts';
import { html, type Markup } from './html.ts';
import { percent } from './plot.ts';

export interface Strip {
  readonly name: string;
  /** Behind the name. */
  readonly about: string;
  /** For those who can't see it: what these values are, without the numbers. */
  readonly label: string;
  readonly values: readonly number[];
  /** Of these values. */
  readonly spread: Spread;
  /** What they are held to, and in a word what it is. */
  readonly limit: { readonly value: number; readonly word: string } | null;
  /** A value as people read it. */
  readonly text: (value: number) => string;
  /** Where the scale ends at least; just past the largest value when left out. */
  readonly reach?: number;
}

export function strip({ name, about, label, values, spread, limit, text, reach }: Strip): Markup {
  const { n, min, median, p95, max } = spread;
  const whole = Math.max(max, limit?.value ?? 0, reach ?? 0) * 1.04;
  const at = (value: number) => percent(value, whole);
  const spoken = `${label}, ${n} times: at least ${text(min)}, median ${text(median)}, 95th percentile ${text(p95)}, at most ${text(max)}`;
  // The word stands where there is room for it.
  const [dx, anchor] = limit !== null && limit.value < whole / 3 ? [4, 'start'] : [-4, 'end'];
  return html`<div class="strip">
<p><strong>${name}</strong> <span class="quiet">${about}</span></p>
<svg width="100%" height="30" role="img" aria-label="${spoken}">
<line class="ground" x1="0" x2="100%" y1="20" y2="20"/>
${limit !== null && html`<line class="limit" x1="${at(limit.value)}" x2="${at(limit.value)}" y1="6" y2="30"/><text class="tick" x="${at(limit.value)}" dx="${dx}" y="9" text-anchor="${anchor}">${limit.word}</text>`}
${marks({ values, spread, at: (value) => value / whole, y: 20, text })}
</svg>
<dl class="spread"><div><dt>min</dt><dd>${text(min)}</dd></div><div><dt>median</dt><dd>${text(median)}</dd></div><div><dt>p95</dt><dd>${text(p95)}</dd></div><div><dt>max</dt><dd>${text(max)}</dd></div>${
    limit !== null && html`<div><dt>${limit.word}</dt><dd>${text(limit.value)}</dd></div>`
  }</dl>
</div>`;
}

export interface Marks {
  readonly values: readonly number[];
  readonly spread: Spread;
  /** Where a value lies, 0 to 1. */
  readonly at: (value: number) => number;
  /** Of the line that the dots stand on. */
  readonly y: number;
  readonly text: (value: number) => string;
}

/** The dots, how far they reach, their median and their 95th percentile. */
export function marks({ values, spread: { min, median, p95, max }, at, y, text }: Marks): Markup {
  const x = (value: number) => percent(at(value), 1);
  return html`<rect class="reach" x="${x(min)}" width="${percent(at(max) - at(min), 1)}" y="${y - 2}" height="4"/>
${values.map((value) => html`<circle class="dot" cx="${x(value)}" cy="${y}" r="4"><title>${text(value)}</title></circle>`)}
<line class="median" x1="${x(median)}" x2="${x(median)}" y1="${y - 9}" y2="${y + 9}"/>
<line class="p95" x1="${x(p95)}" x2="${x(p95)}" y1="${y - 7}" y2="${y + 7}"/>`;
}
