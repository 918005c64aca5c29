/**
 * One chart over capture time: its name, the values under the cursor, and the lines, which uPlot
 * draws. What arrived late is drawn over once more in the accent colour, so that a gap is seen to
 * fill in. Cursor, selection and the time axis are the group's.
 */
import uPlot from 'uplot';
import { h, setAttribute, setText } from '../dom.ts';
import { type Line, lateOf, nearest, newest, tableOf } from '../lines.ts';
import type { Window } from '../range.ts';
import { axisMarks, clockText } from '../time.ts';
import { axisTexts, NO_VALUE, valueText } from '../units.ts';
import { drawBackdrop } from './backdrop.ts';
import { faint, type Palette } from './palette.ts';
import type { Span } from './spans.ts';
import type { ChartSpec } from './specs.ts';

/** Pixels beside the plots: as in the style sheet, where axis and lanes have the same. */
export const GUTTER = 64;
const HEIGHT = 92;
/** Room for a mark and its text. */
export const MARK_PIXELS = 96;

/** A line at the limit is seen whole. */
const HEADROOM = 1.03;

const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);
/** Round in the unit that the axis comes to have. */
const SECOND_STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((milliseconds) => milliseconds / 1_000),
  ...[1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800],
  ...[1, 2, 6, 12, 24, 48, 120, 240].map((hours) => hours * 3_600),
];

const LOOKS = [
  { color: 'ink', width: 1.5, dash: [] },
  { color: 'ink-2', width: 1.25, dash: [] },
  { color: 'ink-3', width: 1.25, dash: [4, 3] },
  { color: 'ink-3', width: 1.25, dash: [1, 3] },
] as const satisfies readonly { color: keyof Palette; width: number; dash: readonly number[] }[];

export interface ChartContent {
  readonly lines: readonly Line[];
  readonly limit: number | undefined;
  /** What to say where there are no lines. */
  readonly empty: string;
  readonly spans: readonly Span[];
  readonly window: Window;
  /** Until when values can be expected to be here. */
  readonly until: number;
}

export class Chart {
  readonly element: HTMLElement;
  readonly spec: ChartSpec;
  readonly #palette: () => Palette;
  readonly #readings = h('dl', { class: 'readings' });
  readonly #plot = h('div', { class: 'plot', role: 'img' });
  readonly #empty = h('p', { class: 'none', hidden: true });
  #values: HTMLElement[] = [];
  #uplot: uPlot | undefined;
  #labels = '';
  #content: ChartContent = {
    lines: [],
    limit: undefined,
    empty: '',
    spans: [],
    window: { from: 0, to: 1 },
    until: 1,
  };

  constructor(spec: ChartSpec, palette: () => Palette) {
    this.spec = spec;
    this.#palette = palette;
    this.element = h(
      'section',
      { class: 'chart' },
      h('header', {}, h('h3', {}, spec.title), this.#readings),
      h('div', { class: 'frame' }, this.#plot, this.#empty),
    );
  }

  /** `cursor`: the time that is pointed at; the newest values are shown without one, unless they are old. */
  update(content: ChartContent, width: number, cursor: number | undefined): void {
    const isNews = content.lines !== this.#content.lines;
    this.#content = content;
    const { lines, window, empty } = content;
    setText(this.#empty, lines.length > 0 ? '' : empty);
    this.#empty.hidden = lines.length > 0;
    const labels = JSON.stringify(lines.map(({ label }) => label));
    if (labels !== this.#labels || this.#uplot === undefined) this.#build(labels, width);
    else if (isNews) this.#uplot.setData(this.#table(), false);
    if (this.#uplot?.width !== width) this.#uplot?.setSize({ width, height: HEIGHT });
    this.#uplot?.setScale('x', { min: window.from, max: window.to });
    if (isNews) this.#describe();
    this.setCursor(cursor);
  }

  setCursor(cursor: number | undefined): void {
    const { lines, until } = this.#content;
    for (const [i, line] of lines.entries()) {
      const place = cursor === undefined ? newest(line, until) : nearest(line, cursor);
      const value = place === undefined ? undefined : line.value[place];
      const element = this.#values[i];
      if (element === undefined) continue;
      setText(element, valueText(value, this.spec.unit));
      element.classList.toggle('late', place !== undefined && line.late[place] === true);
    }
  }

  remove(): void {
    this.#uplot?.destroy();
    this.element.remove();
  }

  #build(labels: string, width: number): void {
    this.#labels = labels;
    this.#uplot?.destroy();
    const { lines } = this.#content;
    this.#values = lines.map(() => h('dd', {}, NO_VALUE));
    this.#readings.replaceChildren(
      ...lines.map(({ label }, i) =>
        h('div', { class: `look-${i}` }, h('dt', {}, label), this.#values[i] ?? ''),
      ),
    );
    this.#uplot = new uPlot(this.#options(width), this.#table(), this.#plot);
    // It is for the eye, and the plot has its words.
    setAttribute(this.#uplot.root, 'aria-hidden', 'true');
  }

  #options(width: number): uPlot.Options {
    const palette = this.#palette;
    const { lines } = this.#content;
    const hidden: uPlot.Series = { stroke: 'transparent', width: 0, points: { show: false } };
    return {
      width,
      height: HEIGHT,
      ms: 1,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 1, 6, 0],
      scales: {
        x: { range: () => [this.#content.window.from, this.#content.window.to] },
        y: { range: (_, min, max) => this.#extent(min, max) },
      },
      series: [
        {},
        ...(lines.length > 0 ? [hidden, hidden] : []),
        ...lines.map((_, i): uPlot.Series => {
          const { color, width: pixels, dash } = LOOKS[i] ?? LOOKS[0];
          return {
            stroke: () => palette()[color],
            width: pixels,
            dash: [...dash],
            points: { show: false },
          };
        }),
        ...lines.slice(0, 1).map(
          (): uPlot.Series => ({
            stroke: () => palette()['accent-line'],
            width: 2.5,
            points: { show: false },
          }),
        ),
      ],
      bands: lines.length > 0 ? [{ series: [2, 1], fill: () => faint(palette().ink, 0.12) }] : [],
      axes: [this.#timeAxis(), this.#valueAxis()],
      hooks: { drawClear: [(u) => this.#drawBackdrop(u)] },
    };
  }

  #timeAxis(): uPlot.Axis {
    return {
      size: 0,
      gap: 0,
      splits: (u, _axis, from, to) =>
        axisMarks(from, to, Math.max(1, u.bbox.width / devicePixelRatio / MARK_PIXELS)).map(
          ({ at }) => at,
        ),
      values: (_, splits) => splits.map(() => null),
      ticks: { show: false },
      grid: { stroke: () => this.#palette().line, width: 1 },
    };
  }

  #valueAxis(): uPlot.Axis {
    const { unit } = this.spec;
    return {
      size: GUTTER,
      gap: 8,
      space: 28,
      font: `11px ${getComputedStyle(document.body).fontFamily}`,
      stroke: () => this.#palette().quiet,
      values: (_, splits) => axisTexts(splits, unit),
      ticks: { show: false },
      grid: { stroke: () => this.#palette().line, width: 1 },
      ...(unit.startsWith('By') ? { incrs: BINARY_STEPS } : {}),
      ...(unit === 's' ? { incrs: SECOND_STEPS } : {}),
    };
  }

  #extent(min: number | null, max: number | null): [number, number] {
    const { limit } = this.#content;
    if (limit !== undefined && limit > 0) return [0, limit * HEADROOM];
    const [low, high] = [Math.min(0, min ?? 0), Math.max(max ?? 0, 0)];
    const padded = (high - low) * 1.15;
    return [low < 0 ? low * 1.15 : 0, padded > 0 ? low + padded : 1];
  }

  #table(): uPlot.AlignedData {
    const { lines } = this.#content;
    const [first] = lines;
    if (first === undefined) return [[]];
    return tableOf([
      { line: first, numbers: first.low },
      { line: first, numbers: first.high },
      ...lines.map((line) => ({ line, numbers: line.value })),
      { line: first, numbers: lateOf(first) },
    ]);
  }

  #drawBackdrop(u: uPlot): void {
    const place = (time: number) => u.valToPos(time, 'x', true);
    drawBackdrop(u.ctx, this.#content.spans, u.bbox, place, this.#palette());
  }

  /** For who does not see the lines. */
  #describe(): void {
    const { lines, window } = this.#content;
    const newest = Math.max(0, ...lines.map(({ t }) => t.at(-1) ?? 0));
    const values = lines.map(
      ({ label, value }) => `${label} ${valueText(value.at(-1), this.spec.unit)}`,
    );
    const late = lines[0]?.late.filter(Boolean).length ?? 0;
    const text =
      newest === 0
        ? `${this.spec.title}: no values`
        : `${this.spec.title} at ${clockText(newest, window.to)}: ${values.join(', ')}. ${lines[0]?.t.length ?? 0} points shown, ${late} of them arrived late.`;
    setAttribute(this.#plot, 'aria-label', text);
  }
}
