/** The id of a collector: where there is little room a long one is shortened in its middle. */
import { h } from '../dom.ts';

/** What tells many of a kind apart is mostly their end. */
const END_LENGTH = 10;
const SHORT_LENGTH_MAX = 24;

/** The element holds the whole id as its text; the style sheet shortens the first of two parts. */
export function showId(element: HTMLElement, id: string): void {
  if (element.textContent === id) return;
  element.title = id;
  if (id.length <= SHORT_LENGTH_MAX) return element.replaceChildren(id);
  element.replaceChildren(
    h('span', { class: 'begin' }, id.slice(0, -END_LENGTH)),
    h('span', { class: 'end' }, id.slice(-END_LENGTH)),
  );
}
