/**
 * What is drawn behind lines: stretches of time in which frames are not there, or the link was at
 * fault. Lanes and charts draw it alike, so that a fault can be followed down the page.
 */
import { faint, hatch, type Palette } from './palette.ts';
import type { Span } from './spans.ts';

export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const FAULT_PIXELS = 3;

/** `place`: from a time to pixels of the canvas. */
export function drawBackdrop(
  context: CanvasRenderingContext2D,
  spans: readonly Span[],
  area: Area,
  place: (time: number) => number,
  palette: Palette,
): void {
  const ratio = devicePixelRatio;
  context.save();
  context.beginPath();
  context.rect(area.left, area.top, area.width, area.height);
  context.clip();
  for (const { from, to, kind } of spans) {
    const left = Math.round(place(from));
    const width = Math.max(ratio, Math.round(place(to)) - left);
    if (left > area.left + area.width || left + width < area.left) continue;
    context.fillStyle = fillOf(context, kind, palette, ratio);
    // Faults are told at the foot: what there is of the data is the matter of a chart.
    const isFault = kind === 'bad' || kind === 'warn';
    const top = isFault ? area.top + area.height - FAULT_PIXELS * ratio : area.top;
    context.fillRect(left, top, width, area.top + area.height - top);
  }
  context.restore();
}

function fillOf(
  context: CanvasRenderingContext2D,
  kind: Span['kind'],
  palette: Palette,
  ratio: number,
): string | CanvasPattern {
  switch (kind) {
    case 'gap':
      return hatch(context, faint(palette.ink, 0.3), ratio);
    case 'waiting':
      return hatch(context, faint(palette.accent, 0.4), ratio);
    case 'bad':
      return palette.bad;
    case 'warn':
      return palette.warn;
    default:
      return faint(palette.accent, 0.1);
  }
}
