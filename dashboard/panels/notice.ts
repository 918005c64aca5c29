/** In place of charts where there is nothing to draw: what is wrong, and what to do. */
import { h, setText } from '../dom.ts';
import type { State } from '../state.ts';
import { sentence } from '../units.ts';
import { copyable } from './commands.ts';

export class Notice {
  readonly element = h('section', { class: 'notice', hidden: true, 'aria-label': 'Notice' });
  readonly #head = h('h2');
  readonly #text = h('p');
  readonly #commands = h('div', {
    class: 'commands',
  });

  constructor() {
    this.#commands.append(
      h('p', {}, copyable('make up'), ' in the lab'),
      h(
        'p',
        {},
        copyable('./holdfast collector run'),
        ' with HOLDFAST_SERVER and HOLDFAST_TOKEN set, elsewhere',
      ),
    );
    this.element.append(this.#head, this.#text, this.#commands);
  }

  update({ collectors, seriesError, connection }: State): void {
    const empty = collectors?.length === 0;
    const lost = collectors === undefined && connection.kind === 'away';
    this.element.hidden = !empty && !lost && seriesError === undefined;
    this.#commands.hidden = !empty;
    if (empty) {
      setText(this.#head, 'No collector has been heard yet');
      setText(
        this.#text,
        'Start one; it shows up here by itself, within a second of its first frame.',
      );
    } else if (lost) {
      setText(this.#head, 'Nothing to show yet');
      setText(this.#text, `${sentence(connection.reason)} The page goes on asking.`);
    } else {
      setText(this.#head, 'No charts');
      setText(
        this.#text,
        `${sentence(seriesError ?? '')} Frames are stored, audited and exported all the same.`,
      );
    }
  }
}
