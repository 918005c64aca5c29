/** A verdict in a word, a colour and a shape, so that none is told by its colour alone. */
import { html, type Markup } from './html.ts';

const SHAPES = {
  tick: 'M3 8.5L6.5 12L13 4.5',
  cross: 'M4 4L12 12M12 4L4 12',
  question: 'M5 6A3 3 0 1 1 8 9V10M8 13V13',
  pause: 'M6 4V12M10 4V12',
  dash: 'M4 8H12',
} as const;

/** A class of base.css. */
type Tone = 'good' | 'bad' | 'warn' | 'quiet';

export interface Verdict {
  readonly word: string;
  readonly tone: Tone;
  readonly shape: keyof typeof SHAPES;
}

/** `name` is its class. */
export function shapeOf({ shape }: Verdict, name: string): Markup {
  return html`<svg class="${name}" viewBox="0 0 16 16" aria-hidden="true"><path d="${SHAPES[shape]}"/></svg>`;
}

export function badgeOf(verdict: Verdict): Markup {
  return html`<span class="badge ${verdict.tone}">${shapeOf(verdict, '')}${verdict.word}</span>`;
}
