/**
 * What rows that are stored already cost: stores of several sizes, measured by turns, so that what else
 * goes on meets all of them. How fast each takes in more, how soon it acknowledges, and how long its
 * audit, its charts and a page of its export take.
 *
 * Seven of eight frames are noise, those of one collector are JSON and charted: so the charts grow as
 * the store does. They have caught up before anything is measured.
 */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatTime } from '#protocol/identity.ts';
import { textOf } from './api.ts';
import { BenchError } from './errors.ts';
import { type Figure, medianOf, perSecond, quantileOf } from './figures.ts';
import { cpuSeconds, residentBytes, writtenBytes } from './machine.ts';
import { type Bench, planOf } from './pipeline.ts';
import { type RunningServer, type RunningWire, TOKEN } from './programs.ts';
import type { Proof, Result } from './result.ts';
import { allCharted, askSeries } from './series.ts';
import { capturedAtOf, type FramePlan, METRICS } from './source/frames.ts';
import { verifyFile } from './stored/stored.ts';

interface Plan {
  /** Rows of each store before it is measured, ascending. */
  readonly sizes: readonly number[];
  readonly rounds: number;
  /** Frames of a sample of ingest. */
  readonly sampleFrames: number;
  /** Of one series, that a question is about. */
  readonly points: number;
}

const PLANS: Readonly<Record<Bench['size'], Plan>> = {
  short: { sizes: [200_000, 1_000_000], rounds: 3, sampleFrames: 40_000, points: 20_000 },
  full: {
    sizes: [1_000_000, 4_000_000, 20_000_000],
    rounds: 5,
    sampleFrames: 200_000,
    points: 100_000,
  },
};

const CONNECTIONS = 8;
const PAYLOAD_BYTES = 200;
const FRAMES_PER_MESSAGE = 800;
/** Made at a time: a connection that is silent for longer than that takes would be given up. */
const FILL_FRAMES = 400_000;
const ACKS = { frames: 480, perSecond: 1_000 } as const;
/** In each round, and before those so many that are not measured. */
const QUESTIONS = 20;
const UNMEASURED = 5;
const EXPORTED = 1_000;
/** Of a collector that is measured beside all of them, and in whose middle the exported page lies. */
const ONE = 4;
/** What any of it may slow down by, as a factor. */
const SLOWER_MAX = 1.2;

const QUESTION_NAMES = [
  'audit',
  'audit of one collector',
  'series, oldest points',
  'series, newest points',
  'series, all points',
  'export, a page of the middle',
] as const;
type Question = (typeof QUESTION_NAMES)[number];

/** A store, what sends to it, and how far that has come. */
interface Store {
  readonly rows: number;
  readonly plan: FramePlan;
  /** Room in the plan for those of each connection. */
  readonly framesEach: number;
  readonly directory: string;
  readonly server: RunningServer;
  readonly wire: RunningWire;
  /** Each connection's; the same for all. */
  sentEach: number;
}

/** One store in one round. */
interface Sample {
  readonly ingestPerS: number;
  /** For 100,000 frames, in seconds. */
  readonly cpuS: number;
  /** To disk, for each frame. */
  readonly writtenBytes: number;
  readonly ackMs: readonly number[];
  readonly timesMs: Readonly<Record<Question, readonly number[]>>;
}

/** One store, in all rounds. */
interface Measured {
  readonly rows: number;
  readonly samples: readonly Sample[];
  /** How long after the last of the fill's acks its frames were charted. */
  readonly behindS: number;
  readonly bytesPerRow: number;
  readonly residentMb: number;
}

export async function measureStoreGrowth(bench: Bench): Promise<Result> {
  const { sizes, rounds } = PLANS[bench.size];
  const filled = [];
  for (const rows of sizes) filled.push(await openFilled(bench, rows));
  for (let i = 1; i <= rounds; i += 1) {
    bench.progress(`growth: round ${i} of ${rounds}`);
    for (const { store, samples } of i % 2 === 1 ? filled : filled.toReversed()) {
      samples.push(await measureOnce(bench, store));
    }
  }
  const measured: Measured[] = [];
  const proofs: Proof[] = [];
  for (const { store, ...facts } of filled) {
    const residentMb = residentBytes(store.server.pid) / 1e6;
    measured.push({ ...facts, rows: store.rows, residentMb });
    proofs.push(await closeVerified(bench, store));
  }
  return { figures: figuresOf(measured, PLANS[bench.size]), proofs };
}

async function openFilled(bench: Bench, rows: number) {
  const { rounds, sampleFrames } = PLANS[bench.size];
  bench.progress(`growth: filling a store with ${rows} rows`);
  const framesEach = (rows + rounds * (sampleFrames + ACKS.frames)) / CONNECTIONS;
  // Connection 0 sends the first frames of the plan: those are charted.
  const plan = { ...planOf(bench, PAYLOAD_BYTES), jsonFrames: framesEach };
  const directory = join(bench.directory, `growth-${rows}`);
  await mkdir(directory);
  const server = await bench.programs.server(directory);
  const open = { port: server.port, token: TOKEN, connections: CONNECTIONS, framesEach, plan };
  const wire = await bench.programs.wire(open);
  const store: Store = { rows, plan, framesEach, directory, server, wire, sentEach: 0 };
  for (let left = rows; left > 0; left -= FILL_FRAMES) {
    bench.signal.throwIfAborted();
    await drain(store, Math.min(left, FILL_FRAMES));
  }
  const ackedMs = performance.now();
  await allCharted(server.api);
  const behindS = (performance.now() - ackedMs) / 1_000;
  const bytesPerRow = (await bytesOf(directory)) / rows;
  return { store, behindS, bytesPerRow, samples: [] as Sample[] };
}

/** Sends frames over all connections. Answers the milliseconds from the first write to the last ack. */
async function drain(store: Store, frames: number): Promise<number> {
  const framesEach = frames / CONNECTIONS;
  await store.wire.ask({ type: 'make', framesEach, framesPerMessage: FRAMES_PER_MESSAGE });
  const { elapsedMs } = await store.wire.ask({ type: 'drain' });
  store.sentEach += framesEach;
  return elapsedMs;
}

/** Leaves the charts complete. */
async function measureOnce(bench: Bench, store: Store): Promise<Sample> {
  const { sampleFrames, points } = PLANS[bench.size];
  const { server, wire } = store;
  const timesMs = await askAll(store, points);
  const { ackMs } = await wire.ask({ type: 'steady', ...ACKS });
  store.sentEach += ACKS.frames / CONNECTIONS;
  const before = { cpuS: cpuSeconds(server.pid), written: writtenBytes(server.pid) };
  const elapsedMs = await drain(store, sampleFrames);
  const used = {
    cpuS: ((cpuSeconds(server.pid) - before.cpuS) * 100_000) / sampleFrames,
    writtenBytes: (writtenBytes(server.pid) - before.written) / sampleFrames,
  };
  await allCharted(server.api);
  return { ingestPerS: perSecond(sampleFrames, elapsedMs), ...used, ackMs, timesMs };
}

async function closeVerified(bench: Bench, store: Store): Promise<Proof> {
  const { rows, plan, framesEach, directory, server, wire, sentEach } = store;
  bench.progress(`growth: verifying the store of ${rows} rows`);
  await wire.stop();
  await server.stop();
  const sent = Array.from({ length: CONNECTIONS }, (_, i) => ({
    first: i * framesEach,
    sent: sentEach,
  }));
  const verification = await verifyFile(directory, plan, sent, bench.signal);
  await rm(directory, { recursive: true });
  const of = `growth, ${rows} rows and more, read from the file`;
  return { of, ...verification, resent: 0, resentMax: 0 };
}

/** Of the store's and the charts' files. */
async function bytesOf(directory: string): Promise<number> {
  const names = ['holdfast.db', 'series.db'];
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(join(directory, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function askAll(store: Store, points: number): Promise<Sample['timesMs']> {
  const { plan, framesEach, server, sentEach } = store;
  const { api } = server;
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
    'series, oldest points': await askSeries(api, plan, points, QUESTIONS),
    'series, newest points': await askSeries(api, plan, points, QUESTIONS, sentEach - points),
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
 * Asks the same again and again, a few times unmeasured at first. Answers the times in milliseconds, the
 * answer's text included.
 * @throws BenchError when an answer counts something else than expected.
 */
async function ask(url: string, counted: (text: string) => number, expected: number) {
  const timesMs: number[] = [];
  for (let n = 0; n < UNMEASURED + QUESTIONS; n += 1) {
    const startedAt = performance.now();
    const text = await textOf(url);
    if (n >= UNMEASURED) timesMs.push(performance.now() - startedAt);
    const found = counted(text);
    if (found !== expected) throw new BenchError(`${url} counts ${found}, not ${expected}`);
  }
  return timesMs;
}

function figuresOf(measured: readonly Measured[], plan: Plan): Figure[] {
  return [
    ...ingestFiguresOf(measured, plan),
    ...questionFiguresOf(measured, plan),
    ...storeFiguresOf(measured),
    ...ratiosOf(measured),
  ];
}

/** A figure without what is of one store. */
type About = Omit<Figure, 'samples' | 'at'>;

/** One for each store. */
function sized(
  measured: readonly Measured[],
  about: About,
  pick: (one: Measured) => readonly number[],
): Figure[] {
  return measured.map((one) => {
    return { ...about, at: { value: one.rows, unit: 'rows' }, samples: pick(one) };
  });
}

/** The same, a sample for each round. */
function byRound(
  measured: readonly Measured[],
  about: About,
  pick: (sample: Sample) => number,
): Figure[] {
  return sized(measured, about, ({ samples }) => samples.map(pick));
}

function ingestFiguresOf(measured: readonly Measured[], { sampleFrames }: Plan): Figure[] {
  const of = (about: About, pick: (sample: Sample) => number) => byRound(measured, about, pick);
  return [
    ...of(
      {
        name: 'ingest',
        unit: 'frames/s',
        method: `${sampleFrames} frames of ${PAYLOAD_BYTES} bytes over ${CONNECTIONS} connections in each round, made beforehand, from the first write to the last ack of a committed row; on top of so many rows, the charts complete before`,
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
        name: 'ingest, written to disk',
        unit: 'B/frame',
        method: 'by the server over the same: its log, and what it moved from there',
      },
      (sample) => sample.writtenBytes,
    ),
    ...of(
      {
        name: 'write to ack, p50',
        unit: 'ms',
        method: `${ACKS.frames} single frames at ${ACKS.perSecond}/s in each round`,
      },
      ({ ackMs }) => quantileOf(ackMs, 0.5),
    ),
    ...of({ name: 'write to ack, p99', unit: 'ms', method: 'of the same frames' }, ({ ackMs }) =>
      quantileOf(ackMs, 0.99),
    ),
  ];
}

function questionFiguresOf(measured: readonly Measured[], { points }: Plan): Figure[] {
  const questions: Readonly<Record<Question, string>> = {
    audit: `of all ${CONNECTIONS} collectors`,
    'audit of one collector': 'of one of them',
    'series, oldest points': `${points} points of one series to 1,000 buckets, the first there are; each counted`,
    'series, newest points': `${points} points of the same series to 1,000 buckets, the last there are`,
    'series, all points':
      'the whole of that series, an eighth of the rows, to at most 1,000 buckets',
    'export, a page of the middle': `${EXPORTED} frames between two capture times in the middle of the store, as NDJSON`,
  };
  return QUESTION_NAMES.flatMap((name) =>
    byRound(
      measured,
      {
        name,
        unit: 'ms',
        method: `${questions[name]}; over HTTP, the median of ${QUESTIONS} in each round`,
      },
      ({ timesMs }) => medianOf(timesMs[name]),
    ),
  );
}

/** What there is one sample of. */
function storeFiguresOf(measured: readonly Measured[]): Figure[] {
  return [
    ...sized(
      measured,
      { name: 'memory of the server', unit: 'MB', method: 'resident, after all rounds' },
      ({ residentMb }) => [residentMb],
    ),
    ...sized(
      measured,
      {
        name: 'charts behind the last ack',
        unit: 's',
        bound: 'processor',
        method: 'from the end of the fill until all of it was charted',
      },
      ({ behindS }) => [behindS],
    ),
    ...sized(
      measured,
      {
        name: 'bytes a row',
        unit: 'B/frame',
        method: 'of the store and its charts, in their files, when filled',
      },
      ({ bytesPerRow }) => [bytesPerRow],
    ),
  ];
}

/** The largest store over the smallest, round by round. */
export function ratiosOf(measured: readonly Pick<Measured, 'rows' | 'samples'>[]): Figure[] {
  const [least, most] = [measured[0], measured.at(-1)];
  if (least === undefined || most === undefined) return [];
  const ratios = (pick: (sample: Sample) => number) => {
    const base = least.samples.map(pick);
    return most.samples.map((sample, i) => pick(sample) / (base[i] ?? Number.NaN));
  };
  const method = `a store of ${most.rows} rows over one of ${least.rows}, in each round`;
  const about = { unit: 'ratio', method } as const;
  const atMost = [{ of: 'median', at: 'most', value: SLOWER_MAX }] as const;
  const grows = 'series, all points';
  return [
    {
      ...about,
      name: 'ingest, largest / smallest',
      samples: ratios(({ ingestPerS }) => ingestPerS),
      aims: [{ of: 'median', at: 'least', value: 1 / SLOWER_MAX }],
    },
    {
      ...about,
      name: 'write to ack, p50, largest / smallest',
      samples: ratios(({ ackMs }) => medianOf(ackMs)),
      aims: atMost,
    },
    ...QUESTION_NAMES.map(
      (name): Figure => ({
        ...about,
        name: `${name}, largest / smallest`,
        samples: ratios(({ timesMs }) => medianOf(timesMs[name])),
        // More points are asked for there: that is shown.
        ...(name === grows ? {} : { aims: atMost }),
      }),
    ),
  ];
}
