/**
 * The collector's own page: its state, its queue, and when it tries again. It asks the collector
 * alone, once a second, so it works while the link is down. Everything that comes from there goes
 * in as text, never as markup.
 */

const PERIOD_MS = 1_000;
const DEADLINE_MS = 3_000;
/** Counting down looks wrong in steps of a second that are not the clock's. */
const COUNT_MS = 200;
/** An hour, a point a second. */
const HISTORY_MAX = 3_600;
/** What is shown of it, at least. */
const HISTORY_MS_MIN = 60_000;

const element = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');
const history = [];
/** Milliseconds since 1970, by the collector's clock; null while none is due. */
let nextRetryAt = null;
let attempts = 0;
/** The collector's clock minus this browser's. */
let clockOffset = 0;
/** When the collector stopped answering. */
let lostSince = null;

function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), units.length - 1);
  return `${(count / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function clock(time) {
  if (time === null) return '–';
  const date = new Date(time);
  const text = [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
  const today = date.toDateString() === new Date().toDateString();
  return today
    ? text
    : `${date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })}, ${text}`;
}

/** Names and values; the elements stay where the names do. */
function list(id, pairs) {
  const target = element(id);
  if (target.children.length !== pairs.length * (id === 'counters' ? 1 : 2)) {
    target.replaceChildren(
      ...pairs.flatMap(([name]) => {
        const term = document.createElement('dt');
        term.textContent = name;
        const value = document.createElement('dd');
        if (id !== 'counters') return [term, value];
        const pair = document.createElement('div');
        pair.append(term, value);
        return [pair];
      }),
    );
  }
  const values = target.querySelectorAll('dd');
  for (const [i, [, value]] of pairs.entries()) setText(values[i], value);
}

/** What the state's name means: Recovering comes between all failures, and is no healing yet. */
const STATE_WORDS = {
  Ready: 'connected to the server',
  Backoff: 'waiting before the next try',
  Recovering: 'trying to reach the server',
};

function storyOf({ state, last_error, queue }) {
  if (queue.disk_full) {
    return 'The disk under the queue is full: make room. Samples wait in memory until there is some.';
  }
  if (state === 'Ready') {
    return queue.frames > 1
      ? `The link is up; ${number.format(queue.frames)} frames are on their way to the server, with the times at which they were captured.`
      : 'The link is up; frames are delivered as they are captured.';
  }
  const why = last_error === null ? '' : ` At ${clock(last_error.at)}: ${last_error.message}.`;
  const hand =
    last_error?.retry === 'permanent' ? ' This needs a hand; it is tried again all the same.' : '';
  return `No frame can be delivered now; capturing goes on, and frames wait on this disk.${why}${hand}`;
}

function show(status) {
  const { collector, epoch, state, since, next_retry_at, queue, counters } = status;
  setText(element('collector'), collector);
  document.title = `${collector} – Holdfast collector`;
  setText(element('state'), state);
  element('state').dataset.state = state;
  const words = STATE_WORDS[state];
  setText(element('since'), `${words === undefined ? '' : `${words}, `}since ${clock(since)}`);
  nextRetryAt = next_retry_at === null ? null : Date.parse(next_retry_at);
  attempts = status.attempt;
  showRetry();
  setText(element('story'), storyOf(status));
  setText(element('frames'), number.format(queue.frames));
  setText(element('bytes'), `· ${bytes(queue.bytes)} of ${bytes(queue.limit_bytes)} on disk`);
  list('queue', [
    ['oldest captured at', clock(queue.oldest_captured_at)],
    ['when it is full', queue.when_full],
    ['epoch', epoch ?? 'none yet'],
  ]);
  list(
    'counters',
    Object.entries(counters).map(([name, value]) => [
      name.replaceAll('_', ' '),
      number.format(value),
    ]),
  );
  history.push({ at: Date.now(), frames: queue.frames });
  if (history.length > HISTORY_MAX) history.shift();
  drawHistory();
}

function showRetry() {
  const target = element('retry');
  if (nextRetryAt === null || lostSince !== null) return setText(target, '');
  const left = Math.max(0, nextRetryAt - Date.now() - clockOffset) / 1_000;
  const when = left === 0 ? 'trying now' : `next try in ${left.toFixed(1)} s`;
  setText(target, `${when}, after ${attempts} ${attempts === 1 ? 'failure' : 'failures'}`);
}

/** Steps, for between two readings nothing is known. */
function drawHistory() {
  const [width, height] = [1_000, 100];
  const svg = element('history');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const last = history.at(-1).at;
  const first = Math.min(history[0].at, last - HISTORY_MS_MIN);
  const most = Math.max(...history.map(({ frames }) => frames));
  // Nothing is flat at the bottom, and one frame on its way is no mountain.
  const top = Math.max(5, most);
  const x = (at) => ((at - first) / (last - first)) * width;
  const y = (frames) => height - 2 - (frames / top) * (height - 8);
  const path = history
    .map(({ at, frames }, i) => `${i === 0 ? `M${x(at)} ${y(frames)}` : `H${x(at)}V${y(frames)}`}`)
    .join('');
  svg.querySelector('.depth').setAttribute('d', path);
  svg.querySelector('.area').setAttribute('d', `${path}V${height}H${x(history[0].at)}Z`);
  setText(element('history-from'), clock(first));
  setText(element('history-top'), `at most ${number.format(most)} waiting`);
  svg.setAttribute(
    'aria-label',
    `Depth of the queue since this page was opened at ${clock(history[0].at)}: now ${history.at(-1).frames}, at most ${most} frames`,
  );
}

function showLive(error) {
  const live = element('live');
  lostSince = error === undefined ? null : (lostSince ?? Date.now());
  live.dataset.kind = error === undefined ? 'live' : 'away';
  setText(
    live,
    error === undefined
      ? 'Live'
      : `Not live since ${clock(lostSince)}, what is shown is old: ${error.message}`,
  );
}

/** The header has whole seconds: differences within two are none. */
function setClock(date) {
  const offset = Date.parse(date ?? '') - Date.now();
  clockOffset = Math.abs(offset) > 2_000 ? offset : 0;
}

async function refresh() {
  try {
    const response = await fetch('status', { signal: AbortSignal.timeout(DEADLINE_MS) });
    setClock(response.headers.get('date'));
    const body = await response.json();
    if (!response.ok) throw new Error(body.reason ?? `status ${response.status}`);
    showLive();
    show(body);
  } catch (error) {
    showLive(error);
    showRetry();
  }
}

async function repeat() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}

setInterval(showRetry, COUNT_MS);
repeat();
