/**
 * What a scenario looked like over time: observations and export, brought to at most so many points
 * a line, whatever their size. The export is read line by line. All on wall time, since the
 * server's times are; milliseconds from the first observation.
 *
 * The delivery lag is told by capture time: how late what was captured at that moment was stored.
 */
import type { Line } from '#pages/plot.ts';
import { type LineSink, linesOf } from '../ledger/lines-of.ts';
import type { Observations } from '../oracle/observations.ts';
import { parseTime } from '../oracle/time.ts';

interface Band {
  readonly from_ms: number;
  readonly to_ms: number;
}

interface FaultBand extends Band {
  readonly name: string;
  readonly target: string;
  /** When the order to end it came; null where it ended by itself, or never. */
  readonly lifted_ms: number | null;
  /** It was not seen to end. */
  readonly open: boolean;
}

interface Mark {
  readonly at_ms: number;
  readonly text: string;
}

export interface Timeline {
  readonly start_us: number;
  readonly duration_ms: number;
  readonly bucket_ms: number;
  readonly faults: readonly FaultBand[];
  readonly exits: readonly Mark[];
  /** Of the source's link; `none` where it gave no answer. */
  readonly states: readonly (Band & { readonly state: string })[];
  /** The most in each bucket. */
  readonly queued: Line;
  /** In bins of their own, since they are counted between samples. */
  readonly acks_per_s: Line;
  readonly ack_bin_ms: number;
  /** The most in each bucket; empty without an export. */
  readonly lag_ms: Line;
  /** Frames in the store at the end of each bucket. */
  readonly stored: Line;
  readonly stored_by: 'export' | 'audit';
  /** Sources that no fault was aimed at; none without an export. */
  readonly bystanders: readonly { readonly name: string; readonly lag_ms: Line }[];
}

type StatusSample = Observations['statuses'][number];

const POINTS_MS_MIN = 100;
const ACK_BIN_MS_MIN = 500;
/** Longer without an answer than this, and nothing is known. */
const SILENT_MS = 1_500;
/** Shorter without a frame than this is the load's own unevenness. */
const BRIDGED_MS = 1_000;
/** Of two in one bucket the first of these is shown. */
const STATES = ['Stopped', 'Backoff', 'Recovering', 'Ready', 'none'];

/** Undefined when nobody looked on. */
export async function timelineOf(
  observations: Observations,
  exportPath: string | undefined,
  pointsMax: number,
): Promise<Timeline | undefined> {
  const { statuses, audits, faults, exits } = observations;
  const start = startOf(observations);
  const end = endOf(observations);
  if (start === undefined || end === undefined || end <= start) return undefined;
  const duration = (end - start) / 1_000;
  const points = Math.max(1, Math.min(pointsMax, Math.floor(duration / POINTS_MS_MIN)));
  const bucket = duration / points;
  const since = (us: number) => (us - start) / 1_000;
  const collector = sourceOf(observations);
  const own = statuses.filter(({ document }) => document.collector === collector);
  const bucketOf = (us: number) =>
    Math.max(0, Math.min(points - 1, Math.floor(since(us) / bucket)));
  const rows = new Rows(collector, bucketOf, points);
  const others = bystandersOf(observations).map(({ name, collector: other }) => ({
    name,
    rows: new Rows(other, bucketOf, points),
  }));
  if (exportPath !== undefined) {
    await linesOf(exportPath, new AllRows([rows, ...others.map((other) => other.rows)]));
  }
  const ackBin = Math.max(ACK_BIN_MS_MIN, duration / pointsMax);
  const stored =
    exportPath === undefined
      ? storedBySamples(audits, collector, start, bucket, points)
      : rows.stored();
  return {
    start_us: start,
    duration_ms: duration,
    bucket_ms: bucket,
    faults: faults.map(({ name, target, began, lifted, running }) => ({
      name,
      target,
      from_ms: since(began.wall_us),
      to_ms: since(running?.wall_us ?? lifted?.wall_us ?? end),
      lifted_ms: lifted && since(lifted.wall_us),
      open: running === null,
    })),
    exits: exits.map(({ at, process, code, signal, injected }) => ({
      at_ms: since(at.wall_us),
      text: `${process}: ${signal ?? `exit code ${code}`}${injected ? '' : ', by itself'}`,
    })),
    states: statesOf(own, since, bucket, points),
    queued: queuedOf(own, since, bucket, points),
    acks_per_s: acksOf(own, since, duration, ackBin),
    ack_bin_ms: ackBin,
    lag_ms: exportPath === undefined ? [] : bridged(rows.lags, BRIDGED_MS / bucket),
    stored,
    stored_by: exportPath === undefined ? 'audit' : 'export',
    bystanders: others
      .filter((other) => other.rows.lags.some((lag) => lag !== null))
      .map((other) => ({
        name: other.name,
        lag_ms: bridged(other.rows.lags, BRIDGED_MS / bucket),
      })),
  };
}

/** The collector that is drawn: the first that was looked at and is no bystander. */
export function sourceOf({ statuses, bystanders = [] }: Observations): string | undefined {
  const first = statuses.find(({ document }) => !bystanders.includes(document.collector));
  return (first ?? statuses[0])?.document.collector;
}

function bystandersOf({ bystanders = [] }: Observations): { name: string; collector: string }[] {
  return bystanders.map((collector, index) => ({
    name: bystanders.length === 1 ? 'bystander' : `bystander ${index + 1}`,
    collector,
  }));
}

/** Of the first observation of the source, in microseconds since 1970 UTC; undefined without any. */
export function startOf(observations: Observations): number | undefined {
  return momentsOf(observations).reduce<number | undefined>(
    (least, us) => (least === undefined || us < least ? us : least),
    undefined,
  );
}

function endOf(observations: Observations): number | undefined {
  return momentsOf(observations).reduce<number | undefined>(
    (most, us) => (most === undefined || us > most ? us : most),
    undefined,
  );
}

/** The server is looked at before the source is there; that says nothing of the scenario. */
function momentsOf({ statuses, audits, faults, exits }: Observations): number[] {
  const first = statuses[0]?.at.wall_us ?? 0;
  const times = faults.flatMap(({ began, lifted, running }) => [began, lifted, running]);
  return [
    ...[...statuses, ...exits].map(({ at }) => at),
    ...audits.map(({ at }) => at).filter(({ wall_us }) => wall_us >= first),
    ...times,
  ]
    .filter((at) => at !== null)
    .map(({ wall_us }) => wall_us);
}

/** Each line of the export is read once, for whichever collector it is of. */
class AllRows implements LineSink {
  readonly #all: readonly Rows[];

  constructor(all: readonly Rows[]) {
    this.#all = all;
  }

  /** What doesn't read is the oracle's to tell of. */
  push(line: string): void {
    const row = parsed(line);
    if (row === undefined) return;
    for (const rows of this.#all) rows.add(row);
  }
}

/** Rows of one collector on their way into buckets; of any, where it is not known. */
class Rows {
  readonly lags: (number | null)[];
  readonly #collector: string | undefined;
  readonly #bucketOf: (us: number) => number;
  readonly #arrived: number[];
  readonly #captures = new Clock();
  readonly #receipts = new Clock();

  constructor(collector: string | undefined, bucketOf: (us: number) => number, points: number) {
    this.#collector = collector;
    this.#bucketOf = bucketOf;
    this.lags = Array(points).fill(null);
    this.#arrived = Array(points).fill(0);
  }

  add(row: RowTimes): void {
    if (this.#collector !== undefined && row.collector !== this.#collector) return;
    const captured = this.#captures.read(row.captured_at);
    const received = this.#receipts.read(row.received_at);
    if (!(captured > 0 && received > 0)) return;
    const arrived = this.#bucketOf(received);
    this.#arrived[arrived] = (this.#arrived[arrived] ?? 0) + 1;
    const at = this.#bucketOf(captured);
    this.lags[at] = Math.max(this.lags[at] ?? 0, (received - captured) / 1_000);
  }

  stored(): Line {
    let sum = 0;
    return this.#arrived.map((count) => {
      sum += count;
      return sum;
    });
  }
}

interface RowTimes {
  readonly collector: unknown;
  readonly captured_at: string;
  readonly received_at: string;
}

function parsed(line: string): RowTimes | undefined {
  try {
    const row = JSON.parse(line);
    const whole = typeof row?.captured_at === 'string' && typeof row.received_at === 'string';
    return whole ? row : undefined;
  } catch {
    return undefined;
  }
}

/** Times of rows in microseconds since 1970 UTC; of many in a row each second is read but once. */
class Clock {
  #text = '';
  #secondUs = Number.NaN;

  /** NaN for what is no such time. */
  read(text: string): number {
    const second = text.slice(0, 19);
    if (second !== this.#text) {
      this.#text = second;
      this.#secondUs = parseTime(`${second}Z`);
    }
    return this.#secondUs + Number(text.slice(20, -1).padEnd(6, '0'));
  }
}

/** Holds the value before a gap over it, where the gap has fewer buckets than that. */
function bridged(line: Line, bucketsMax: number): Line {
  const held = [...line];
  let last = -1;
  for (const [index, value] of line.entries()) {
    if (value === null) continue;
    if (last >= 0 && index - last <= bucketsMax) held.fill(line[last] ?? null, last, index);
    last = index;
  }
  return held;
}

/** For each bucket its last value, held while answers come. */
function held<T>(
  samples: readonly { at_ms: number; value: T }[],
  bucket: number,
  points: number,
  merge: (a: T, b: T) => T,
): (T | null)[] {
  const values: (T | null)[] = [];
  let next = 0;
  let last: { at_ms: number; value: T } | undefined;
  for (let index = 0; index < points; index += 1) {
    const until = index === points - 1 ? Infinity : (index + 1) * bucket;
    const from = index * bucket;
    let value: T | null = null;
    for (let sample = samples[next]; sample && sample.at_ms < until; sample = samples[++next]) {
      value = value === null ? sample.value : merge(value, sample.value);
      last = sample;
    }
    if (value === null && last !== undefined && from - last.at_ms < SILENT_MS) value = last.value;
    values.push(value);
  }
  return values;
}

type Since = (us: number) => number;

function queuedOf(
  own: readonly StatusSample[],
  since: Since,
  bucket: number,
  points: number,
): Line {
  const samples = own.map(({ at, document }) => ({
    at_ms: since(at.wall_us),
    value: document.queue.frames,
  }));
  return held(samples, bucket, points, Math.max);
}

function statesOf(
  own: readonly StatusSample[],
  since: Since,
  bucket: number,
  points: number,
): Timeline['states'] {
  const samples = own.map(({ at, document }) => ({
    at_ms: since(at.wall_us),
    value: document.state,
  }));
  const rank = (state: string) => STATES.indexOf(state);
  const buckets = held(samples, bucket, points, (a, b) => (rank(a) <= rank(b) ? a : b));
  const states: { from_ms: number; to_ms: number; state: string }[] = [];
  for (const [index, value] of buckets.entries()) {
    const state = value ?? 'none';
    const last = states.at(-1);
    const to_ms = (index + 1) * bucket;
    if (last?.state === state) last.to_ms = to_ms;
    else states.push({ from_ms: index * bucket, to_ms, state });
  }
  return states;
}

/** Spread evenly between two samples. A process counts from 0, so less is a new beginning. */
function acksOf(own: readonly StatusSample[], since: Since, duration: number, bin: number): Line {
  const sums: (number | null)[] = Array(Math.max(1, Math.ceil(duration / bin))).fill(null);
  for (const [index, { at, document }] of own.entries()) {
    const before = own[index - 1];
    if (before === undefined) continue;
    const { acked } = document.counters;
    const rose = acked - before.document.counters.acked;
    const from = since(before.at.wall_us);
    const to = since(at.wall_us);
    if (to <= from) continue;
    const per_ms = (rose >= 0 ? rose : acked) / (to - from);
    for (let at_bin = Math.floor(from / bin); at_bin * bin < to; at_bin += 1) {
      const overlap = Math.min(to, (at_bin + 1) * bin) - Math.max(from, at_bin * bin);
      const target = Math.min(at_bin, sums.length - 1);
      sums[target] = (sums[target] ?? 0) + per_ms * overlap;
    }
  }
  return sums.map((sum, index) => {
    const length = Math.min(bin, duration - index * bin);
    return sum === null ? null : (sum * 1_000) / Math.max(length, bin / 2);
  });
}

/** Held from sample to sample, since what is stored stays, whoever answers. */
function storedBySamples(
  audits: Observations['audits'],
  collector: string | undefined,
  start: number,
  bucket: number,
  points: number,
): Line {
  const samples = audits.flatMap(({ at, document }) =>
    document.collectors
      .filter((one) => one.collector === collector)
      .map(({ totals }) => ({ at_ms: (at.wall_us - start) / 1_000, value: totals.stored })),
  );
  let last: number | null = null;
  return held(samples, bucket, points, Math.max).map((value) => {
    last = value ?? last;
    return last;
  });
}
