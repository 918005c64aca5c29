/**
 * All that lies over one time axis: lanes and charts, with one cursor through all of them. Dragging
 * marks a time to look at, keys move and zoom. What is shown comes from the state; which time, the
 * group only asks for.
 */

import { serverNow } from '../clock.ts';
import type { Held } from '../columns.ts';
import { h, setText } from '../dom.ts';
import {
  between,
  FIRST_RANGE,
  isLive,
  pan,
  type Range,
  type Window,
  windowOf,
  zoom,
} from '../range.ts';
import { isLoading, type State, shownCollector, shownHeld } from '../state.ts';
import { axisMarks, clockText, SECOND, timeOf, utcText } from '../time.ts';
import { valueText } from '../units.ts';
import { Chart, GUTTER, MARK_PIXELS } from './chart.ts';
import { type Lane, Lanes } from './lanes.ts';
import { watchPalette } from './palette.ts';
import { type Prepared, type PreparedChart, prepare } from './prepared.ts';
import { faultSpans, gapSpans, idleSpans, type Span } from './spans.ts';

/** The parts of the state that are drawn. */
const DRAWN = ['view', 'gaps', 'lab', 'firstCapturedAt'] as const;

const PAN_SHARE = 0.25;
const ZOOM = 0.5;
/** A shorter way of the pointer is a click. */
const DRAG_PIXELS = 6;
const HELP =
  'Charts over capture time. Drag to look closer, double click to go back. Keys: left and right move, plus and minus zoom, Home shows all, End follows now, Escape goes back.';

export class ChartGroup {
  readonly element: HTMLElement;
  readonly #onRange: (range: Range) => void;
  readonly #onReset: () => void;
  readonly #palette = watchPalette(() => this.#redraw());
  readonly #lanes = new Lanes(this.#palette);
  readonly #charts = h('div', { class: 'stack' });
  readonly #readout = h('p', { class: 'readout' });
  readonly #axes = [h('div', { class: 'axis' }), h('div', { class: 'axis' })] as const;
  readonly #line = h('div', { class: 'cursor', hidden: true });
  readonly #marked = h('div', { class: 'marked', hidden: true });
  #shown: Chart[] = [];
  #state: State | undefined;
  #held: Held | undefined;
  #loading = true;
  #prepared: Prepared = prepare(undefined, true);
  #width = 0;
  #drawnAt = 0;
  #window: Window = { from: 0, to: 1 };
  #cursor: number | undefined;
  #dragFrom: number | undefined;

  constructor(onRange: (range: Range) => void, onReset: () => void) {
    this.#onRange = onRange;
    this.#onReset = onReset;
    const [above, below] = this.#axes;
    this.element = h(
      'div',
      { class: 'group', role: 'group', tabindex: '0', 'aria-label': HELP },
      this.#readout,
      h(
        'div',
        { class: 'surface' },
        above,
        this.#lanes.element,
        this.#charts,
        below,
        this.#line,
        this.#marked,
      ),
    );
    this.#listen(this.#line.parentElement ?? this.element);
    new ResizeObserver(() => this.#resize()).observe(this.element);
  }

  update(state: State): void {
    const held = shownHeld(state);
    const loading = isLoading(state);
    const isOther = held !== this.#held || loading !== this.#loading;
    if (isOther) this.#prepared = prepare(held, loading);
    const isNews =
      this.#state === undefined ||
      isOther ||
      DRAWN.some((part) => state[part] !== this.#state?.[part]) ||
      shownCollector(state)?.silent_since !== shownCollector(this.#state)?.silent_since;
    this.#state = state;
    this.#held = held;
    this.#loading = loading;
    // Time alone moves what is shown by a pixel now and then.
    const pixel = (this.#window.to - this.#window.from) / Math.max(1, this.#width);
    if (isNews || serverNow() - this.#drawnAt >= pixel) this.#redraw();
  }

  #resize(): void {
    this.#width = this.element.clientWidth;
    this.#redraw();
  }

  #redraw(): void {
    // The first time nobody has told of a size yet.
    this.#width ||= this.element.clientWidth;
    const [state, width] = [this.#state, this.#width];
    if (state === undefined || width <= GUTTER) return;
    this.#drawnAt = serverNow();
    this.#window = windowOf(state.view.range, this.#drawnAt, state.firstCapturedAt);
    const { charts, states, late } = this.#prepared;
    const faults = faultSpans(state.lab?.faults ?? [], this.#window.to);
    const gaps = [...gapSpans(state.gaps, this.#window), ...this.#silence(state)];
    const idle = this.#held === undefined ? [] : idleSpans(this.#held, gaps);
    const lanes: Lane[] = [
      {
        name: 'Producer',
        spans: states,
        empty: this.#loading ? 'loading' : 'its state is not known',
      },
      {
        name: 'Gaps',
        spans: [...idle, ...gaps],
        empty: state.gaps === undefined ? 'loading' : 'none',
      },
      { name: 'Late', spans: late, empty: this.#loading ? 'loading' : 'all came in time' },
    ];
    if (state.lab != null) {
      lanes.unshift({ name: 'Link', spans: faults, empty: 'whole all the time' });
    }
    this.#lanes.update(lanes, this.#window, width - GUTTER);
    const spans = [...faults, ...gaps, ...late];
    const until = this.#until(state);
    for (const [i, chart] of this.#chartsFor(charts).entries()) {
      const { lines, limit, empty } = charts[i] ?? { lines: [], limit: undefined, empty: '' };
      const content = { lines, limit, empty, spans, window: this.#window, until };
      chart.update(content, width, this.#cursor);
    }
    this.#drawAxes(width - GUTTER);
    this.#showCursor();
  }

  /** Whoever is heard is expected to have values up to its newest frame, others up to now. */
  #until(state: State): number {
    const { newest, silent_since } = shownCollector(state) ?? {};
    const heardTo = newest != null && silent_since === null ? timeOf(newest.captured_at) : Infinity;
    return Math.min(heardTo, this.#window.to);
  }

  /** What a silent collector has captured since is not here yet. */
  #silence(state: State): Span[] {
    const collector = shownCollector(state);
    if (collector?.silent_since == null) return [];
    const from = timeOf(collector.newest?.captured_at ?? collector.silent_since);
    return [
      {
        from,
        to: serverNow(),
        kind: 'waiting',
        text: 'not heard: what it captures, if it runs, waits on its disk',
      },
    ];
  }

  #chartsFor(charts: readonly PreparedChart[]): readonly Chart[] {
    const wanted = charts.map(({ spec }) => spec.id).join();
    if (wanted === this.#shown.map(({ spec }) => spec.id).join()) return this.#shown;
    for (const chart of this.#shown) chart.remove();
    this.#shown = charts.map(({ spec }) => new Chart(spec, this.#palette));
    this.#charts.replaceChildren(...this.#shown.map(({ element }) => element));
    return this.#shown;
  }

  #drawAxes(width: number): void {
    const { from, to } = this.#window;
    const marks = axisMarks(from, to, Math.max(1, width / MARK_PIXELS));
    for (const axis of this.#axes) {
      while (axis.childElementCount > marks.length) axis.lastElementChild?.remove();
      while (axis.childElementCount < marks.length) axis.append(h('time'));
      for (const [i, { at, text }] of marks.entries()) {
        const mark = axis.children[i] as HTMLTimeElement;
        const place = ((at - from) / (to - from)) * width;
        // What does not fit would make the page wider.
        setText(mark, place > width - MARK_PIXELS / 4 ? '' : text);
        mark.title = utcText(at);
        mark.style.left = `${place}px`;
      }
    }
  }

  #showCursor(): void {
    const cursor = this.#cursor;
    this.#line.hidden = cursor === undefined;
    if (cursor !== undefined) this.#line.style.transform = `translateX(${this.#placeOf(cursor)}px)`;
    setText(this.#readout, cursor === undefined ? this.#windowText() : this.#cursorText(cursor));
  }

  #cursorText(cursor: number): string {
    return [clockText(cursor, serverNow()), utcText(cursor), ...this.#lanes.at(cursor)].join(' · ');
  }

  #windowText(): string {
    const { from, to } = this.#window;
    const now = serverNow();
    const width = this.#held?.width;
    const bucket =
      width === undefined
        ? ''
        : `, ${unbroken(`a point for each ${valueText(width / SECOND, 's')}`)}`;
    const follows = isLive(this.#state?.view.range ?? FIRST_RANGE)
      ? `, ${unbroken('follows now')}`
      : '';
    return `${clockText(from, now)} – ${clockText(to, now)}${follows}${bucket}`;
  }

  #placeOf(time: number): number {
    const { from, to } = this.#window;
    return GUTTER + ((time - from) / (to - from)) * (this.#width - GUTTER);
  }

  #timeAt(event: PointerEvent, surface: HTMLElement): number {
    const { left, width } = surface.getBoundingClientRect();
    const share = (event.clientX - left - GUTTER) / (width - GUTTER);
    const { from, to } = this.#window;
    return from + (to - from) * Math.min(1, Math.max(0, share));
  }

  #listen(surface: HTMLElement): void {
    surface.addEventListener('pointermove', (event) => {
      this.#point(this.#timeAt(event, surface));
      this.#mark();
    });
    surface.addEventListener('pointerleave', () => {
      if (this.#dragFrom === undefined) this.#point(undefined);
    });
    surface.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      surface.setPointerCapture(event.pointerId);
      this.#dragFrom = this.#timeAt(event, surface);
      this.#point(this.#dragFrom);
    });
    surface.addEventListener('pointerup', (event) => this.#drop(this.#timeAt(event, surface)));
    surface.addEventListener('pointercancel', () => {
      this.#dragFrom = undefined;
      this.#mark();
    });
    surface.addEventListener('dblclick', () => this.#onReset());
    this.element.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') return this.#onReset();
      const range = this.#rangeFor(event);
      if (range === undefined) return;
      event.preventDefault();
      this.#onRange(range);
    });
  }

  #point(cursor: number | undefined): void {
    this.#cursor = cursor;
    for (const chart of this.#shown) chart.setCursor(cursor);
    this.#showCursor();
  }

  #mark(): void {
    const [from, to] = [this.#dragFrom, this.#cursor];
    this.#marked.hidden = from === undefined || to === undefined;
    if (from === undefined || to === undefined) return;
    const [left, right] = [this.#placeOf(Math.min(from, to)), this.#placeOf(Math.max(from, to))];
    this.#marked.style.left = `${left}px`;
    this.#marked.style.width = `${right - left}px`;
  }

  #drop(to: number): void {
    const from = this.#dragFrom;
    this.#dragFrom = undefined;
    this.#mark();
    if (from === undefined) return;
    if (Math.abs(this.#placeOf(to) - this.#placeOf(from)) >= DRAG_PIXELS) {
      this.#onRange(between(from, to));
    }
  }

  #rangeFor({ key, ctrlKey, metaKey, altKey }: KeyboardEvent): Range | undefined {
    if (ctrlKey || metaKey || altKey) return undefined;
    const range = this.#state?.view.range ?? FIRST_RANGE;
    const span = this.#window.to - this.#window.from;
    switch (key) {
      case 'ArrowLeft':
        return pan(this.#window, -PAN_SHARE, serverNow());
      case 'ArrowRight':
        return isLive(range) ? undefined : pan(this.#window, PAN_SHARE, serverNow());
      case '+':
      case '=':
        return zoom(range, this.#window, ZOOM);
      case '-':
        return zoom(range, this.#window, 1 / ZOOM);
      case 'Home':
        return { kind: 'all' };
      case 'End':
        return { kind: 'last', span: Math.round(span) };
      default:
        return undefined;
    }
  }
}

/** Where a line breaks, it breaks between what is said. */
function unbroken(text: string): string {
  return text.replaceAll(' ', '\u00a0');
}
