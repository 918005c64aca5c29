/**
 * What is on the link, in few words for who does not know Toxiproxy: what each toxic does to what
 * goes over it; the same in both directions is said once. Pure.
 */
import type { Link, LinkState } from './answers.ts';

const DIRECTION = /(?: on the way)? to the (?:server|collector)$/;
/** As the lab tells of toxics that it has no words for: `timeout {"timeout":0} to the server`. */
const TOXIC = /^(\w+) (\{.*?\})(?= to the )/;

const STATE_WORDS: Readonly<Record<LinkState, string>> = {
  whole: 'whole',
  slow: 'slow',
  cut: 'cut',
  unknown: 'not known',
};

type Attributes = Readonly<Record<string, unknown>>;

const TOXIC_WORDS: Readonly<Record<string, (attributes: Attributes) => string>> = {
  timeout: ({ timeout }) =>
    timeout === 0
      ? 'swallows everything and says nothing'
      : `swallows everything, and ends a connection after ${timeout} ms without any`,
  reset_peer: ({ timeout }) =>
    timeout === 0
      ? 'resets new connections at their first bytes'
      : `resets new connections ${timeout} ms after their first bytes`,
  slow_close: ({ delay }) => `connections end ${delay} ms late`,
  limit_data: ({ bytes }) => `ends each connection after ${bytes} bytes`,
  slicer: ({ average_size, delay }) =>
    `cut into pieces of some ${average_size} bytes${typeof delay === 'number' && delay > 0 ? `, ${delay} µs apart` : ''}`,
};

/** `details`: as the lab tells them, `+250 ms to the server`. */
export function detailsText(details: readonly string[]): string {
  const readable = details.map(readableOf);
  const counts = new Map<string, number>();
  for (const detail of readable) {
    const what = detail.replace(DIRECTION, '');
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const told = readable.map((detail) => {
    const what = detail.replace(DIRECTION, '');
    return what !== detail && counts.get(what) === 2 ? `${what} both ways` : detail;
  });
  return [...new Set(told)].join(' · ');
}

/** A link that lets nothing through is not slow, whatever the API calls it. */
export function isSwallowing({ state, details }: Pick<Link, 'state' | 'details'>): boolean {
  return state === 'slow' && details.some((detail) => detail.startsWith('timeout '));
}

/** The state in one word. */
export function linkWord(link: Pick<Link, 'state' | 'details'>): string {
  return isSwallowing(link) ? 'swallowing' : STATE_WORDS[link.state];
}

function readableOf(detail: string): string {
  if (detail.startsWith('0 kB/s'))
    return detail.replace('0 kB/s', 'holds everything back on the way');
  return detail.replace(TOXIC, (whole: string, type: string, json: string) => {
    const words = TOXIC_WORDS[type];
    const attributes = attributesOf(json);
    return words === undefined || attributes === undefined
      ? whole
      : `${words(attributes)} on the way`;
  });
}

function attributesOf(json: string): Attributes | undefined {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
