// Shows /status, once a second. Everything that comes from it goes in as text, never as markup.

const PERIOD_MS = 1_000;
const DEADLINE_MS = 3_000;

const element = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');

function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), units.length - 1);
  return `${(count / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function clock(time) {
  return time === null ? '–' : new Date(time).toLocaleString();
}

function list(id, pairs) {
  element(id).replaceChildren(
    ...pairs.flatMap(([name, value]) => {
      const term = document.createElement('dt');
      const description = document.createElement('dd');
      term.textContent = name;
      description.textContent = value;
      return [term, description];
    }),
  );
}

function show({ collector, epoch, state, since, attempt, next_retry_at, last_error, ...rest }) {
  element('collector').textContent = collector;
  element('state').textContent = state;
  element('state').className = `state ${state}`;
  element('since').textContent = `since ${clock(since)}`;
  element('retry').textContent =
    next_retry_at === null ? '' : `Failures: ${attempt}. Next dial at ${clock(next_retry_at)}.`;
  element('error').textContent =
    last_error === null
      ? ''
      : `Last error, at ${clock(last_error.at)}: ${last_error.message} (${last_error.retry})`;
  const { queue, counters } = rest;
  element('fill').value = queue.bytes / queue.limit_bytes;
  list('queue', [
    ['waiting frames', number.format(queue.frames)],
    ['on disk', `${bytes(queue.bytes)} of ${bytes(queue.limit_bytes)}`],
    ['oldest captured at', clock(queue.oldest_captured_at)],
    ['epoch', epoch ?? 'none yet'],
  ]);
  list(
    'counters',
    Object.entries(counters).map(([name, value]) => [name, number.format(value)]),
  );
}

async function refresh() {
  const live = element('live');
  try {
    const response = await fetch('status', { signal: AbortSignal.timeout(DEADLINE_MS) });
    const body = await response.json();
    if (!response.ok) throw new Error(body.reason);
    show(body);
    live.textContent = `live, ${new Date().toLocaleTimeString()}`;
    live.className = '';
  } catch (error) {
    live.textContent = `not live: what stands below is old (${error.message})`;
    live.className = 'stale';
  }
  setTimeout(refresh, PERIOD_MS);
}

refresh();
