/**
 * Which numbers of a payload are charted, and under what name. docs/series.md tells the rule to people.
 * Pure; never throws, whatever the payload.
 *
 * A payload that is JSON (UTF-8) is walked from its top. An object with a string `name` and a number
 * `value` is one reading of the metric `name`: with its `unit`, its `attributes` (strings, numbers,
 * booleans) and its `scope` as one more attribute. Any other number is a reading of the metric that its
 * path names, keys joined by dots; an element of an array has its place as the attribute `index`; and
 * `attributes` in an object hold for all numbers below it. Everything else is not charted.
 *
 * Invariant: the cost is bounded by the payload's size, the result by the limits below.
 */

/**
 * The one metric that no payload brings: how long a frame was on its way. Only the server makes it, so
 * whoever looks at it sees what happened and not what a payload says.
 */
export const DELIVERY_LAG = 'holdfast.delivery.lag';

/** One number of a payload. Metric, unit and attributes together name its series. */
export interface Reading {
  readonly metric: string;
  /** Empty where none is told. */
  readonly unit: string;
  /** JSON of [key, value] pairs of strings, sorted by key: the same text for the same attributes. */
  readonly attributes: string;
  /** Finite. */
  readonly value: number;
}

export interface Readings {
  readonly readings: readonly Reading[];
  /** Numbers beyond the limits below, or under the server's own name. */
  readonly leftOut: number;
}

/** Of one payload; a host's sample has about a hundred. */
export const READINGS_MAX = 1_000;
const DEPTH_MAX = 16;
export const METRIC_CHARS_MAX = 200;
export const ATTRIBUTES_CHARS_MAX = 1_000;
const UNIT_CHARS_MAX = 64;
/** The metric of a payload that is nothing but a number. */
const BARE_METRIC = 'value';

const NONE: Readings = { readings: [], leftOut: 0 };
const NO_ATTRIBUTES = '[]';
const decoder = new TextDecoder('utf-8', { fatal: true });

type Pairs = readonly (readonly [string, string])[];
type JsonObject = Readonly<Record<string, unknown>>;

export function readingsOf(payload: Uint8Array): Readings {
  if (!mayBeJson(payload)) return NONE;
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch {
    return NONE;
  }
  const walk = new Walk();
  walk.visit(value, { path: '', pairs: [], attributes: NO_ATTRIBUTES, depth: 0 });
  return walk;
}

/**
 * What the server adds to the readings of a frame: from its capture, by the collector's clock, until it
 * was received, by the server's. Negative where the clocks disagree by more than the way took.
 */
export function deliveryLagOf(frame: {
  readonly capturedAt: number;
  readonly receivedAt: number;
}): Reading {
  const value = (frame.receivedAt - frame.capturedAt) / 1e6;
  return { metric: DELIVERY_LAG, unit: 's', attributes: NO_ATTRIBUTES, value };
}

/** False for most of what is not JSON, without the cost of an exception. */
function mayBeJson(payload: Uint8Array): boolean {
  const start = payload.subarray(0, 64).find((byte) => byte > 0x20);
  if (start === undefined) return payload.length > 64;
  // A brace, a bracket, a minus, a digit, or the first byte of a byte order mark.
  return (
    start === 0x7b ||
    start === 0x5b ||
    start === 0x2d ||
    (start >= 0x30 && start <= 0x39) ||
    start === 0xef
  );
}

/** Where the walk is, and what holds for the numbers there. */
interface Place {
  readonly path: string;
  readonly pairs: Pairs;
  /** The same as canonical text. */
  readonly attributes: string;
  readonly depth: number;
}

class Walk implements Readings {
  readonly readings: Reading[] = [];
  leftOut = 0;

  visit(value: unknown, place: Place): void {
    if (typeof value === 'number') {
      this.#add(place.path === '' ? BARE_METRIC : place.path, '', place.attributes, value);
    } else if (Array.isArray(value)) {
      this.#visitArray(value, place);
    } else if (isObject(value)) {
      this.#visitObject(value, place);
    }
  }

  #visitArray(elements: readonly unknown[], place: Place): void {
    if (this.#tooMuch(place)) return;
    for (const [index, element] of elements.entries()) {
      if (this.#tooMuch(place)) return;
      if (isNamed(element)) this.#addNamed(element, place);
      else if (typeof element === 'object' || typeof element === 'number') {
        const before = place.pairs.find(([key]) => key === 'index')?.[1];
        const at = before === undefined ? String(index) : `${before}.${index}`;
        this.visit(element, below(place, place.path, [['index', at]]));
      }
    }
  }

  #visitObject(object: JsonObject, place: Place): void {
    if (isNamed(object)) return this.#addNamed(object, place);
    const own = pairsOf(object.attributes);
    for (const [key, value] of Object.entries(object)) {
      if (typeof value !== 'number' && typeof value !== 'object') continue;
      if (key === 'attributes' && isObject(value)) continue;
      if (this.#tooMuch(place)) return;
      const path = place.path === '' ? key : `${place.path}.${key}`;
      this.visit(value, below(place, path, own));
    }
  }

  #addNamed(object: JsonObject & { name: string; value: number }, place: Place): void {
    const { name, value, unit, scope } = object;
    const pairs = pairsOf(object.attributes);
    const scoped = typeof scope === 'string' ? [...pairs, ['scope', scope] as const] : pairs;
    const { attributes } = scoped.length === 0 ? place : below(place, '', scoped);
    this.#add(name, typeof unit === 'string' ? unit : '', attributes, value);
  }

  #add(metric: string, unit: string, attributes: string, value: number): void {
    // JSON has no NaN, but 1e999 is read as Infinity.
    if (!Number.isFinite(value)) return;
    const fits =
      this.readings.length < READINGS_MAX &&
      metric.length > 0 &&
      metric.length <= METRIC_CHARS_MAX &&
      metric !== DELIVERY_LAG &&
      unit.length <= UNIT_CHARS_MAX &&
      attributes.length <= ATTRIBUTES_CHARS_MAX;
    if (fits) this.readings.push({ metric, unit, attributes, value });
    else this.leftOut += 1;
  }

  /** What lies deeper, or behind a thousand readings, is not even counted one by one. */
  #tooMuch({ depth }: Place): boolean {
    const over = depth >= DEPTH_MAX || this.readings.length >= READINGS_MAX;
    if (over) this.leftOut += 1;
    return over;
  }
}

function below(place: Place, path: string, added: Pairs): Place {
  const depth = place.depth + 1;
  if (added.length === 0) return { ...place, path, depth };
  const inherited = place.pairs.filter(([key]) => !added.some(([other]) => other === key));
  const pairs = [...inherited, ...added];
  return { path, pairs, attributes: canonical(pairs), depth };
}

function canonical(pairs: Pairs): string {
  const ascends = pairs.every(([key], i) => i === 0 || (pairs[i - 1]?.[0] ?? '') < key);
  if (ascends) return JSON.stringify(pairs);
  return JSON.stringify(pairs.toSorted(([a], [b]) => (a < b ? -1 : Number(a > b))));
}

function pairsOf(attributes: unknown): Pairs {
  if (!isObject(attributes)) return [];
  const pairs: [string, string][] = [];
  for (const [key, value] of Object.entries(attributes)) {
    const told =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (told) pairs.push([key, String(value)]);
  }
  return pairs;
}

function isNamed(value: unknown): value is JsonObject & { name: string; value: number } {
  return isObject(value) && typeof value.name === 'string' && typeof value.value === 'number';
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
