/**
 * Answers from `series.db`, as the JSON text that goes over HTTP: it is made in the worker, so that a
 * large answer costs the server's main thread nothing. `schemas.ts` has its form. Synchronous.
 */
import { formatTime } from '#protocol/identity.ts';
import { isLone, mergeSummary, readBucket, type Summary } from './bucket.ts';
import type { Catalogue } from './catalogue.ts';
import { bucketAt, COARSEST, type Resolution, resolutionFor, widthOf } from './levels.ts';
import type { ChartedCollector, SeriesFile, SeriesName } from './series-file.ts';

/** In one answer; more are refused, for nobody looks at so many lines. */
export const SERIES_PER_ANSWER_MAX = 500;
/** In one answer, over all its series: some 30 MB. Above it the resolution gets coarser. */
const BUCKETS_PER_ANSWER_MAX = 250_000;

const TIME_MAX = Number.MAX_SAFE_INTEGER - 1;

export interface SeriesQuestion {
  /** All when empty, as with `metrics`. */
  readonly collectors: readonly string[];
  readonly metrics: readonly string[];
  /** Each has to be met; an empty value is met by series without that attribute. */
  readonly attributes: readonly { readonly key: string; readonly value: string }[];
  /** Microseconds since 1970 UTC; all there is when left out. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Buckets of a series, at most. */
  readonly points: number;
  readonly form: (typeof FORMS)[number];
}

/** Of each series a list of buckets, or a list for each of their values: a fifth of the text. */
export const FORMS = ['buckets', 'columns'] as const;

/** JSON text, or what is wrong with the question. */
export type SeriesAnswer = { readonly json: string } | { readonly wrong: string };

interface Line extends SeriesName {
  readonly number: number;
  readonly attributeMap: ReadonlyMap<string, string>;
}

interface Asked {
  readonly collector: ChartedCollector;
  readonly lines: readonly Line[];
}

/** `completeTo`: see `Follower`. */
export function answerSeries(
  file: SeriesFile,
  catalogue: Catalogue,
  question: SeriesQuestion,
  completeTo: number | undefined,
): SeriesAnswer {
  const asked = askedOf(file, catalogue, question);
  const count = asked.reduce((sum, { lines }) => sum + lines.length, 0);
  if (count > SERIES_PER_ANSWER_MAX) {
    return {
      wrong: `${count} series match, and one answer has ${SERIES_PER_ANSWER_MAX} at most: name collectors, metrics or attributes`,
    };
  }
  const resolution = resolve(file, asked, question, count);
  const write = WRITERS[question.form];
  const series = asked.flatMap((of) => (resolution ? seriesOf(file, of, resolution, write) : []));
  const head = JSON.stringify({
    complete_to: timeOrNull(completeTo),
    from: timeOrNull(resolution?.from),
    to: timeOrNull(resolution?.to),
    bucket_seconds: resolution ? resolution.step / 1e6 : null,
  });
  return { json: `${head.slice(0, -1)},"series":[${series.join(',')}]}` };
}

export function answerCatalogue(
  file: SeriesFile,
  catalogue: Catalogue,
  collectors: readonly string[],
  completeTo: number | undefined,
): SeriesAnswer {
  const asked = askedOf(file, catalogue, { collectors, metrics: [], attributes: [] });
  const json = JSON.stringify({
    complete_to: timeOrNull(completeTo),
    collectors: asked.map(({ collector, lines }) => ({
      collector: collector.collector,
      first_captured_at: formatTime(collector.firstCapturedAt),
      last_captured_at: formatTime(collector.lastCapturedAt),
      left_out: collector.leftOut,
      series: lines.map(namesOf),
    })),
  });
  return { json };
}

/** The collectors of a question that have any charted series, with those that match. */
function askedOf(
  file: SeriesFile,
  catalogue: Catalogue,
  question: Pick<SeriesQuestion, 'collectors' | 'metrics' | 'attributes'>,
): Asked[] {
  const collectors = new Set(question.collectors);
  return file
    .collectors()
    .filter(({ collector }) => collectors.size === 0 || collectors.has(collector))
    .map((collector) => ({
      collector,
      lines: [...catalogue.ofCollector(collector.id)]
        .flatMap((number) => lineOf(number, catalogue.nameOf(number)))
        .filter((line) => matches(line, question))
        .sort(byName),
    }))
    .filter(({ lines }) => lines.length > 0);
}

function lineOf(number: number, name: SeriesName | undefined): Line[] {
  if (name === undefined) return [];
  const pairs = JSON.parse(name.attributes) as [string, string][];
  return [{ number, ...name, attributeMap: new Map(pairs) }];
}

function matches(
  { metric, attributeMap }: Line,
  { metrics, attributes }: Pick<SeriesQuestion, 'metrics' | 'attributes'>,
): boolean {
  return (
    (metrics.length === 0 || metrics.includes(metric)) &&
    attributes.every(({ key, value }) => (attributeMap.get(key) ?? '') === value)
  );
}

function byName(a: Line, b: Line): number {
  if (a.metric !== b.metric) return a.metric < b.metric ? -1 : 1;
  if (a.attributes !== b.attributes) return a.attributes < b.attributes ? -1 : 1;
  return a.unit < b.unit ? -1 : Number(a.unit > b.unit);
}

function resolve(
  file: SeriesFile,
  asked: readonly Asked[],
  { from, to, points }: SeriesQuestion,
  count: number,
): Resolution | undefined {
  const collectors = asked.map(({ collector }) => collector);
  const empty = from !== undefined && to !== undefined && to <= from;
  if (collectors.length === 0 || empty) return undefined;
  const first = from ?? Math.min(...collectors.map(({ firstCapturedAt }) => firstCapturedAt));
  const last = to ?? Math.max(...collectors.map(({ lastCapturedAt }) => lastCapturedAt)) + 1;
  const affordable = Math.floor(BUCKETS_PER_ANSWER_MAX / count);
  // Nothing was captured before or after that; and what is beyond has no place in the file.
  const start = Math.min(Math.max(first, 0), TIME_MAX);
  return resolutionFor(
    { from: start, to: Math.min(Math.max(last, start + 1), TIME_MAX + 1) },
    Math.min(points, affordable),
    (level) =>
      Math.max(...collectors.map(({ id }) => file.extent(id, level).keptFrom * widthOf(level))),
  );
}

/** The buckets of one series, by time, as the last members of its JSON object. */
type Writer = (buckets: readonly TimedSummary[], resolution: Resolution) => string;
/** Number of the bucket among those of the answer's width, and what is in it. */
type TimedSummary = readonly [number: number, summary: Summary];

/** The series of one collector as JSON texts. */
function seriesOf(
  file: SeriesFile,
  { collector, lines }: Asked,
  resolution: Resolution,
  write: Writer,
): string[] {
  const found = new Map<number, Map<number, Summary>>(
    lines.map(({ number }) => [number, new Map()]),
  );
  const add = (time: number, summary: Uint8Array): void => {
    const step = Math.floor(time / resolution.step);
    readBucket(summary, found, (number, values) => {
      const steps = found.get(number);
      const known = steps?.get(step);
      if (known === undefined) steps?.set(step, values);
      else mergeSummary(known, values);
    });
  };
  for (let level = resolution.level; level <= COARSEST; level += 1) {
    const width = widthOf(level);
    const end = bucketAt(level, resolution.to - 1) + 1;
    const buckets = file.within(collector.id, level, bucketAt(level, resolution.from), end);
    for (const { bucket, summary } of buckets) {
      if (!isLone(summary)) {
        // On coarser levels these frames are counted again; each is on the answer's level, or lone.
        if (level === resolution.level) add(bucket * width, summary);
        continue;
      }
      const time = bucket * width + offsetOf(summary);
      if (time >= resolution.from && time < resolution.to) add(time, summary);
    }
  }
  return lines.map((line) => {
    const head = JSON.stringify({ collector: collector.collector, ...namesOf(line) });
    const buckets = [...(found.get(line.number) ?? [])].sort(([a], [b]) => a - b);
    return `${head.slice(0, -1)},${write(buckets, resolution)}}`;
  });
}

function offsetOf(summary: Uint8Array): number {
  return readBucket(summary, new Set(), () => {}).offsetUs;
}

const WRITERS: Readonly<Record<SeriesQuestion['form'], Writer>> = {
  buckets: (buckets, { step }) => {
    const texts = buckets.map(
      ([number, { min, max, mean, count, late }]) =>
        `{"t":"${formatTime(number * step)}","min":${min},"max":${max},"mean":${mean},"count":${count},"late":${late}}`,
    );
    return `"buckets":[${texts.join(',')}]`;
  },
  columns: (buckets, { step, from }) => {
    const starts = buckets.map(([number]) => (number * step - from) / 1_000);
    const isPoint = ({ min, max }: Summary) => min === max;
    return [
      `"t":[${starts.join(',')}]`,
      columnOf('mean', buckets),
      columnOf('min', buckets, isPoint),
      columnOf('max', buckets, isPoint),
      columnOf('count', buckets, ({ count }) => count === 1),
      columnOf('late', buckets, ({ late }) => late === 0),
    ].join(',');
  },
};

/** null where no bucket has anything of its own to tell; never where nothing is usual. */
function columnOf(
  name: keyof Summary,
  buckets: readonly TimedSummary[],
  isUsual?: (summary: Summary) => boolean,
): string {
  const tells = isUsual === undefined || buckets.some(([, summary]) => !isUsual(summary));
  const values = tells ? `[${buckets.map(([, summary]) => summary[name]).join(',')}]` : 'null';
  return `"${name}":${values}`;
}

function namesOf({ metric, unit, attributeMap }: Line) {
  return { metric, unit, attributes: Object.fromEntries(attributeMap) };
}

function timeOrNull(time: number | undefined): string | null {
  return time === undefined ? null : formatTime(time);
}
