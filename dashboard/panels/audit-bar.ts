/**
 * What became of the shown collector's frames, always in sight. Each number is a button that opens
 * the ranges behind it.
 */
import { type Collector, FATES, type Fate } from '../answers.ts';
import { serverNow } from '../clock.ts';
import { h, setAttribute, setText } from '../dom.ts';
import { knownCount } from '../known.ts';
import { isAway, type State, shownCollector, shownId } from '../state.ts';
import { clockText, SECOND, timeOf } from '../time.ts';
import { countText, NO_VALUE, shortCountText, valueText } from '../units.ts';
import { showId } from './id.ts';

const MEANINGS: Readonly<Record<Fate, string>> = {
  stored: 'in the store, each once',
  declared: 'given up by the collector, with the reason',
  rejected: 'refused by the server for good, with the reason',
  pruned: 'stored once, removed since by retention',
  pending: 'announced, still on the collector’s disk',
  missing: 'not settled, and nobody has them',
};

interface Item {
  readonly button: HTMLButtonElement;
  readonly long: HTMLElement;
  readonly short: HTMLElement;
}

export class AuditBar {
  readonly element: HTMLElement;
  readonly #id = h('h2', { class: 'shown-id' }, NO_VALUE);
  readonly #state = h('p', { class: 'state' });
  readonly #items = new Map<Fate, Item>();

  constructor(onOpen: (fate: Fate) => void) {
    const list = h('ul', { class: 'fates', 'aria-label': 'Audit' });
    for (const fate of FATES) {
      const [long, short] = [h('b', { class: 'long' }, NO_VALUE), h('b', { class: 'short' })];
      const button = h(
        'button',
        { type: 'button', title: MEANINGS[fate], 'data-fate': fate },
        h('span', {}, fate),
        long,
        short,
      );
      button.addEventListener('click', () => onOpen(fate));
      list.append(h('li', {}, button));
      this.#items.set(fate, { button, long, short });
    }
    this.element = h(
      'section',
      { class: 'bar', 'aria-label': 'The collector that is shown' },
      h('div', { class: 'who' }, this.#id, this.#state),
      list,
    );
  }

  update(state: State): void {
    const id = shownId(state);
    showId(this.#id, id ?? 'No collector');
    const collector = shownCollector(state);
    const stale = isAway(state);
    setAttribute(this.element, 'data-stale', stale ? '' : undefined);
    setText(this.#state, collector === undefined ? '' : factsOf(collector, stale));
    setAttribute(this.#state, 'data-connected', collector && String(collector.connected));
    for (const [fate, { button, long, short }] of this.#items) {
      const count = knownCount(collector, state.audits.get(id ?? ''), fate);
      const meaning = MEANINGS[fate];
      const hidden = count === undefined && collector?.silent_since != null;
      setAttribute(button, 'title', hidden ? `${meaning}: not known while it is silent` : meaning);
      setText(long, count === undefined ? NO_VALUE : countText(count));
      setText(short, count === undefined ? NO_VALUE : shortCountText(count));
      setAttribute(button, 'data-some', count === undefined || count === 0 ? undefined : '');
    }
  }
}

/** `stale`: nobody knows whether it is still so. */
function factsOf({ silent_since, newest }: Collector, stale: boolean): string {
  const silent =
    silent_since === null
      ? undefined
      : `silent since ${clockText(timeOf(silent_since), serverNow())}`;
  if (stale) return `last known: ${silent ?? 'connected'}`;
  if (silent !== undefined) return silent;
  if (newest === null) return 'connected';
  const lag = timeOf(newest.received_at) - timeOf(newest.captured_at);
  // Whose clock is ahead, its frames come before their time.
  return lag < 0 ? 'connected' : `connected, lag ${valueText(lag / SECOND, 's')}`;
}
