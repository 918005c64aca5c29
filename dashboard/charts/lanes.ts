/**
 * Lanes over the charts, on the same time: the link's faults, the producer's state, frames that are
 * not there and why, frames that came late. On one canvas; words where there is room for them.
 */
import { h, setAttribute } from '../dom.ts';
import type { Window } from '../range.ts';
import { faint, hatch, type Palette } from './palette.ts';
import { type Span, spanAt } from './spans.ts';

export interface Lane {
  readonly name: string;
  readonly spans: readonly Span[];
  /** What it means that there is nothing. */
  readonly empty: string;
}

const LANE_HEIGHT = 18;
const LANE_STEP = 24;
/** A stretch that is hardly wider than the pointer can still be pointed at. */
const REACH_PIXELS = 3;

export class Lanes {
  readonly element: HTMLElement;
  readonly #palette: () => Palette;
  readonly #names = h('div', { class: 'names', 'aria-hidden': 'true' });
  readonly #canvas = h('canvas', { role: 'img' });
  #lanes: readonly Lane[] = [];
  #named = '';
  #window: Window = { from: 0, to: 1 };
  #width = 0;

  constructor(palette: () => Palette) {
    this.#palette = palette;
    this.element = h('div', { class: 'lanes' }, this.#names, this.#canvas);
  }

  /** `width`: of the plots, without what is beside them. */
  update(lanes: readonly Lane[], window: Window, width: number): void {
    this.#lanes = lanes;
    this.#window = window;
    this.#width = width;
    const named = JSON.stringify(lanes.map(({ name }) => name));
    if (named !== this.#named) {
      this.#named = named;
      this.#names.replaceChildren(...lanes.map(({ name }) => h('span', {}, name)));
    }
    setAttribute(this.#canvas, 'aria-label', lanes.map(laneText).join(' '));
    this.#draw(window, width, lanes.length * LANE_STEP);
  }

  /** What the lanes say of a moment. */
  at(time: number): string[] {
    const { from, to } = this.#window;
    const reach = ((to - from) / Math.max(1, this.#width)) * REACH_PIXELS;
    return this.#lanes.flatMap(({ name, spans }) => {
      const span = spanAt(spans, time, reach);
      return span === undefined ? [] : [`${name.toLowerCase()}: ${span.long ?? span.text}`];
    });
  }

  #draw({ from, to }: Window, width: number, height: number): void {
    const ratio = devicePixelRatio;
    const canvas = this.#canvas;
    const [pixelsWide, pixelsHigh] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== pixelsWide || canvas.height !== pixelsHigh) {
      canvas.width = pixelsWide;
      canvas.height = pixelsHigh;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext('2d');
    if (pen === null) return;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, pixelsWide, pixelsHigh);
    pen.scale(ratio, ratio);
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = 'middle';
    const place = (time: number) => ((time - from) / (to - from)) * width;
    for (const [i, { spans }] of this.#lanes.entries()) {
      const top = i * LANE_STEP + (LANE_STEP - LANE_HEIGHT) / 2;
      pen.fillStyle = faint(this.#palette().ink, 0.04);
      pen.fillRect(0, top, width, LANE_HEIGHT);
      for (const span of spans) {
        const left = Math.max(0, place(span.from));
        const right = Math.min(width, Math.max(place(span.to), place(span.from) + 2));
        if (right > 0 && left < width) this.#drawSpan(pen, span, left, right - left, top, ratio);
      }
    }
  }

  #drawSpan(
    pen: CanvasRenderingContext2D,
    { kind, text }: Span,
    left: number,
    width: number,
    top: number,
    ratio: number,
  ): void {
    const palette = this.#palette();
    const [fill, ink] = looksOf(kind, palette);
    pen.fillStyle = fill;
    pen.fillRect(left, top, width, LANE_HEIGHT);
    if (kind === 'gap' || kind === 'waiting') {
      // The hatch is in device pixels.
      pen.save();
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.fillStyle = hatch(pen, faint(ink, 0.4), ratio);
      pen.fillRect(left * ratio, top * ratio, width * ratio, LANE_HEIGHT * ratio);
      pen.restore();
    }
    if (kind === 'idle') {
      pen.strokeStyle = faint(palette.ink, 0.35);
      pen.setLineDash([2, 3]);
      pen.strokeRect(left + 0.5, top + 0.5, Math.max(1, width - 1), LANE_HEIGHT - 1);
    }
    const textWidth = pen.measureText(text).width;
    if (textWidth + 12 > width) return;
    if (kind === 'gap' || kind === 'waiting') {
      pen.fillStyle = palette.ground;
      pen.fillRect(left + 3, top + 2, textWidth + 6, LANE_HEIGHT - 4);
    }
    pen.fillStyle = ink;
    pen.fillText(text, left + 6, top + LANE_HEIGHT / 2 + 0.5);
  }
}

function looksOf(kind: Span['kind'], palette: Palette): [fill: string, ink: string] {
  switch (kind) {
    case 'bad':
      return [faint(palette.bad, 0.2), palette.bad];
    case 'warn':
      return [faint(palette.warn, 0.2), palette.warn];
    case 'late':
      return [faint(palette.accent, 0.25), palette.accent];
    case 'waiting':
      return [faint(palette.accent, 0.06), palette.accent];
    case 'gap':
      return [faint(palette.ink, 0.06), palette.ink];
    case 'idle':
      return ['transparent', palette.quiet];
    case 'plain':
      return [faint(palette.ink, 0.07), palette.quiet];
  }
}

function laneText({ name, spans, empty }: Lane): string {
  if (spans.length === 0) return `${name}: ${empty}.`;
  const last = spans.at(-1);
  return `${name}: ${spans.length === 1 ? '' : `${spans.length} stretches, the last: `}${last?.text}.`;
}
