/**
 * What is going on with the shown collector, in a sentence or two: the place is always there, so
 * nothing moves when something happens. What is counted stands apart from what is announced.
 */
import type { Collector } from '../answers.ts';
import { serverNow } from '../clock.ts';
import { h, setAttribute, setText } from '../dom.ts';
import { ownPage } from '../known.ts';
import { isSwallowing } from '../link-details.ts';
import { lacksText } from '../sample-errors.ts';
import { type State, shownCollector, shownHeld } from '../state.ts';
import { clockText, countingText, durationText, MINUTE, timeOf } from '../time.ts';
import { plural, sentence } from '../units.ts';

/** Less than this may be two clocks that nobody keeps. */
const AHEAD_MIN = MINUTE;

interface Story {
  readonly kind: 'quiet' | 'lacking' | 'silent' | 'healing' | 'trouble';
  readonly head: string;
  readonly text: string;
  /** Counted from there. */
  readonly since?: number;
  /** Whether the collector's own page tells more. */
  readonly hasPage?: boolean;
}

export class StoryPanel {
  readonly element: HTMLElement;
  readonly #head = h('b', { class: 'head' });
  readonly #count = h('span', { class: 'count', 'aria-hidden': 'true' });
  readonly #text = h('span');
  readonly #page = h(
    'a',
    { target: '_blank', rel: 'noopener', hidden: true },
    'Open the collector’s own page',
  );

  constructor() {
    this.element = h(
      'section',
      { class: 'story', 'aria-label': 'What is going on' },
      h('p', { class: 'words', role: 'status' }, this.#head, ' ', this.#text),
      h('p', { class: 'beside' }, this.#count, this.#page),
    );
  }

  update(state: State): void {
    const { kind, head, text, since, hasPage } = storyOf(state);
    setAttribute(this.element, 'data-kind', kind);
    setText(this.#head, head);
    setText(this.#text, text);
    setText(this.#count, since === undefined ? '' : countingText(serverNow() - since));
    const page = hasPage === true ? ownPage(state.lab) : undefined;
    this.#page.hidden = page === undefined;
    setAttribute(this.#page, 'href', page);
  }
}

function storyOf(state: State): Story {
  const { connection, asOf } = state;
  if (connection.kind === 'away') {
    const known =
      asOf === undefined ? '' : ` What is shown was so at ${clockText(asOf, serverNow())}.`;
    return {
      kind: 'trouble',
      head: sentence(connection.reason),
      text: `It is asked again and again.${known} Collectors keep what they capture, and deliver it when it is back.`,
      since: connection.since,
    };
  }
  if (state.collectors === undefined) return { kind: 'quiet', head: '', text: '' };
  const collector = shownCollector(state);
  if (collector === undefined) {
    return state.view.collector === undefined
      ? { kind: 'quiet', head: '', text: '' }
      : {
          kind: 'trouble',
          head: 'No such collector.',
          text: 'Nobody of this name has been heard here.',
        };
  }
  const pending = state.audits.get(collector.collector)?.totals.pending ?? 0;
  if (collector.silent_since !== null)
    return silentStory(collector, collector.silent_since, pending);
  if (pending > 0) {
    return {
      kind: 'healing',
      head: `Catching up: ${plural(pending, 'frame')} pending.`,
      text: 'They come from the collector’s disk and fill in below with the times at which they were captured.',
      hasPage: true,
    };
  }
  return liveStory(state, collector);
}

function silentStory({ newest }: Collector, silentSince: string, pending: number): Story {
  const since = timeOf(silentSince);
  const known =
    newest === null
      ? 'No frame of it is stored yet.'
      : `Last known: frame ${newest.seq.toLocaleString('en')}, captured ${clockText(timeOf(newest.captured_at), serverNow())}${pending > 0 ? `, ${plural(pending, 'frame')} pending` : ''}.`;
  return {
    kind: 'silent',
    head: `Silent since ${clockText(since, serverNow())}.`,
    text: `${known} If it runs, what it captures meanwhile waits on its disk and will fill in here; its own page tells.`,
    since,
    hasPage: true,
  };
}

function liveStory(state: State, { collector, newest, waiting }: Collector): Story {
  if (waiting.length > 0) {
    return {
      kind: 'trouble',
      head: 'Another process asks to come in under this name.',
      text: 'Give each collector an id of its own.',
    };
  }
  if (newest === null)
    return { kind: 'quiet', head: 'Connected.', text: 'No frame is stored yet.' };
  const ahead = timeOf(newest.captured_at) - timeOf(newest.received_at);
  if (ahead > AHEAD_MIN) {
    return {
      kind: 'trouble',
      head: `Its clock is ahead of the server’s by ${durationText(ahead)}.`,
      text: 'Frames keep the times that it gave them: choose "Own" below for what is captured in the future.',
    };
  }
  const late = shownHeld(state)?.columns.some((column) => column.late.some((count) => count > 0));
  const filled =
    late === true ? ' What arrived late is drawn in colour, at the times of its capture.' : '';
  const link = state.lab?.link;
  if (link?.state === 'cut') {
    return {
      kind: 'silent',
      head: 'The link is cut.',
      text: 'The server has not noticed yet: it hears nothing, and counts the collector as silent within seconds.',
    };
  }
  if (link !== undefined && isSwallowing(link)) {
    return {
      kind: 'silent',
      head: 'The link swallows what is sent.',
      text: 'Connections stay open and nothing comes through: both sides find out by their deadlines, within seconds. What is swallowed is still on the collector’s disk, and is sent again.',
    };
  }
  if (link?.state === 'slow') {
    return {
      kind: 'quiet',
      head: 'The link is slow.',
      text: `Frames come later than they are captured; none is lost, for what is not through yet is on the collector’s disk.${filled}`,
    };
  }
  const totals = state.audits.get(collector)?.totals;
  if (totals !== undefined && totals.missing > 0) {
    return {
      kind: 'trouble',
      head: `${plural(totals.missing, 'frame')} missing: nobody has ${totals.missing === 1 ? 'it' : 'them'}.`,
      text: `New ones come in as they are captured. Choose "missing" above for which they are.${filled}`,
    };
  }
  if (state.lacks.length > 0) {
    return {
      // Once may be a busy machine, or a probe that is read once in so many samples.
      kind: state.lacks.some(({ count }) => count > 1) ? 'lacking' : 'quiet',
      head: 'Some values are missing from the samples.',
      text: sentence(lacksText(state.lacks)),
    };
  }
  const gone = (totals?.declared ?? 0) + (totals?.rejected ?? 0);
  if (gone > 0) {
    return {
      kind: 'quiet',
      head: 'Live.',
      text: `Frames come in as they are captured; ${plural(gone, 'frame')} of before did not: choose the counts above for which, and why.${filled}`,
    };
  }
  return {
    kind: 'quiet',
    head: 'All is well.',
    text: `Frames come in as they are captured. When the link fails they wait on the collector’s disk, and fill in here later.${filled}`,
  };
}
