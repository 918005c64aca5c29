/**
 * The page at `/`: collectors, what became of their frames, and their newest values.
 *
 * Everything shown comes from the API and is set as text, never as markup. Events say that
 * something is new; what it is, the page asks for, at most once a second. Where events don't come,
 * it asks every few seconds and says that it is not live.
 */

const REFRESH_MS = 1_000;
const POLL_MS = 5_000;
/** With more collectors than this their values stay folded until one is opened. */
const OPEN_AT_FIRST = 4;
/** Slow probes leave their values out of most samples, so the last few are looked through. */
const SAMPLES_READ = 12;

const cards = new Map();
let live = false;
let lastAnswerAt = '';
let refreshing = false;
let stale = true;

const byId = (id) => document.getElementById(id);

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(POLL_MS) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function refresh() {
  if (refreshing || !stale) return;
  refreshing = true;
  stale = false;
  try {
    const [collectors, audit] = await Promise.all([
      ask('/api/v1/collectors'),
      ask('/api/v1/audit'),
    ]);
    lastAnswerAt = collectors.as_of;
    showCollectors(collectors.collectors, new Map(audit.collectors.map((a) => [a.collector, a])));
    await Promise.all([...cards.values()].map(refreshValues));
    showLive(true);
  } catch {
    stale = true;
    showLive(false);
  } finally {
    refreshing = false;
  }
}

function showLive(answered) {
  const badge = byId('live');
  if (!answered) {
    badge.textContent = 'not live: the server does not answer';
    badge.className = 'badge bad';
  } else if (!live) {
    badge.textContent = `not live: asking every ${POLL_MS / 1_000} s`;
    badge.className = 'badge warn';
  } else {
    badge.textContent = 'live';
    badge.className = 'badge good';
  }
  if (!answered) for (const card of cards.values()) showUnknown(card);
  byId('as-of').textContent = lastAnswerAt === '' ? '' : `as of ${clock(lastAnswerAt)}`;
}

function showCollectors(collectors, audits) {
  byId('empty').hidden = collectors.length > 0;
  for (const collector of collectors) {
    const card = cards.get(collector.collector) ?? addCard(collector, collectors.length);
    card.newest = collector.newest;
    showState(card, collector);
    showTotals(card, audits.get(collector.collector)?.totals ?? {});
  }
}

function addCard(collector, count) {
  const section = byId('collector').content.cloneNode(true).querySelector('section');
  section.querySelector('h2').textContent = collector.collector;
  const details = section.querySelector('details');
  details.open = count <= OPEN_AT_FIRST;
  const card = { collector: collector.collector, section, details, newest: null, shown: '' };
  details.addEventListener('toggle', () => refreshValues(card).catch(() => showLive(false)));
  byId('collectors').append(section);
  cards.set(collector.collector, card);
  return card;
}

function showState({ section }, { connected, silent_since, newest }) {
  const badge = section.querySelector('.state');
  badge.textContent = connected ? '● live' : `○ silent since ${clock(silent_since)}`;
  badge.className = `badge state ${connected ? 'good' : 'warn'}`;
  section.querySelector('.newest').textContent = newest
    ? `newest frame ${newest.seq}, captured ${clock(newest.captured_at)}`
    : 'no frame stored yet';
}

/** What was so when the server last answered may not be so now. */
function showUnknown({ section }) {
  const badge = section.querySelector('.state');
  badge.textContent = `? not known since ${clock(lastAnswerAt)}`;
  badge.className = 'badge state';
}

function showTotals({ section }, totals) {
  const kinds = [
    ['stored', ''],
    ['pending', 'warn'],
    ['declared', 'warn'],
    ['rejected', 'warn'],
    ['missing', 'bad'],
  ];
  const items = kinds.map(([kind, look]) => {
    const item = document.createElement('div');
    const term = document.createElement('dt');
    const value = document.createElement('dd');
    term.textContent = kind;
    value.textContent = (totals[kind] ?? 0).toLocaleString('en');
    if (totals[kind] > 0) value.className = look;
    item.append(term, value);
    return item;
  });
  section.querySelector('.totals').replaceChildren(...items);
}

async function refreshValues(card) {
  const { newest, details, section } = card;
  if (!details.open || newest === null) return;
  const key = `${newest.epoch} ${newest.seq}`;
  if (card.shown === key) return;
  const query = new URLSearchParams({
    collector: card.collector,
    order: 'newest',
    limit: SAMPLES_READ,
  });
  const { frames } = await ask(`/api/v1/frames?${query}`);
  const sample = frames[0]?.payload;
  const rows = rowsOf(newestOfEach(frames));
  section.querySelector('tbody').replaceChildren(...rows);
  section.querySelector('table').hidden = rows.length === 0;
  const errors = Array.isArray(sample?.errors) ? sample.errors : [];
  const told = errors.map(({ probe, error }) => `${probe}: ${error}`);
  if (rows.length === 0) told.push('the newest payload is not a sample that this page can read');
  section.querySelector('.errors').textContent = told.join(' · ');
  card.shown = key;
}

/** Of each metric the newest value that any of these frames has, newest frame first. */
function newestOfEach(frames) {
  const newest = new Map();
  for (const { payload, captured_at } of frames) {
    if (!Array.isArray(payload?.metrics)) continue;
    for (const metric of payload.metrics) {
      const key = JSON.stringify([metric.name, metric.scope, metric.attributes]);
      if (!newest.has(key)) newest.set(key, { ...metric, captured_at });
    }
  }
  return [...newest.values()];
}

function rowsOf(metrics) {
  const sorted = metrics.toSorted((a, b) =>
    String(a.name).localeCompare(String(b.name), 'en', { numeric: true }),
  );
  return sorted.map((metric, index) => {
    const row = document.createElement('tr');
    const continued = sorted[index - 1]?.name === metric.name;
    if (continued) row.className = 'continued';
    const attributes = Object.entries(metric.attributes ?? {});
    row.append(
      cell('th', continued ? '' : metric.name),
      cell('td', metric.scope ?? ''),
      cell('td', attributes.map(([name, value]) => `${name} ${value}`).join(', ')),
      cell('td', valueText(metric), 'number'),
    );
    row.lastElementChild.title = `${metric.value} ${metric.unit}, captured ${clock(metric.captured_at)}`;
    return row;
  });
}

function cell(kind, text, look = '') {
  const element = document.createElement(kind);
  element.textContent = text;
  if (kind === 'th') element.scope = 'row';
  if (look !== '') element.className = look;
  return element;
}

function valueText({ value, unit, name }) {
  if (typeof value !== 'number') return String(value);
  if (unit === '1' && String(name).endsWith('utilization')) return `${(value * 100).toFixed(1)} %`;
  if (unit === 'By' || unit === 'By/s') return `${bytesText(value)}${unit === 'By/s' ? '/s' : ''}`;
  const number = value.toLocaleString('en', { maximumFractionDigits: 2 });
  const shownUnit = String(unit ?? '').replace(/[{}]/g, '');
  return shownUnit === '' || shownUnit === '1' ? number : `${number} ${shownUnit}`;
}

function bytesText(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let step = 0;
  while (Math.abs(value) >= 1_024 && step < units.length - 1) {
    value /= 1_024;
    step += 1;
  }
  return `${value.toFixed(step === 0 ? 0 : 1)} ${units[step]}`;
}

/** The time of day here, with the date where that is not today's. */
function clock(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

function listen() {
  const source = new EventSource('/api/v1/events');
  const onNews = () => {
    live = true;
    stale = true;
  };
  for (const name of ['hello', 'reset', 'stored', 'collector'])
    source.addEventListener(name, onNews);
  source.addEventListener('error', () => {
    live = false;
    stale = true;
    // The browser dials again by itself, unless it was refused: then we do.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, POLL_MS);
  });
}

listen();
refresh();
setInterval(refresh, REFRESH_MS);
setInterval(() => {
  stale = true;
}, POLL_MS);
