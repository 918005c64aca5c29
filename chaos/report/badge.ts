/** Outcomes as people are told of them. */
import { badgeOf, shapeOf, type Verdict } from '#pages/badge.ts';
import type { Markup } from '#pages/html.ts';
import type { Outcome } from './document.ts';

export const WORDS: Readonly<Record<Outcome, Verdict>> = {
  pass: { word: 'Held', tone: 'good', shape: 'tick' },
  fail: { word: 'Did not hold', tone: 'bad', shape: 'cross' },
  inconclusive: { word: 'Inconclusive', tone: 'warn', shape: 'question' },
  interrupted: { word: 'Interrupted', tone: 'warn', shape: 'pause' },
  not_run: { word: 'Not run', tone: 'quiet', shape: 'dash' },
};

export function shape(outcome: Outcome, name: string): Markup {
  return shapeOf(WORDS[outcome], name);
}

export function badge(outcome: Outcome): Markup {
  return badgeOf(WORDS[outcome]);
}

/** Of a scenario's section. */
export function anchor(name: string): string {
  return `s-${encodeURIComponent(name)}`;
}
