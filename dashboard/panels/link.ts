/**
 * The link between collector and server, in the lab: how it is, and what can be done to it. Each
 * act says before what is going to happen and how it heals.
 */
import type { Link, LinkAction } from '../answers.ts';
import { serverNow } from '../clock.ts';
import { h, setAttribute, setText } from '../dom.ts';
import { detailsText, isSwallowing, linkWord } from '../link-details.ts';
import { ApiError, changeLink } from '../requests.ts';
import { isAway, type State } from '../state.ts';
import { clockText, timeOf } from '../time.ts';
import { commandList } from './commands.ts';

const SLOWNESS = [
  { name: '250 ms, 64 kB/s', latency_ms: 250, rate_kbps: 64 },
  { name: '1 s, 16 kB/s', latency_ms: 1_000, rate_kbps: 16 },
  { name: '3 s, 4 kB/s', latency_ms: 3_000, rate_kbps: 4 },
] as const;

const RESTORE =
  'The link is whole again. The collector finds back by itself, and what waited on its disk fills in the gap.';

/** As long as the other: nothing below moves. */
const NOTHING_TO_RESTORE =
  'Nothing to restore: the link is whole. After a fault the collector finds back by itself, and what waited on its disk fills in the gap.';

export class LinkPanel {
  readonly element: HTMLElement;
  readonly #onChanged: (link: Link) => void;
  readonly #figure = h('div', { class: 'way', role: 'img' });
  readonly #word = h('span', { class: 'word' });
  readonly #details = h('p', { class: 'quiet since' });
  readonly #told = h('p', { class: 'told', role: 'status' });
  readonly #slowness = h(
    'select',
    { 'aria-label': 'How slow' },
    ...SLOWNESS.map(({ name }, i) => h('option', { value: String(i) }, name)),
  );
  readonly #buttons: { readonly name: string; readonly button: HTMLButtonElement }[] = [];
  readonly #restoreText = h('span', {}, RESTORE);
  #busy = false;
  /** Nobody carries out what is ordered of a server that does not answer. */
  #mayAct = true;
  #isWhole = false;

  /** `onChanged` is told how the link is after an act. */
  constructor(onChanged: (link: Link) => void) {
    this.#onChanged = onChanged;
    this.#figure.append(
      h('span', {}, 'collector'),
      h('span', { class: 'wire' }, this.#word),
      h('span', {}, 'server'),
    );
    this.element = h(
      'section',
      { class: 'link', 'aria-labelledby': 'link-title', hidden: true },
      h('h2', { id: 'link-title' }, 'The link'),
      this.#figure,
      this.#details,
      this.#act(
        'Cut',
        () => ({ action: 'cut' }),
        'Connections end and new ones are refused. The collector goes on capturing into its queue on disk; nothing is lost. Restore heals it.',
      ),
      this.#act(
        'Slow',
        () => ({ action: 'slow', ...this.#chosenSlowness() }),
        'Everything takes that much longer, both ways, and no more than that gets through. Frames come late; none is lost. Restore heals it.',
        this.#slowness,
      ),
      this.#act('Restore', () => ({ action: 'restore' }), this.#restoreText),
      this.#told,
      commandList(),
    );
  }

  update(state: State): void {
    const { lab } = state;
    this.element.hidden = lab == null;
    if (lab == null) return;
    const { since, details, error } = lab.link;
    const away = isAway(state);
    // It is the server that looks at the link.
    const seen = away ? ({ state: 'unknown', details: [] } as const) : lab.link;
    setAttribute(this.#figure, 'data-state', isSwallowing(seen) ? 'swallowing' : seen.state);
    setText(this.#word, linkWord(seen));
    setAttribute(this.#figure, 'aria-label', `collector, link ${linkWord(seen)}, server`);
    const told = [`${linkWord(lab.link)} since ${clockText(timeOf(since), serverNow())}`];
    if (details.length > 0) told.push(detailsText(details));
    setText(this.#details, `${away ? 'last known: ' : ''}${error ?? told.join(' · ')}`);
    this.#mayAct = !away;
    this.#isWhole = seen.state === 'whole';
    setText(this.#restoreText, this.#isWhole ? NOTHING_TO_RESTORE : RESTORE);
    this.#enable();
  }

  #act(
    name: string,
    action: () => LinkAction,
    sentence: Node | string,
    choice?: HTMLElement,
  ): HTMLElement {
    const id = `act-${name.toLowerCase()}`;
    const button = h('button', { type: 'button', 'aria-describedby': id }, name);
    button.addEventListener('click', () => void this.#do(name, action()));
    this.#buttons.push({ name, button });
    return h(
      'div',
      { class: 'act' },
      h('div', { class: 'do' }, button, choice ?? ''),
      h('p', { id }, sentence),
    );
  }

  async #do(name: string, action: LinkAction): Promise<void> {
    this.#busy = true;
    setText(this.#told, '');
    this.#enable();
    try {
      this.#onChanged(await changeLink(action));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // Without an answer it may have been done, or be done yet.
      const outcome =
        error.status === 0 ? `Nobody knows whether ${name} was done` : `${name} was not done`;
      setText(this.#told, `${outcome}: ${error.message}`);
    } finally {
      this.#busy = false;
      this.#enable();
    }
  }

  #enable(): void {
    for (const { name, button } of this.#buttons) {
      button.disabled = this.#busy || !this.#mayAct || (name === 'Restore' && this.#isWhole);
    }
  }

  #chosenSlowness(): { latency_ms: number; rate_kbps: number } {
    const { latency_ms, rate_kbps } = SLOWNESS[Number(this.#slowness.value)] ?? SLOWNESS[0];
    return { latency_ms, rate_kbps };
  }
}
