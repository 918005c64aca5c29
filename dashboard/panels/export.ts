/** The frames of the shown time, to take away: as they were captured, not as they are drawn. */

import { serverNow } from '../clock.ts';
import { h, setAttribute, setText } from '../dom.ts';
import { windowOf } from '../range.ts';
import { exportHref } from '../requests.ts';
import { type State, shownHeld, shownId } from '../state.ts';
import { clockText } from '../time.ts';
import { plural } from '../units.ts';

export class ExportLinks {
  readonly element: HTMLElement;
  readonly #text = h('p', { class: 'quiet' });
  readonly #ndjson = h('a', { download: '' }, 'JSON');
  readonly #csv = h('a', { download: '' }, 'CSV');

  constructor() {
    this.element = h(
      'section',
      { class: 'export', 'aria-label': 'Export' },
      h('p', {}, 'Export ', this.#csv, ' ', this.#ndjson),
      this.#text,
    );
  }

  update(state: State): void {
    const collector = shownId(state);
    this.element.hidden = collector === undefined;
    if (collector === undefined) return;
    const window = windowOf(state.view.range, serverNow(), state.firstCapturedAt);
    const counts = shownHeld(state)?.columns.map(({ count }) => count.reduce((a, b) => a + b, 0));
    const frames = Math.max(0, ...(counts ?? []));
    const now = serverNow();
    const text = `${frames > 0 ? `About ${plural(frames, 'frame')}` : 'The frames'} captured ${clockText(window.from, now)} – ${clockText(window.to, now)}: numbers, times of capture and receipt, payloads, checksums. JSON is an object a line.`;
    setText(this.#text, text);
    for (const [link, format] of [
      [this.#ndjson, 'ndjson'],
      [this.#csv, 'csv'],
    ] as const) {
      setAttribute(link, 'href', exportHref(collector, window, format));
      setAttribute(
        link,
        'aria-label',
        `Export as ${format === 'csv' ? 'CSV' : 'JSON, an object a line'}`,
      );
    }
  }
}
