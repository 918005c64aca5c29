/**
 * What rows that are stored already cost: one store that grows, and at each size how fast it takes in
 * more, how soon it acknowledges, and how long its audit, its charts and a page of its export take.
 *
 * Seven of eight frames are noise, those of one collector are JSON and charted: so its charts grow as
 * the store does, and have caught up before anything is measured.
 */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatTime } from '#protocol/identity.ts';
import { textOf } from './api.ts';
import { BenchError } from './errors.ts';
import { type Figure, medianOf, quantileOf } from './figures.ts';
import { cpuSeconds, residentBytes } from './machine.ts';
import { type Bench, planOf } from './pipeline.ts';
import { type RunningServer, type RunningWire, TOKEN } from './programs.ts';
import type { Result } from './result.ts';
import { allCharted, askSeries } from './series.ts';
import { capturedAtOf, type FramePlan, METRICS } from './source/frames.ts';
import { verifyFile } from './stored/stored.ts';

interface Plan {
  /** Rows at which is measured, ascending. */
  readonly sizes: readonly number[];
  /** Frames of a sample of ingest. */
  readonly sampleFrames: number;
  /** Of one series, that a question is about. */
  readonly points: number;
}

const PLANS: Readonly<Record<Bench['size'], Plan>> = {
  short: { sizes: [200_000, 1_000_000], sampleFrames: 40_000, points: 20_000 },
  full: { sizes: [1_000_000, 5_000_000, 20_000_000], sampleFrames: 200_000, points: 100_000 },
};

const CONNECTIONS = 8;
const PAYLOAD_BYTES = 200;
const FRAMES_PER_MESSAGE = 800;
/** Made at a time: a connection that is silent for longer than that takes would be given up. */
const FILL_FRAMES = 400_000;
const SAMPLES = 5;
const ACKS = { rounds: 3, frames: 1_000, perSecond: 1_000 } as const;
const QUESTIONS = 100;
const EXPORTED = 1_000;
/** Of a collector that is measured beside all of them, and in whose middle the exported page lies. */
const ONE = 4;
/** What any of it may slow down by, as a factor. */
const SLOWER_MAX = 1.2;

/** What was measured at one size. */
interface Measured {
  readonly rows: number;
  readonly ingestPerS: readonly number[];
  /** For 100,000 frames, in seconds. */
  readonly cpuS: readonly number[];
  /** Of each round. */
  readonly ackMs: readonly (readonly number[])[];
  readonly residentMb: number;
  /** How long after the last of the fill's acks its frames were charted. */
  readonly behindS: number;
  readonly bytesPerRow: number;
  readonly timesMs: Readonly<Record<Question, readonly number[]>>;
}

const QUESTION_NAMES = [
  'audit',
  'audit of one collector',
  'series, oldest points',
  'series, newest points',
  'series, all points',
  'export, a page of the middle',
] as const;
type Question = (typeof QUESTION_NAMES)[number];

/** The store, what sends to it, and how far that has come. */
interface Growing {
  readonly bench: Bench;
  readonly plan: FramePlan;
  readonly directory: string;
  readonly server: RunningServer;
  readonly wire: RunningWire;
  /** Each connection's; the same for all. */
  sentEach: number;
}

export async function measureStoreGrowth(bench: Bench): Promise<Result> {
  const { sizes, sampleFrames, points } = PLANS[bench.size];
  const most = sizes.at(-1) ?? 0;
  const perSize = SAMPLES * sampleFrames + ACKS.rounds * ACKS.frames;
  const framesEach = (most + sizes.length * perSize) / CONNECTIONS;
  // Connection 0 sends the first frames of the plan: those are charted.
  const plan = { ...planOf(bench, PAYLOAD_BYTES), jsonFrames: framesEach };
  const directory = join(bench.directory, 'growth', 'store');
  await mkdir(directory, { recursive: true });
  const server = await bench.programs.server(directory);
  const open = { port: server.port, token: TOKEN, connections: CONNECTIONS, framesEach, plan };
  const wire = await bench.programs.wire(open);
  const growing: Growing = { bench, plan, directory, server, wire, sentEach: 0 };
  const measured: Measured[] = [];
  for (const rows of sizes) measured.push(await measureAt(growing, rows));
  await wire.stop();
  await server.stop();
  const { sentEach } = growing;
  bench.progress(`growth: verifying ${CONNECTIONS * sentEach} rows`);
  const sent = Array.from({ length: CONNECTIONS }, (_, i) => ({
    first: i * framesEach,
    sent: sentEach,
  }));
  const verification = await verifyFile(directory, plan, sent, bench.signal);
  await rm(join(bench.directory, 'growth'), { recursive: true });
  const proof = { of: 'growth, read from the file', ...verification, resent: 0, resentMax: 0 };
  return { figures: figuresOf(measured, sampleFrames, points), proofs: [proof] };
}

async function measureAt(growing: Growing, rows: number): Promise<Measured> {
  const { bench, server, wire, directory } = growing;
  const { sampleFrames, points } = PLANS[bench.size];
  bench.progress(`growth: filling to ${rows} rows`);
  await fill(growing, rows);
  const ackedMs = performance.now();
  await allCharted(server.api);
  const behindS = (performance.now() - ackedMs) / 1_000;
  const bytesPerRow = (await bytesOf(directory)) / (growing.sentEach * CONNECTIONS);
  bench.progress(`growth: measuring at ${rows} rows`);
  const ingestPerS: number[] = [];
  const cpuS: number[] = [];
  for (let i = 0; i < SAMPLES; i += 1) {
    const before = cpuSeconds(server.pid);
    const elapsedMs = await drain(growing, sampleFrames);
    cpuS.push(((cpuSeconds(server.pid) - before) * 100_000) / sampleFrames);
    ingestPerS.push((sampleFrames * 1_000) / elapsedMs);
  }
  const ackMs: (readonly number[])[] = [];
  for (let i = 0; i < ACKS.rounds; i += 1) {
    const { frames, perSecond } = ACKS;
    ackMs.push((await wire.ask({ type: 'steady', frames, perSecond })).ackMs);
    growing.sentEach += frames / CONNECTIONS;
  }
  await allCharted(server.api);
  const timesMs = await askAll(growing, points);
  const residentMb = residentBytes(server.pid) / 1e6;
  return { rows, ingestPerS, cpuS, ackMs, residentMb, behindS, bytesPerRow, timesMs };
}

async function fill(growing: Growing, rows: number): Promise<void> {
  for (let left = rows - growing.sentEach * CONNECTIONS; left > 0; left -= FILL_FRAMES) {
    await drain(growing, Math.min(left, FILL_FRAMES));
  }
}

/** Sends frames over all connections. Answers the milliseconds from the first write to the last ack. */
async function drain(growing: Growing, frames: number): Promise<number> {
  const { bench, wire } = growing;
  bench.signal.throwIfAborted();
  const framesEach = frames / CONNECTIONS;
  await wire.ask({ type: 'make', framesEach, framesPerMessage: FRAMES_PER_MESSAGE });
  const { elapsedMs } = await wire.ask({ type: 'drain' });
  growing.sentEach += framesEach;
  return elapsedMs;
}

/** Of the store's and the charts' files. */
async function bytesOf(directory: string): Promise<number> {
  const names = ['holdfast.db', 'series.db'];
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(join(directory, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function askAll(growing: Growing, points: number): Promise<Measured['timesMs']> {
  const { plan, server, sentEach } = growing;
  const { api } = server;
  const framesEach = plan.jsonFrames ?? 0;
  const [metric] = METRICS;
  const middle = ONE * framesEach + Math.floor(sentEach / 2);
  const from = formatTime(capturedAtOf(plan, middle));
  const to = formatTime(capturedAtOf(plan, middle + EXPORTED));
  const stored = (text: string): number =>
    (JSON.parse(text) as AuditText).collectors.reduce((n, { totals }) => n + totals.stored, 0);
  const charted = (text: string): number =>
    (JSON.parse(text) as SeriesText).series[0]?.buckets.reduce((n, { count }) => n + count, 0) ?? 0;
  const lines = (text: string): number => text.split('\n').length - 1;
  return {
    audit: await ask(`${api}/api/v1/audit`, stored, sentEach * CONNECTIONS),
    'audit of one collector': await ask(
      `${api}/api/v1/audit?collector=wire-${ONE}`,
      stored,
      sentEach,
    ),
    'series, oldest points': await askSeries(api, plan, points),
    'series, newest points': await askSeries(api, plan, points, sentEach - points),
    'series, all points': await ask(`${api}/api/v1/series?metric=${metric}`, charted, sentEach),
    'export, a page of the middle': await ask(
      `${api}/api/v1/export?from=${from}&to=${to}`,
      lines,
      EXPORTED,
    ),
  };
}

interface AuditText {
  readonly collectors: readonly { readonly totals: { readonly stored: number } }[];
}

interface SeriesText {
  readonly series: readonly { readonly buckets: readonly { readonly count: number }[] }[];
}

/**
 * Asks the same again and again, after as many times unmeasured that the server knows the way. Answers
 * the times in milliseconds, the answer's text included.
 * @throws BenchError when an answer counts something else than expected.
 */
async function ask(url: string, counted: (text: string) => number, expected: number) {
  const timesMs: number[] = [];
  for (let n = 0; n < 2 * QUESTIONS; n += 1) {
    const startedAt = performance.now();
    const text = await textOf(url);
    if (n >= QUESTIONS) timesMs.push(performance.now() - startedAt);
    const found = counted(text);
    if (found !== expected) throw new BenchError(`${url} counts ${found}, not ${expected}`);
  }
  return timesMs;
}

function figuresOf(measured: readonly Measured[], sampleFrames: number, points: number): Figure[] {
  const of = (
    about: Omit<Figure, 'samples' | 'at'>,
    pick: (one: Measured) => readonly number[],
  ): Figure[] =>
    measured.map((one) => ({
      ...about,
      at: { value: one.rows, unit: 'rows' },
      samples: pick(one),
    }));
  const questions: Readonly<Record<Question, string>> = {
    audit: `of all ${CONNECTIONS} collectors`,
    'audit of one collector': 'of one of them',
    'series, oldest points': `${points} points of one series to 1,000 buckets, the first there are; each counted`,
    'series, newest points': `${points} points of the same series to 1,000 buckets, the last there are`,
    'series, all points':
      'the whole of that series, an eighth of the rows, to at most 1,000 buckets',
    'export, a page of the middle': `${EXPORTED} frames between two capture times in the middle of the store, as NDJSON`,
  };
  return [
    ...of(
      {
        name: 'ingest',
        unit: 'frames/s',
        method: `${sampleFrames} frames of ${PAYLOAD_BYTES} bytes over ${CONNECTIONS} connections, made beforehand, from the first write to the last ack of a committed row; from so many rows on, the charts complete before the first sample`,
      },
      ({ ingestPerS }) => ingestPerS,
    ),
    ...of(
      {
        name: 'ingest, CPU of the server for 100,000 frames',
        unit: 's',
        bound: 'processor',
        method: 'all threads, user and system, over the same',
      },
      ({ cpuS }) => cpuS,
    ),
    ...of(
      {
        name: 'write to ack, p50',
        unit: 'ms',
        method: `${ACKS.frames} single frames at ${ACKS.perSecond}/s in each of ${ACKS.rounds} rounds`,
      },
      ({ ackMs }) => ackMs.map((round) => quantileOf(round, 0.5)),
    ),
    ...of({ name: 'write to ack, p99', unit: 'ms', method: 'of the same frames' }, ({ ackMs }) =>
      ackMs.map((round) => quantileOf(round, 0.99)),
    ),
    ...QUESTION_NAMES.flatMap((name) =>
      of(
        { name, unit: 'ms', method: `${questions[name]}; over HTTP, one after the other` },
        ({ timesMs }) => timesMs[name],
      ),
    ),
    ...of(
      { name: 'memory of the server', unit: 'MB', method: 'resident, after all of this' },
      ({ residentMb }) => [residentMb],
    ),
    ...of(
      {
        name: 'charts behind the last ack',
        unit: 's',
        bound: 'processor',
        method: 'from the end of the fill to so many rows until all of them were charted',
      },
      ({ behindS }) => [behindS],
    ),
    ...of(
      {
        name: 'bytes a row',
        unit: 'B/frame',
        method: 'of the store and its charts, in their files',
      },
      ({ bytesPerRow }) => [bytesPerRow],
    ),
    ...ratiosOf(measured),
  ];
}

type Compared = Pick<Measured, 'rows' | 'ingestPerS' | 'ackMs' | 'timesMs'>;

/** The largest store over the smallest. */
export function ratiosOf(measured: readonly Compared[]): Figure[] {
  const [least, most] = [measured[0], measured.at(-1)];
  if (least === undefined || most === undefined) return [];
  const ratio = (pick: (one: Compared) => readonly number[]) => [
    medianOf(pick(most)) / medianOf(pick(least)),
  ];
  const method = `the median at ${most.rows} rows over that at ${least.rows}`;
  const about = { unit: 'ratio', method } as const;
  const atMost = [{ of: 'max', at: 'most', value: SLOWER_MAX }] as const;
  const grows = 'series, all points';
  return [
    {
      ...about,
      name: 'ingest, largest / smallest',
      samples: ratio(({ ingestPerS }) => ingestPerS),
      aims: [{ of: 'min', at: 'least', value: 1 / SLOWER_MAX }],
    },
    {
      ...about,
      name: 'write to ack, p50, largest / smallest',
      samples: ratio(({ ackMs }) => ackMs.map((round) => quantileOf(round, 0.5))),
      aims: atMost,
    },
    ...QUESTION_NAMES.map(
      (name): Figure => ({
        ...about,
        name: `${name}, largest / smallest`,
        samples: ratio(({ timesMs }) => timesMs[name]),
        // There is more of it: that is asked for, and shown.
        ...(name === grows ? {} : { aims: atMost }),
      }),
    ),
  ];
}
