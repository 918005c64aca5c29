/** The ranges behind the audit's numbers: which seqs, why, and between which times of capture. */
import { type EpochAudit, FATES, type Fate, type Gap, type SeqRange } from '../answers.ts';
import { serverNow } from '../clock.ts';
import { h, setText } from '../dom.ts';
import { knownCount, ownPage } from '../known.ts';
import { type State, shownCollector, shownId } from '../state.ts';
import { clockText, timeOf, utcText } from '../time.ts';
import { countText, NO_VALUE, plural } from '../units.ts';

interface Row {
  readonly epoch: string;
  readonly range: SeqRange;
  readonly gap: Gap | undefined;
}

const ROWS_MAX = 500;

interface ColumnSpec {
  readonly name: string;
  readonly look: string;
  readonly shows: (fate: Fate) => boolean;
  readonly cell: (row: Row) => (Node | string)[];
}

const COLUMNS: readonly ColumnSpec[] = [
  {
    name: 'Frames',
    look: 'number',
    shows: () => true,
    cell: ({ range: { from, to } }) => [
      from === to ? countText(from) : `${countText(from)} – ${countText(to)}`,
    ],
  },
  {
    name: 'Count',
    look: 'number',
    shows: () => true,
    cell: ({ range: { from, to } }) => [countText(to - from + 1)],
  },
  {
    name: 'Captured between',
    look: '',
    shows: (fate) => fate !== 'stored',
    cell: ({ gap }) => timesOf(gap),
  },
  {
    name: 'Reason',
    look: 'wraps',
    shows: (fate) => fate === 'declared' || fate === 'rejected',
    cell: ({ range, gap }) => [range.reason ?? gap?.reason ?? NO_VALUE],
  },
  {
    name: 'Epoch',
    look: '',
    shows: () => true,
    cell: ({ epoch }) => [h('code', { title: epoch }, epoch.slice(0, 13))],
  },
];

export class RangesDialog {
  readonly element = h('dialog', { class: 'ranges', 'aria-labelledby': 'ranges-title' });
  readonly #title = h('h2', { id: 'ranges-title' });
  readonly #sum = h('p', { class: 'quiet' });
  readonly #body = h('tbody');
  readonly #none = h('p');
  readonly #head = h('tr');
  readonly #table = h('table', {}, h('thead', {}, this.#head), this.#body);
  #fate: Fate = 'stored';
  #state: State | undefined;
  #shown = '';

  constructor() {
    const close = h('button', { type: 'button', class: 'close' }, 'Close');
    close.addEventListener('click', () => this.element.close());
    // A click beside it.
    this.element.addEventListener('click', (event) => {
      if (event.target === this.element) this.element.close();
    });
    this.element.append(
      h(
        'div',
        { class: 'inside' },
        h('header', {}, this.#title, close),
        this.#sum,
        this.#none,
        h('div', { class: 'scroll' }, this.#table),
      ),
    );
  }

  open(fate: Fate): void {
    this.#fate = fate;
    this.#shown = '';
    this.#show();
    this.element.showModal();
  }

  update(state: State): void {
    this.#state = state;
    if (this.element.open) this.#show();
  }

  #show(): void {
    const state = this.#state;
    if (state === undefined) return;
    const id = shownId(state) ?? '';
    const total = knownCount(shownCollector(state), state.audits.get(id), this.#fate);
    setText(this.#title, `${this.#fate[0]?.toUpperCase()}${this.#fate.slice(1)} frames`);
    const rows = rowsOf(state, this.#fate);
    const newest = `; the newest ${countText(ROWS_MAX)} of ${countText(rows.length)} ranges are shown`;
    const sum = total === undefined ? 'Not known' : plural(total, 'frame');
    setText(this.#sum, `${sum} of ${id}${rows.length > ROWS_MAX ? newest : ''}`);
    const shown = JSON.stringify([this.#fate, rows, total === undefined]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#none.replaceChildren(...(total === undefined ? notKnown(state) : ['There are none.']));
    this.#none.hidden = rows.length > 0;
    this.#table.hidden = rows.length === 0;
    const columns = COLUMNS.filter(({ shows }) => shows(this.#fate));
    this.#head.replaceChildren(
      ...columns.map(({ name, look }) => h('th', { scope: 'col', class: look }, name)),
    );
    this.#body.replaceChildren(
      ...rows
        .slice(0, ROWS_MAX)
        .map((row) =>
          h('tr', {}, ...columns.map(({ look, cell }) => h('td', { class: look }, ...cell(row)))),
        ),
    );
  }
}

function rowsOf({ audits, gaps, ...state }: State, fate: Fate): Row[] {
  const audit = audits.get(shownId(state) ?? '');
  const rows = (audit?.epochs ?? []).flatMap((epoch) => {
    const ranges = fate === 'stored' ? storedRanges(epoch) : (epoch[fate] as readonly SeqRange[]);
    return ranges.map((range) => ({
      epoch: epoch.epoch,
      range,
      gap: gaps?.gaps.find(
        (gap) =>
          gap.kind === fate &&
          gap.epoch === epoch.epoch &&
          gap.from <= range.from &&
          gap.to >= range.from,
      ),
    }));
  });
  return rows.reverse();
}

function notKnown(state: State): (Node | string)[] {
  const page = ownPage(state.lab);
  const text =
    'While it is silent nobody here knows what waits on its disk; it tells when it is heard again.';
  if (page === undefined) return [text];
  const link = h('a', { href: page, target: '_blank', rel: 'noopener' }, 'Its own page');
  return [text, ' ', link, ' knows.'];
}

/** What none of the others have. */
function storedRanges(epoch: EpochAudit): SeqRange[] {
  const others = FATES.flatMap((fate) => (fate === 'stored' ? [] : [...epoch[fate]]));
  const ranges: SeqRange[] = [];
  let next = epoch.first;
  for (const { from, to } of others.sort((a, b) => a.from - b.from)) {
    if (from > next) ranges.push({ from: next, to: from - 1 });
    next = Math.max(next, to + 1);
  }
  if (next > 0 && next <= epoch.last) ranges.push({ from: next, to: epoch.last });
  return ranges;
}

function timesOf(gap: Gap | undefined): (Node | string)[] {
  if (gap === undefined) return [NO_VALUE];
  return [moment(gap.captured_after), ' and ', moment(gap.captured_before)];
}

function moment(text: string | null): Node | string {
  if (text === null) return '…';
  const time = timeOf(text);
  return h('time', { datetime: text, title: utcText(time) }, clockText(time, serverNow()));
}
