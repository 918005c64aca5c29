/**
 * The timeline picture: what was done and what came of it, on one axis of time. Inline SVG of fixed
 * height that takes any width, with the scales in a gutter at its left, where no data are. All that
 * tells by colour tells by pattern or words as well. The values under the pointer are shown by
 * page.js, from data beside the picture.
 */

import { compact, counted, duration, number } from '#pages/figures.ts';
import { html, json, type Markup } from '#pages/html.ts';
import {
  type Line,
  linear,
  logarithmic,
  maxOf,
  percent,
  plot,
  roundMax,
  scaleTick,
  ticksOf,
} from '#pages/plot.ts';
import { type Bands, bandsOf, type Placed } from './bands.ts';
import type { Timeline } from './timeline.ts';

const TITLE = 20;
const GAP = 14;
const BAND_ROW = 20;
const BAND = 11;
const STATE = 14;
const AXIS = 24;
const LAG = 72;
const TICK = 13;

interface Lane {
  readonly title: string;
  /** At the right end of the title. */
  readonly note: string;
  readonly height: number;
  draw(top: number): Markup | readonly Markup[];
}

/** `lost`: capture times of lost frames, in microseconds since 1970. */
export function picture(timeline: Timeline, lost: readonly number[], title: string): Markup {
  const lanes = lanesOf(timeline, lost);
  const tops: number[] = [];
  let below = 0;
  for (const { height } of lanes) {
    tops.push(below + TITLE);
    below += TITLE + height + GAP;
  }
  const floor = below - GAP;
  const first = (tops[0] ?? 0) - 2;
  return html`<figure class="timeline">
<svg class="picture" width="100%" height="${floor + AXIS}" role="img" aria-label="${spoken(timeline, title)}">
${shades(timeline, first, floor)}${axis(timeline, first, floor)}${exitLines(timeline, first, floor)}
${lanes.map(({ title, note, draw }, index) => {
  const top = tops[index] ?? 0;
  return html`<g>${draw(top)}<text class="lane gutter" y="${top - 7}">${title}</text><text class="note" x="100%" y="${top - 7}">${note}</text></g>
`;
})}</svg>
<figcaption>${legend(timeline, lost.length > 0)}<output class="readout" aria-hidden="true"></output></figcaption>
<script type="application/json" class="values">${json(valuesOf(timeline))}</script>
</figure>`;
}

function lanesOf(timeline: Timeline, lost: readonly number[]): Lane[] {
  const { queued, acks_per_s, lag_ms, stored, stored_by, bystanders } = timeline;
  const lagMax = Math.max(maxOf(lag_ms), ...bystanders.map((one) => maxOf(one.lag_ms)));
  const bands = drawnBandsOf(timeline);
  const line = (title: string, note: string, values: Line, height: number): Lane => ({
    title,
    note,
    height,
    draw: (top) => {
      const max = roundMax(maxOf(values));
      return [
        html`<line class="ground" x1="0" x2="100%" y1="${top + height}" y2="${top + height}"/>`,
        plot({ values, scale: linear(max), top, height, area: true }),
        scaleTick(compact(max), top + 9),
        scaleTick('0', top + height),
      ];
    },
  });
  const faults: Lane = {
    title: bands.placed.length === 0 ? 'No fault' : 'Faults',
    note: bands.lanes.length === 0 ? '' : `${number(bands.placed.length)}, by what was hit`,
    height: bands.rows * BAND_ROW,
    draw: (top) => [
      ...bands.lanes.map(({ name, row }) => scaleTick(name, top + row * BAND_ROW + BAND + 2)),
      ...bands.placed.map((band) => drawBand(band, top)),
    ],
  };
  const state: Lane = {
    title: 'Link of the source',
    note: '',
    height: STATE,
    draw: (top) => drawStates(timeline, top),
  };
  const lag: Lane = {
    title: 'Delivery lag, by capture time',
    note: `at most ${duration(lagMax)}`,
    height: LAG,
    draw: (top) => drawLag(timeline, lost, lagMax, top),
  };
  return [
    faults,
    ...(timeline.states.length > 0 ? [state] : []),
    line('Waiting in the queue', `at most ${counted(maxOf(queued), 'frame')}`, queued, 56),
    line('Acks a second', `at most ${number(Math.round(maxOf(acks_per_s)))}`, acks_per_s, 44),
    ...(lag_ms.length > 0 ? [lag] : []),
    line(
      stored_by === 'export' ? 'Stored' : 'Stored, as the audit counts',
      counted(maxOf(stored), 'frame'),
      stored,
      44,
    ),
  ];
}

interface DrawnBand {
  readonly from: number;
  readonly to: number;
  readonly label: string;
  readonly title: string;
  readonly target: string | null;
  readonly lane: string;
}

function drawnBandsOf(timeline: Timeline): Bands<DrawnBand> {
  const { duration_ms, faults, exits } = timeline;
  const at = (ms: number) => Math.min(100, Math.max(0, (100 * ms) / duration_ms));
  const seconds = (ms: number) => duration(ms);
  const bands = faults.map(({ name, target, from_ms, to_ms, open }) => ({
    from: at(from_ms),
    to: at(to_ms),
    label: name,
    title: `${name} (${target}): ${seconds(from_ms)} to ${open ? 'the end' : seconds(to_ms)}`,
    target,
    lane: target,
  }));
  const marks = exits.map(({ at_ms, text }) => ({
    from: at(at_ms),
    to: at(at_ms) + 0.8,
    label: text,
    title: `${text}, at ${seconds(at_ms)}`,
    target: null,
    lane: 'ended',
  }));
  return bandsOf([...bands, ...marks]);
}

function drawBand({ of, row, label }: Placed<DrawnBand>, top: number): Markup {
  const y = top + row * BAND_ROW + 3;
  const { from, to, target, title } = of;
  const width = Math.max(0.4, to - from);
  const shape =
    target === null
      ? html`<svg x="${fixed(from)}%" y="${y}" overflow="visible" class="exit"><path d="M-5 0H5L0 9Z"/></svg>`
      : html`<rect class="fault" fill="url(#${patternOf(target)})" x="${fixed(from)}%" y="${y}" width="${fixed(width)}%" height="${BAND}" rx="2"/>`;
  const text =
    label.shown !== 'never' &&
    html`<text class="band ${label.shown}" x="${fixed(label.x)}%" y="${y + 10}" dx="${target !== null ? 0 : label.anchor === 'start' ? 5 : -5}" text-anchor="${label.anchor}">${of.label}</text>`;
  return html`<g><title>${title}</title>${shape}${text}</g>`;
}

/** What was hit tells the pattern. */
const PATTERNS: Readonly<Record<string, string>> = {
  link: 'p-link',
  server: 'p-server',
  toxiproxy: 'p-toxiproxy',
};

function patternOf(target: string): string {
  return PATTERNS[target] ?? 'p-source';
}

/** Once in a page; the pictures refer to it. */
export const PATTERN_DEFINITIONS = html`<svg class="defs" width="0" height="0" aria-hidden="true"><defs>
<pattern id="p-link" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" class="p-ground"/><rect width="2.4" height="6" class="p-ink"/></pattern>
<pattern id="p-server" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" class="p-ground"/><circle cx="2.5" cy="2.5" r="1.4" class="p-ink"/></pattern>
<pattern id="p-source" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" class="p-ground"/><rect width="4" height="1.8" class="p-ink"/></pattern>
<pattern id="p-toxiproxy" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" class="p-ground"/><path d="M0 0L6 6M6 0L0 6" class="p-stroke"/></pattern>
<pattern id="p-backoff" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="5" height="5" class="s-ground"/><rect width="2.2" height="5" class="s-ink"/></pattern>
</defs></svg>`;

function drawStates({ states, duration_ms }: Timeline, top: number): Markup[] {
  return states.map(({ from_ms, to_ms, state }) => {
    const x = percent(from_ms, duration_ms);
    const width = percent(to_ms - from_ms, duration_ms);
    const name = state === 'none' ? 'no answer' : state;
    return html`<rect class="state ${stateClass(state)}" x="${x}" y="${top}" width="${width}" height="${STATE}"><title>${name}: ${duration(from_ms)} to ${duration(to_ms)}</title></rect>`;
  });
}

function stateClass(state: string): string {
  return ['Ready', 'Backoff', 'Recovering'].includes(state) ? `s-${state.toLowerCase()}` : 's-none';
}

/** Lines of ten from 10 ms up, so that a tenfold lag is one step up. */
function drawLag(
  { lag_ms, bystanders, start_us, duration_ms }: Timeline,
  lost: readonly number[],
  max: number,
  top: number,
): Markup[] {
  const height = LAG;
  const scale = logarithmic(max);
  const y = (ms: number) => top + height * (1 - scale(ms));
  const decades = [10, 100, 1_000, 10_000, 100_000, 1_000_000].filter((ms) => ms <= max);
  // Told from the top down, each where it has room.
  const told = decades.filter(
    (_, index) => (decades.length - 1 - index) % every(height, max) === 0,
  );
  return [
    ...decades.map(
      (ms) => html`<line class="grid" x1="0" x2="100%" y1="${fixed(y(ms))}" y2="${fixed(y(ms))}"/>`,
    ),
    html`<line class="ground" x1="0" x2="100%" y1="${top + height}" y2="${top + height}"/>`,
    plot({ values: lag_ms, scale, top, height, area: true }),
    ...bystanders.map((one) =>
      plot({ values: one.lag_ms, scale, top, height, area: false, name: 'other' }),
    ),
    ...told.map((ms) => {
      const text = ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`;
      return scaleTick(text, y(ms) + 4);
    }),
    ...lost.map((us) => {
      const x = percent((us - start_us) / 1_000, duration_ms);
      return html`<svg x="${x}" y="${top + 8}" overflow="visible" class="lost"><title>lost: captured then, never stored</title><path d="M-4 -4L4 4M4 -4L-4 4"/></svg>`;
    }),
  ];
}

/** Of so many lines of ten one is told, so that the texts don't meet. */
function every(height: number, max: number): number {
  return Math.ceil((TICK * Math.log10(Math.max(max, 10))) / height);
}

/** Each fault through all lanes, so that what came of it is seen under it. Darker where they meet. */
function shades({ faults, duration_ms }: Timeline, top: number, floor: number): Markup[] {
  return faults.map(({ from_ms, to_ms }) => {
    const x = percent(from_ms, duration_ms);
    const width = percent(Math.max(to_ms - from_ms, duration_ms * 0.002), duration_ms);
    return html`<rect class="shade" x="${x}" y="${top}" width="${width}" height="${floor - top}"/>`;
  });
}

function exitLines({ exits, duration_ms }: Timeline, top: number, floor: number): Markup[] {
  return exits.map(({ at_ms }) => {
    const x = percent(at_ms, duration_ms);
    return html`<line class="exit-line" x1="${x}" x2="${x}" y1="${top}" y2="${floor}"/>`;
  });
}

function axis({ duration_ms }: Timeline, top: number, floor: number): Markup[] {
  return ticksOf(duration_ms).map(({ at_ms, text }) => {
    const x = percent(at_ms, duration_ms);
    const part = at_ms / duration_ms;
    const anchor = part > 0.97 ? 'end' : 'middle';
    return html`<line class="grid" x1="${x}" x2="${x}" y1="${top}" y2="${floor + 4}"/><text class="tick" x="${x}" y="${floor + 18}" text-anchor="${anchor}">${text}</text>`;
  });
}

function legend({ states, faults, exits, lag_ms, bystanders }: Timeline, lost: boolean): Markup {
  const swatch = (name: string, shape: Markup) =>
    html`<span class="key"><svg width="16" height="12" aria-hidden="true">${shape}</svg>${name}</span>`;
  const box = (attributes: Markup) =>
    html`<rect x="0.5" y="0.5" width="15" height="11" ${attributes}/>`;
  const seen = new Set(states.map(({ state }) => state));
  const targets = [...new Set(faults.map(({ target }) => target))];
  return html`<p class="legend">${targets.map((target) =>
    swatch(`fault on ${target}`, box(html`class="fault" fill="url(#${patternOf(target)})"`)),
  )}${['Ready', 'Backoff', 'Recovering', 'Stopped', 'none']
    .filter((state) => seen.has(state))
    .map((state) =>
      swatch(state === 'none' ? 'no answer' : state, box(html`class="state ${stateClass(state)}"`)),
    )}${
    bystanders.length > 0 &&
    lag_ms.length > 0 && [
      swatch('lag of the source', html`<path class="line" d="M0 6H16"/>`),
      ...bystanders.map(({ name }) =>
        swatch(`lag of the ${name}`, html`<path class="line other" d="M0 6H16"/>`),
      ),
    ]
  }${exits.length > 0 && swatch('a program ended', html`<path class="exit" d="M3 2H13L8 11Z"/>`)}${
    lost && swatch('lost frames', html`<path class="lost" d="M4 2L12 10M12 2L4 10"/>`)
  }</p>${lag_ms.length === 0 && html`<p class="quiet">There is no export in the folder, so no delivery lag is drawn.</p>`}`;
}

function spoken(timeline: Timeline, title: string): string {
  const { duration_ms, faults, exits, queued, lag_ms, bystanders } = timeline;
  const parts = [
    `Timeline of ${title}, ${duration(duration_ms)}`,
    ...few(
      faults.map(
        ({ name, from_ms, to_ms }) => `${name} from ${duration(from_ms)} to ${duration(to_ms)}`,
      ),
      'fault',
    ),
    ...few(
      exits.map(({ at_ms, text }) => `${text} at ${duration(at_ms)}`),
      'end of a program',
      'ends of programs',
    ),
    `at most ${counted(maxOf(queued), 'frame')} waited`,
    ...(lag_ms.length > 0 ? [`delivery lag at most ${duration(maxOf(lag_ms))}`] : []),
    ...bystanders.map((one) => `that of the ${one.name} at most ${duration(maxOf(one.lag_ms))}`),
  ];
  return `${parts.join('; ')}.`;
}

/** All of them, or how many they are: the tables have them. */
function few(texts: readonly string[], one: string, many?: string): readonly string[] {
  return texts.length <= 6 ? texts : [counted(texts.length, one, many)];
}

/** For the readout; whole numbers, to be small. */
function valuesOf(timeline: Timeline): unknown {
  const { duration_ms, queued, acks_per_s, lag_ms, stored, states, bystanders } = timeline;
  const whole = (line: Line) => line.map((value) => (value === null ? null : Math.round(value)));
  return {
    duration_ms: Math.round(duration_ms),
    states: states.map(({ to_ms, state }) => [Math.round(to_ms), state]),
    lines: [
      ['waiting', 'frames', whole(queued)],
      ['acks', '/s', whole(acks_per_s)],
      ...(lag_ms.length > 0 ? [['lag', 'ms', whole(lag_ms)]] : []),
      ...bystanders.map((one) => [`lag of the ${one.name}`, 'ms', whole(one.lag_ms)]),
      ['stored', 'frames', whole(stored)],
    ],
  };
}

function fixed(value: number): string {
  return String(Math.round(value * 100) / 100);
}
