/** Which time is shown: a row of ranges, one of the reader's own, and whether it follows now. */

import { serverNow } from '../clock.ts';
import { h, setAttribute } from '../dom.ts';
import { between, isSameRange, RANGES, type Range, windowOf } from '../range.ts';
import type { State } from '../state.ts';
import { timeOf } from '../time.ts';

export class RangeBar {
  readonly element: HTMLElement;
  readonly #buttons: readonly { readonly range: Range; readonly button: HTMLButtonElement }[];
  readonly #reset = h('button', { type: 'button', class: 'plain' }, 'Reset');
  readonly #from = h('input', { type: 'datetime-local', step: '1', required: true });
  readonly #to = h('input', { type: 'datetime-local', step: '1', required: true });
  readonly #own = h('details', { class: 'own' });
  #state: State | undefined;

  constructor(onRange: (range: Range) => void, onReset: () => void) {
    this.#buttons = RANGES.map(({ name, range }) => {
      const button = h('button', { type: 'button' }, name);
      button.addEventListener('click', () => onRange(range));
      return { range, button };
    });
    this.#reset.addEventListener('click', onReset);
    this.#own.append(h('summary', {}, 'Own'), this.#form(onRange));
    this.#own.addEventListener('toggle', () => this.#fill());
    this.#own.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#own.open = false;
    });
    document.addEventListener('pointerdown', ({ target }) => {
      if (target instanceof Node && !this.#own.contains(target)) this.#own.open = false;
    });
    this.element = h(
      'div',
      { class: 'range', role: 'toolbar', 'aria-label': 'Time range' },
      h('div', { class: 'choices' }, ...this.#buttons.map(({ button }) => button), this.#own),
      this.#reset,
    );
  }

  update(state: State): void {
    this.#state = state;
    const { range } = state.view;
    for (const { range: each, button } of this.#buttons) {
      setAttribute(button, 'aria-pressed', String(isSameRange(each, range)));
    }
    const stock = this.#buttons.some(({ range: each }) => isSameRange(each, range));
    setAttribute(this.#own, 'data-chosen', stock ? undefined : '');
    this.#reset.disabled = stock;
  }

  #form(onRange: (range: Range) => void): HTMLFormElement {
    const form = h(
      'form',
      {},
      h('label', {}, 'From ', this.#from),
      h('label', {}, 'To ', this.#to),
      h('button', { type: 'submit' }, 'Show'),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      // Without a zone it is the local time.
      const [from, to] = [timeOf(this.#from.value), timeOf(this.#to.value)];
      if (Number.isNaN(from) || Number.isNaN(to)) return;
      this.#own.open = false;
      onRange(between(from, to));
    });
    return form;
  }

  /** With what is shown now, to begin from. */
  #fill(): void {
    const state = this.#state;
    if (!this.#own.open || state === undefined) return;
    const { from, to } = windowOf(state.view.range, serverNow(), state.firstCapturedAt);
    this.#from.value = localText(from);
    this.#to.value = localText(to);
  }
}

/** As the field wants it: local time without a zone. */
function localText(time: number): string {
  const shifted = time - new Date(time).getTimezoneOffset() * 60_000;
  return new Date(shifted).toISOString().slice(0, 19);
}
