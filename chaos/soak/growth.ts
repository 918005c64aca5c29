/**
 * Whether programs grow over a long run: memory and file handles by time within one process, the
 * disk of the store by rows, that of queues by time across restarts. Pure: what was sampled goes in,
 * a line for each program and measure comes out, in words and figures.
 *
 * A line is judged only where one process ran for long enough behind its warm-up, since any young
 * process grows. It grows when both its rate and what that rate adds up to are past their bounds.
 */
import type { UsageSample } from '../run/records.ts';
import { floorsOf, type Point, slopeOf } from './slope.ts';

export interface UsageEvidence {
  /** In the order of time. */
  readonly samples: readonly UsageSample[];
  /** How many rows the store had when; in the order of time. */
  readonly stored: readonly { readonly monotonic_ms: number; readonly rows: number }[];
  /** Mean of a payload, in bytes. */
  readonly payloadBytes: number;
}

interface GrowthLine {
  readonly service: string;
  readonly what: 'memory' | 'files' | 'disk';
  readonly verdict: 'steady' | 'grows' | 'not_judged';
  /** It says something of the product: another's growth is told, and not held against it. */
  readonly ours: boolean;
  /** In words. */
  readonly text: string;
  /** Null where there is nothing to tell it from. `unit` is that of both. */
  readonly rate: { readonly value: number; readonly bound: number; readonly unit: string } | null;
  /** Of the stretches that were looked at. */
  readonly minutes: number;
  readonly first: number;
  readonly last: number;
}

export interface Growth {
  readonly verdict: GrowthLine['verdict'];
  readonly lines: readonly GrowthLine[];
}

const MIB = 1_048_576;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** A young process fills its caches and heap. */
export const WARM_UP_MS = 5 * MINUTE_MS;
/** Behind the warm-up; what is shorter says nothing of an hour. */
export const JUDGED_MS_MIN = 10 * MINUTE_MS;

/**
 * At 200 frames/s 32 MiB an hour are 47 bytes a frame: less than anything that is kept for one. A
 * heap that is swept seldom was seen to creep up by most of the rise with nothing kept in it.
 */
const MEMORY = { perHour: 32 * MIB, rise: 64 * MIB, floorMs: MINUTE_MS };
const FILES = { perHour: 12, rise: 8, floorMs: MINUTE_MS };
/** A queue comes back to its settled frames, which are kept up to 64 MiB, and a segment or two. */
const QUEUE = { perHour: 32 * MIB, rise: 16 * MIB, floorMs: 5 * MINUTE_MS, kept: 80 * MIB };
/** A row has its payload, a key, times and a checksum, and pages are not filled to the end. */
const ROW = { factor: 2, extraBytes: 512, rowsMin: 10_000 };

const STORES: ReadonlySet<string> = new Set(['server']);
/**
 * What is answered for. Toxiproxy is not ours; what a fault launches, such as the mangler, lives for
 * as long as the fault, and is only told.
 */
const OURS: ReadonlySet<string> = new Set(['server', 'collector', 'source']);

export function growthOf(evidence: UsageEvidence): Growth {
  const byService = Map.groupBy(evidence.samples, ({ service }) => service);
  const lines = [...byService].flatMap(([service, samples]) => [
    processLine(service, samples, 'memory'),
    processLine(service, samples, 'files'),
    STORES.has(service) ? storeLine(service, samples, evidence) : queueLine(service, samples),
  ]);
  const ours = lines.filter((line) => line.ours).map(({ verdict }) => verdict);
  const verdict = (['grows', 'not_judged'] as const).find((one) => ours.includes(one));
  return { verdict: verdict ?? (ours.length === 0 ? 'not_judged' : 'steady'), lines };
}

/** Of memory and file handles, each process compared with itself alone. */
function processLine(
  service: string,
  samples: readonly UsageSample[],
  what: 'memory' | 'files',
): GrowthLine {
  const bounds = what === 'memory' ? MEMORY : FILES;
  const key = what === 'memory' ? 'resident_bytes' : 'open_files';
  const generations = Map.groupBy(samples, ({ generation }) => generation);
  const series = [...generations.values()]
    .map((one) => settled(one).map((sample) => pointOf(sample, sample[key])))
    .filter((points) => spanOf(points) >= JUDGED_MS_MIN)
    .map((points) => floorsOf(points, bounds.floorMs));
  const text = `no process of it ran for ${(WARM_UP_MS + JUDGED_MS_MIN) / MINUTE_MS} minutes`;
  return timeLine({ service, what, series, bounds, unjudged: text });
}

function queueLine(service: string, samples: readonly UsageSample[]): GrowthLine {
  const excess = samples.map((sample) =>
    pointOf(sample, Math.max(0, sample.disk_bytes - QUEUE.kept)),
  );
  const series = spanOf(excess) < JUDGED_MS_MIN ? [] : [floorsOf(excess, QUEUE.floorMs)];
  const unjudged = `it was looked at for less than ${JUDGED_MS_MIN / MINUTE_MS} minutes`;
  return timeLine({ service, what: 'disk', series, bounds: QUEUE, unjudged });
}

function timeLine({
  service,
  what,
  series,
  bounds,
  unjudged,
}: {
  readonly service: string;
  readonly what: GrowthLine['what'];
  readonly series: readonly (readonly Point[])[];
  readonly bounds: { readonly perHour: number; readonly rise: number };
  readonly unjudged: string;
}): GrowthLine {
  const ours = OURS.has(service);
  const slope = slopeOf(series);
  if (slope === undefined) return notJudged(service, what, unjudged);
  const perHour = slope * HOUR_MS;
  const longestMs = Math.max(...series.map(spanOf));
  const grows = perHour > bounds.perHour && slope * longestMs > bounds.rise;
  const minutes = series.reduce((sum, points) => sum + spanOf(points), 0) / MINUTE_MS;
  const tell = what === 'files' ? inHandles : inMib;
  const kept = what === 'disk' ? ` beyond the ${inMib(QUEUE.kept)} of settled frames` : '';
  const processes =
    what === 'disk'
      ? ''
      : ` in ${series.length === 1 ? 'one process' : `${series.length} processes`}`;
  return {
    service,
    what,
    verdict: grows ? 'grows' : 'steady',
    ours,
    text: `${service}, ${NAMES[what]}: ${signed(perHour, tell)} an hour over ${Math.round(minutes)} minutes${processes}${kept}; up to ${tell(bounds.perHour)} is taken for none`,
    rate: { value: perHour, bound: bounds.perHour, unit: what === 'files' ? '1/h' : 'bytes/h' },
    minutes,
    ...ends(series),
  };
}

/** Bytes of the store for each row that came in. */
function storeLine(
  service: string,
  samples: readonly UsageSample[],
  { stored, payloadBytes }: UsageEvidence,
): GrowthLine {
  const rowsAt = stepsOf(stored);
  const points = samples.flatMap(({ at, disk_bytes }) => {
    const rows = rowsAt(at.monotonic_ms);
    return rows === undefined ? [] : [{ x: rows, y: disk_bytes }];
  });
  const rows = spanOf(points);
  const floors = floorsOf(points, rows / 60);
  const slope = rows < ROW.rowsMin ? undefined : slopeOf([floors]);
  if (slope === undefined) {
    return notJudged(
      service,
      'disk',
      `fewer than ${ROW.rowsMin} rows came in while it was looked at`,
    );
  }
  const bound = ROW.factor * payloadBytes + ROW.extraBytes;
  const minutes = minutesOf(samples);
  return {
    service,
    what: 'disk',
    verdict: slope > bound ? 'grows' : 'steady',
    ours: true,
    text: `${service}, disk: ${Math.round(slope)} bytes for each of ${rows} rows over ${Math.round(minutes)} minutes; payloads of ${Math.round(payloadBytes)} bytes explain up to ${Math.round(bound)}`,
    rate: { value: slope, bound, unit: 'bytes/row' },
    minutes,
    ...ends([floors]),
  };
}

function notJudged(service: string, what: GrowthLine['what'], why: string): GrowthLine {
  return {
    service,
    what,
    verdict: 'not_judged',
    ours: OURS.has(service),
    text: `${service}, ${NAMES[what]}: not judged, since ${why}`,
    rate: null,
    minutes: 0,
    first: 0,
    last: 0,
  };
}

const NAMES = { memory: 'memory', files: 'file handles', disk: 'disk' } as const;

/** Without the warm-up of the process. */
function settled(samples: readonly UsageSample[]): readonly UsageSample[] {
  const from = (samples[0]?.at.monotonic_ms ?? 0) + WARM_UP_MS;
  return samples.filter(({ at }) => at.monotonic_ms >= from);
}

function pointOf({ at }: UsageSample, y: number): Point {
  return { x: at.monotonic_ms, y };
}

function spanOf(points: readonly Point[]): number {
  return (points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0);
}

function minutesOf(samples: readonly UsageSample[]): number {
  return spanOf(samples.map((sample) => pointOf(sample, 0))) / MINUTE_MS;
}

function ends(series: readonly (readonly Point[])[]): { first: number; last: number } {
  const points = series.flat();
  return { first: points[0]?.y ?? 0, last: points.at(-1)?.y ?? 0 };
}

/** How many rows there were at a time, by the newest count before it. */
function stepsOf(stored: UsageEvidence['stored']): (monotonicMs: number) => number | undefined {
  let index = -1;
  return (monotonicMs) => {
    while ((stored[index + 1]?.monotonic_ms ?? Infinity) <= monotonicMs) index += 1;
    return stored[index]?.rows;
  };
}

function inMib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

function inHandles(count: number): string {
  return `${count.toFixed(1)}`;
}

function signed(value: number, tell: (value: number) => string): string {
  return value < 0 ? tell(value) : `+${tell(value)}`;
}
