/** Who there is: each collector a link to it, with what one wants to see at a glance. */
import type { Audit, Collector } from '../answers.ts';
import { serverNow } from '../clock.ts';
import { isAtRest } from '../collector-order.ts';
import { h, setAttribute, setText } from '../dom.ts';
import { isAway, type State, shownId } from '../state.ts';
import { clockText, durationText, SECOND, timeOf } from '../time.ts';
import { shortCountText, valueText } from '../units.ts';
import { searchOf } from '../url-state.ts';
import { showId } from './id.ts';

/** With more than this one wants to search. */
const SEARCH_FROM = 9;

interface Row {
  readonly item: HTMLLIElement;
  readonly link: HTMLAnchorElement;
  readonly state: HTMLElement;
  readonly lag: HTMLElement;
  readonly open: HTMLElement;
}

export class CollectorList {
  readonly element: HTMLElement;
  readonly #list = h('ul');
  readonly #resting = h('ul');
  readonly #restingCount = h('summary', { class: 'quiet' });
  readonly #rest = h(
    'details',
    { class: 'resting', hidden: true },
    this.#restingCount,
    this.#resting,
  );
  readonly #search = h('input', {
    type: 'search',
    placeholder: 'Find a collector',
    'aria-label': 'Find a collector',
    hidden: true,
  });
  readonly #details = h('details', { class: 'collectors' });
  readonly #count = h('span', { class: 'quiet' });
  #rows: ReadonlyMap<string, Row> = new Map();
  #arranged = '';
  readonly #onChoose: (collector: string) => void;

  /** `onChoose` is told of a plain click; a link opens elsewhere as links do. */
  constructor(onChoose: (collector: string) => void) {
    this.#onChoose = onChoose;
    const title = h('summary', {}, h('h2', {}, 'Collectors'), ' ', this.#count);
    const lists = h('div', { class: 'lists' }, this.#list, this.#rest);
    this.#details.append(title, this.#search, lists);
    this.element = h('nav', { 'aria-label': 'Collectors' }, this.#details);
    // Where there is room it is always open (the style sheet hides the mark).
    const wide = matchMedia('(min-width: 60rem)');
    const openIfWide = () => {
      this.#details.open = wide.matches;
    };
    wide.addEventListener('change', openIfWide);
    openIfWide();
    this.#search.addEventListener('input', () => this.#filter());
  }

  update(state: State): void {
    const { collectors = [], audits } = state;
    const shown = shownId(state);
    setText(this.#count, collectors.length === 0 ? '' : String(collectors.length));
    this.#search.hidden = collectors.length < SEARCH_FROM;
    const isResting = (one: Collector) =>
      one.collector !== shown && isAtRest(one, audits.get(one.collector), serverNow());
    this.#arrange(
      collectors.filter((one) => !isResting(one)).map(({ collector }) => collector),
      collectors.filter(isResting).map(({ collector }) => collector),
    );
    for (const collector of collectors) {
      const id = collector.collector;
      const row = this.#rows.get(id);
      if (row === undefined) continue;
      setAttribute(row.link, 'href', hrefOf({ ...state.view, collector: id }));
      setAttribute(row.link, 'aria-current', id === shown ? 'page' : undefined);
      showRow(row, collector, audits.get(id), isAway(state));
    }
  }

  /** In the server's order, and none that a server with another store does not know. */
  #arrange(present: readonly string[], resting: readonly string[]): void {
    const arranged = JSON.stringify([present, resting]);
    if (arranged === this.#arranged) return;
    this.#arranged = arranged;
    const rows = new Map(
      [...present, ...resting].map((id) => [id, this.#rows.get(id) ?? this.#make(id)] as const),
    );
    this.#rows = rows;
    const itemsOf = (ids: readonly string[]) => ids.flatMap((id) => rows.get(id)?.item ?? []);
    fill(this.#list, itemsOf(present));
    fill(this.#resting, itemsOf(resting));
    setText(this.#restingCount, `${resting.length} silent for long`);
    this.#rest.hidden = resting.length === 0;
    this.#filter();
  }

  #make(id: string): Row {
    const [state, lag, open] = [
      h('span'),
      h('span', { class: 'lag' }),
      h('span', { class: 'open' }),
    ];
    const name = h('span', { class: 'id' });
    showId(name, id);
    const link = h('a', {}, name, h('span', { class: 'facts' }, state, lag, open));
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      this.#onChoose(id);
    });
    return { item: h('li', {}, link), link, state, lag, open };
  }

  #filter(): void {
    // Who searches means all of them.
    if (this.#search.value !== '') this.#rest.open = true;
    const wanted = this.#search.value.toLowerCase();
    for (const [id, { item }] of this.#rows) item.hidden = !id.toLowerCase().includes(wanted);
  }
}

/** What stands in its place is not touched: it may have the focus. */
function fill(list: HTMLElement, items: readonly HTMLElement[]): void {
  for (const [i, item] of items.entries()) {
    const there = list.children[i] ?? null;
    if (there !== item) list.insertBefore(item, there);
  }
  while (list.childElementCount > items.length) list.lastElementChild?.remove();
}

/** `stale`: nobody knows whether it is still so. */
function showRow(
  row: Row,
  { connected, silent_since, delivery_lag }: Collector,
  audit: Audit | undefined,
  stale: boolean,
): void {
  setAttribute(row.link, 'data-stale', stale ? '' : undefined);
  setAttribute(row.link, 'data-connected', String(connected));
  const silent = silent_since === null ? 0 : serverNow() - timeOf(silent_since);
  const now = connected ? 'connected' : `silent for ${durationText(silent)}`;
  setText(row.state, stale ? `last known: ${connected ? now : 'silent'}` : now);
  setText(row.lag, delivery_lag === null ? '' : lagText(delivery_lag));
  setAttribute(row.lag, 'title', delivery_lag === null ? undefined : lagTitle(delivery_lag));
  const { pending = 0, missing = 0 } = audit?.totals ?? {};
  const open = [
    pending > 0 ? `${shortCountText(pending)} pending` : '',
    missing > 0 ? `${shortCountText(missing)} missing` : '',
  ];
  setText(row.open, open.filter((text) => text !== '').join(', '));
  row.open.classList.toggle('bad', missing > 0);
}

type Lag = NonNullable<Collector['delivery_lag']>;

function lagText({ p50_ms, p99_ms }: Lag): string {
  return `median lag ${valueText(p50_ms / SECOND, 's')}, p99 ${valueText(p99_ms / SECOND, 's')}`;
}

function lagTitle({ since, p50_ms, p99_ms, max_ms }: Lag): string {
  const [half, most, all] = [p50_ms, p99_ms, max_ms].map((ms) => valueText(ms / SECOND, 's'));
  return `From capture to store, of the frames that came since ${clockText(timeOf(since), serverNow())}: half took ${half} at most, 99 of 100 took ${most}, the slowest ${all}.`;
}

function hrefOf(view: State['view']): string {
  return searchOf(view) || '?';
}
