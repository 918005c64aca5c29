/**
 * Lines as SVG that fits any width: a path stands in a view of its own, stretched to 100 %, with
 * strokes that don't stretch along. Whatever else a picture has is placed in percent.
 */
import { html, type Markup } from './html.ts';

/** A value for each bucket; null where there is none. */
export type Line = readonly (number | null)[];

/** Height of the stretched view; y counts down from it. */
const UNITS = 100;

export interface Plot {
  readonly values: Line;
  /** 0 to 1 of the height. */
  readonly scale: (value: number) => number;
  readonly top: number;
  readonly height: number;
  /** Filled to the ground. */
  readonly area: boolean;
  /** For its looks, beside those of any line. */
  readonly name?: string;
}

export function plot({ values, scale, top, height, area, name }: Plot): Markup {
  const runs = runsOf(values);
  const y = (value: number) => {
    return round(UNITS * (1 - Math.min(1, Math.max(0, scale(value)))));
  };
  const lines = runs.map(({ from, values: run }) =>
    // One point alone is a dot, by its round cap.
    run.length === 1
      ? `M${from + 0.5} ${y(run[0] ?? 0)}h0`
      : run
          .map((value, index) => `${index === 0 ? 'M' : 'L'}${from + index + 0.5} ${y(value)}`)
          .join(''),
  );
  const areas = runs.map(({ from, values: run }) => {
    const top = run.map((value, index) => `L${from + index + 0.5} ${y(value)}`).join('');
    return `M${from + 0.5} ${UNITS}${top}L${from + run.length - 0.5} ${UNITS}Z`;
  });
  return html`<svg x="0" y="${top}" width="100%" height="${height}" viewBox="0 0 ${values.length} ${UNITS}" preserveAspectRatio="none" class="plot">${
    area && html`<path class="area" d="${areas.join('')}"/>`
  }<path class="line${name && ` ${name}`}" d="${lines.join('')}"/></svg>`;
}

/** Unbroken runs of values. */
function runsOf(values: Line): { from: number; values: number[] }[] {
  const runs: { from: number; values: number[] }[] = [];
  let open = false;
  for (const [index, value] of values.entries()) {
    if (value === null) {
      open = false;
      continue;
    }
    if (open) runs.at(-1)?.values.push(value);
    else runs.push({ from: index, values: [value] });
    open = true;
  }
  return runs;
}

/** A mark of a scale, in the gutter left of all data. */
export function scaleTick(text: string, y: number): Markup {
  return html`<text class="tick scale" x="-6" y="${round(y)}">${text}</text>`;
}

const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** The top of a scale that reaches `max`: a round number, and not much more. */
export function roundMax(max: number): number {
  if (max <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(max));
  const top = ROUND.find((one) => one * power >= max) ?? 10;
  return Math.max(1, Math.round(top * power * 10) / 10);
}

/** A linear scale from 0 to `max`. */
export function linear(max: number): (value: number) => number {
  return (value) => (max > 0 ? value / max : 0);
}

/** A logarithmic one from 1 to `max`. */
export function logarithmic(max: number): (value: number) => number {
  const top = Math.log10(Math.max(max, 10));
  return (value) => (value <= 1 ? 0 : Math.log10(value) / top);
}

export function maxOf(values: Line): number {
  return values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
}

const STEPS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];

/** Marks of a time axis, at most eleven: in seconds, or in minutes where it is long. */
export function ticksOf(durationMs: number): { at_ms: number; text: string }[] {
  const step = STEPS_S.find((one) => durationMs / 1_000 / one <= 10) ?? 86_400;
  const inMinutes = step >= 60;
  const count = Math.floor(durationMs / 1_000 / step);
  return Array.from({ length: count + 1 }, (_, index) => {
    const s = index * step;
    const value = inMinutes ? s / 60 : s;
    return { at_ms: s * 1_000, text: index === 0 ? `0 ${inMinutes ? 'min' : 's'}` : String(value) };
  });
}

export function percent(part: number, whole: number): string {
  return `${round((100 * part) / whole)}%`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
