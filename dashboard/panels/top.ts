/** The head of the page: its name, and whether what it shows is live. */
import { h, setAttribute, setText } from '../dom.ts';
import type { State } from '../state.ts';
import { clockText, utcText } from '../time.ts';
import { showMoment } from './moment.ts';

export class Top {
  readonly element: HTMLElement;
  readonly #live = h('p', { class: 'live', role: 'status' }, 'Connecting');
  readonly #asOf = h('time');

  constructor() {
    const as = h('p', { class: 'quiet as-of' }, 'as of ', this.#asOf);
    this.element = h(
      'header',
      { class: 'top' },
      h('h1', {}, mark(), 'Holdfast'),
      this.#live,
      as,
      h(
        'nav',
        { 'aria-label': 'The server' },
        h('a', { class: 'quiet', href: '/api/v1/openapi.json' }, 'API'),
        h('a', { class: 'quiet', href: '/metrics' }, 'Metrics'),
      ),
    );
    setText(this.#asOf, '–');
  }

  update({ connection, asOf }: State): void {
    setAttribute(this.#live, 'data-kind', connection.kind);
    switch (connection.kind) {
      case 'connecting':
        setText(this.#live, 'Connecting');
        break;
      case 'live':
        setText(this.#live, 'Live');
        break;
      case 'polling':
        setText(
          this.#live,
          `Not live since ${clockText(connection.since, Date.now())}: no events come, asking every 5 s`,
        );
        break;
      case 'away':
        setText(
          this.#live,
          `Not live since ${clockText(connection.since, Date.now())}: ${connection.reason}`,
        );
        setAttribute(this.#live, 'title', utcText(connection.since));
        break;
    }
    if (asOf !== undefined) showMoment(this.#asOf, asOf);
  }
}

/** A line with a gap that is filled in. */
function mark(): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 28 12');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', 'mark');
  for (const [d, name] of [
    ['M2 6h6', 'ends'],
    ['M11 6h6', 'filled'],
    ['M20 6h6', 'ends'],
  ] as const) {
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    path.setAttribute('d', d);
    path.setAttribute('class', name);
    svg.append(path);
  }
  return svg;
}
