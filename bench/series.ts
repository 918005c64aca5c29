/**
 * Charts: how long a million points take to become a thousand, whether that grows with the store, how
 * soon stored frames are in the charts, what the derived file takes of the disk, and what following
 * the store costs ingest.
 */
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { formatTime } from '#protocol/identity.ts';
import { textOf } from './api.ts';
import { BenchError } from './errors.ts';
import { type Figure, medianOf, perSecond } from './figures.ts';
import { type Bench, type Pipeline, planOf, startPipeline } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import { machineMs } from './source/commands.ts';
import { capturedAtOf, type FramePlan, METRICS } from './source/frames.ts';
import { verify } from './verification.ts';

const PAYLOAD_BYTES = 300;
const FRAMES = { short: 200_000, full: 1_000_000 } as const;
/** The larger store's frames over the smaller one's. */
const GROWTH = 5;
const QUESTIONS = 50;
const POINTS = 1_000;
/** A frame for each, and so about as long as the frames last: a whole number of buckets. */
const STEP_US = 1_000;
const FOLLOWING_FRAMES = 200_000;
const PAIRS = { short: 1, full: 3 } as const;
/** Each question brings the charts on for up to 100 ms, so waiting longer only wastes time. */
const POLL_MS = 5;
const QUESTION_MS_MAX = 200;
const RATIO_MAX = 1.2;

interface Answer {
  readonly complete_to: string | null;
  readonly series: readonly { readonly buckets: readonly { readonly count: number }[] }[];
}

export async function measureQuestions(bench: Bench): Promise<Result> {
  const plan: FramePlan = { ...planOf(bench, PAYLOAD_BYTES), content: 'json' };
  const frames = FRAMES[bench.size];
  bench.progress(`questions: storing ${frames} frames`);
  const pipeline = await startPipeline(bench, 'questions', plan);
  const { server } = pipeline;
  const followedMs = [await storeAndFollow(bench, pipeline, frames)];
  bench.progress('questions: asking');
  const first = await askSeries(server.api, plan, frames);
  const bytes = await bytesOf(join(bench.directory, 'questions', 'store'), frames);
  bench.progress(`questions: storing ${frames * (GROWTH - 1)} frames more`);
  await pipeline.link.cut();
  followedMs.push(await storeAndFollow(bench, pipeline, frames * GROWTH));
  bench.progress('questions: asking again');
  const second = await askSeries(server.api, plan, frames);
  await pipeline.stop();
  await rm(join(bench.directory, 'questions'), { recursive: true });
  // Each answer was held to the number of points that there are: that is the proof here.
  return { figures: questionFigures(frames, first, second, followedMs, bytes), proofs: [] };
}

/** Drains the next frames, up to so many in all. Answers the time from the last ack until all are charted. */
async function storeAndFollow(bench: Bench, pipeline: Pipeline, upTo: number): Promise<number> {
  const { source, server, restore } = pipeline;
  const { sent } = await source.ask({ type: 'facts' });
  await source.ask({ type: 'fill', frames: upTo - sent });
  await restore();
  const { at } = await source.ask({ type: 'acked-past', frames: upTo - 1 });
  bench.progress('following');
  await allCharted(server.api);
  return machineMs() - at;
}

/** Resolves when all that is stored by now is charted. */
export async function allCharted(api: string): Promise<void> {
  const storedBy = Date.now();
  for (;;) {
    const { complete_to } = await get(api, { points: '1' });
    if (complete_to !== null && Date.parse(complete_to) >= storedBy) return;
    await delay(POLL_MS);
  }
}

/**
 * Asks for so many frames of one metric, from one of the plan on, so many times. Answers the times, in
 * milliseconds.
 */
export async function askSeries(
  api: string,
  plan: FramePlan,
  frames: number,
  questions = QUESTIONS,
  firstFrame = 0,
): Promise<number[]> {
  const rangeUs = frames * STEP_US;
  // Frames last 1.001 ms each, so the first whole bucket and the 999 behind it are full of them.
  const bucketUs = rangeUs / POINTS;
  const from = Math.ceil(capturedAtOf(plan, firstFrame) / bucketUs) * bucketUs;
  const [metric] = METRICS;
  const [start, end] = [formatTime(from), formatTime(from + rangeUs)];
  const query = { metric, from: start, to: end, points: String(POINTS) };
  const times: number[] = [];
  for (let n = 0; n < questions; n += 1) {
    const startedAt = performance.now();
    const { series } = await get(api, query);
    times.push(performance.now() - startedAt);
    const buckets = series[0]?.buckets ?? [];
    const counted = buckets.reduce((sum, { count }) => sum + count, 0);
    // Frames are 1,001 µs apart.
    const expected = Math.floor(rangeUs / 1_001);
    if (buckets.length !== POINTS || Math.abs(counted - expected) > 1) {
      throw new BenchError(`${buckets.length} buckets with ${counted} of ${expected} points`);
    }
  }
  return times;
}

async function get(api: string, query: Readonly<Record<string, string>>): Promise<Answer> {
  return JSON.parse(await textOf(`${api}/api/v1/series?${new URLSearchParams(query)}`)) as Answer;
}

async function bytesOf(store: string, frames: number) {
  const sizeOf = async (name: string): Promise<number> => {
    const found = await stat(join(store, name)).catch(() => undefined);
    return (found?.size ?? 0) / frames;
  };
  const charts = (await sizeOf('series.db')) + (await sizeOf('series.db-wal'));
  return { charts, store: (await sizeOf('holdfast.db')) + (await sizeOf('holdfast.db-wal')) };
}

function questionFigures(
  frames: number,
  first: readonly number[],
  second: readonly number[],
  followedMs: readonly number[],
  bytes: { readonly charts: number; readonly store: number },
): Figure[] {
  const asked = `one of three series, ${frames} points, to ${POINTS} buckets, over HTTP, the answer parsed; each bucket counted`;
  return [
    {
      name: 'series',
      at: { value: frames, unit: 'frames stored' },
      unit: 'ms',
      samples: first,
      aims: [{ of: 'max', at: 'most', value: QUESTION_MS_MAX }],
      method: asked,
    },
    {
      name: 'series',
      at: { value: frames * GROWTH, unit: 'frames stored' },
      unit: 'ms',
      samples: second,
      method: 'the same question to the same server, with more frames behind these',
    },
    {
      name: `series, ${GROWTH} times the frames`,
      unit: 'ratio',
      samples: [medianOf(second) / medianOf(first)],
      aims: [{ of: 'max', at: 'most', value: RATIO_MAX }],
      method: 'the median of the larger over that of the smaller store',
    },
    {
      name: 'series, behind the last ack',
      unit: 's',
      bound: 'processor',
      samples: followedMs.map((ms) => ms / 1_000),
      method: `until all of ${frames}, and of ${frames * (GROWTH - 1)} more, was charted`,
    },
    {
      name: 'series, bytes of series.db',
      unit: 'B/frame',
      samples: [bytes.charts],
      method: `with its log, after ${frames} frames 1 ms apart, with three numbers each`,
    },
    {
      name: 'series, bytes of the store',
      unit: 'B/frame',
      samples: [bytes.store],
      method: `with its log, at the same moment; payloads of ${PAYLOAD_BYTES} bytes`,
    },
  ];
}

/** The same drain with and without the follower, in turns. */
export async function measureFollowing(bench: Bench): Promise<Result> {
  const rates: Record<'on' | 'off', number[]> = { on: [], off: [] };
  const proofs: Proof[] = [];
  for (let i = 1; i <= PAIRS[bench.size]; i += 1) {
    bench.progress(`following: pair ${i} of ${PAIRS[bench.size]}`);
    for (const series of i % 2 === 1 ? (['on', 'off'] as const) : (['off', 'on'] as const)) {
      const { drainedPerS, proof } = await drain(bench, `following-${i}-${series}`, series);
      rates[series].push(drainedPerS);
      proofs.push(proof);
    }
  }
  const drained = `${FOLLOWING_FRAMES} frames of ${PAYLOAD_BYTES} bytes of JSON, from the link's restore to the last ack`;
  const figures: Figure[] = [
    { name: 'drain, followed', unit: 'frames/s', samples: rates.on, method: drained },
    { name: 'drain, series off', unit: 'frames/s', samples: rates.off, method: drained },
    {
      name: 'drain, followed / not',
      unit: 'ratio',
      samples: rates.on.map((rate, i) => rate / (rates.off[i] ?? rate)),
      method: 'by pairs, the first of a pair in turns',
    },
  ];
  return { figures, proofs };
}

async function drain(bench: Bench, name: string, series: 'on' | 'off') {
  const plan: FramePlan = { ...planOf(bench, PAYLOAD_BYTES), content: 'json' };
  const settings = { HOLDFAST_SERIES: series };
  const { source, server, restore, stop } = await startPipeline(bench, name, plan, settings);
  await source.ask({ type: 'fill', frames: FOLLOWING_FRAMES });
  const restoredAt = await restore();
  const { at, status } = await source.ask({ type: 'acked-past', frames: FOLLOWING_FRAMES - 1 });
  const verified = await verify(server.api, plan, FOLLOWING_FRAMES);
  await stop();
  await rm(join(bench.directory, name), { recursive: true });
  const proof: Proof = { of: name, ...verified, resent: status.counters.resent, resentMax: 0 };
  return { drainedPerS: perSecond(FOLLOWING_FRAMES, at - restoredAt), proof };
}
