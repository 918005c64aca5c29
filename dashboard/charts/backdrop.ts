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
    context.fillRect(left, area.top, width, area.height);
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
      return faint(palette.bad, 0.08);
    case 'warn':
      return faint(palette.warn, 0.08);
    default:
      return faint(palette.accent, 0.1);
  }
}
