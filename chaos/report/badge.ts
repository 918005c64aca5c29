/** Outcomes in a word, a colour and a shape, so that none is told by its colour alone. */

import { html, type Markup } from '#pages/html.ts';
import type { Outcome } from './document.ts';

export const WORDS: Readonly<Record<Outcome, { readonly word: string; readonly tone: string }>> = {
  pass: { word: 'Held', tone: 'good' },
  fail: { word: 'Did not hold', tone: 'bad' },
  inconclusive: { word: 'Inconclusive', tone: 'warn' },
  interrupted: { word: 'Interrupted', tone: 'warn' },
  not_run: { word: 'Not run', tone: 'quiet' },
};

const SHAPES: Readonly<Record<Outcome, string>> = {
  pass: 'M3 8.5L6.5 12L13 4.5',
  fail: 'M4 4L12 12M12 4L4 12',
  inconclusive: 'M5 6A3 3 0 1 1 8 9V10M8 13V13',
  interrupted: 'M6 4V12M10 4V12',
  not_run: 'M4 8H12',
};

export function shape(outcome: Outcome, name: string): Markup {
  return html`<svg class="${name}" viewBox="0 0 16 16" aria-hidden="true"><path d="${SHAPES[outcome]}"/></svg>`;
}

export function badge(outcome: Outcome): Markup {
  const { word, tone } = WORDS[outcome];
  return html`<span class="badge ${tone}">${shape(outcome, '')}${word}</span>`;
}

/** Of a scenario's section. */
export function anchor(name: string): string {
  return `s-${encodeURIComponent(name)}`;
}
