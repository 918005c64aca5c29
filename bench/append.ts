/**
 * How fast the queue takes frames in, many at a time and one at a time, with the link cut: against a
 * plain file on the same disk that is written and synced in the same run.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Figure, medianOf, perSecond } from './figures.ts';
import { fileLimit } from './limits.ts';
import { type Bench, type Pipeline, planOf, startPipeline } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import type { Facts } from './source/commands.ts';
import type { FramePlan } from './source/frames.ts';
import { verify } from './verification.ts';

const PAYLOAD_BYTES = 300;
const ROUNDS = { short: 3, full: 5 } as const;
const AIM_OF_LIMIT = 0.7;
const FRAMES = 200_000;
const AIM_PER_S = 300_000;
const LONE_FRAMES = 500;
const AIM_RATIO = 2;

/** Frames a second, with group commit. */
export async function measureAppend(bench: Bench): Promise<Result> {
  const samples: number[] = [];
  const limits: number[] = [];
  const proofs: Proof[] = [];
  for (let i = 1; i <= ROUNDS[bench.size]; i += 1) {
    bench.progress(`append ${i} of ${ROUNDS[bench.size]}`);
    const plan = planOf(bench, PAYLOAD_BYTES);
    const { proof } = await withPipeline(bench, `append-${i}`, plan, async ({ source }, path) => {
      limits.push(fileLimit(path, plan, FRAMES));
      const made = await source.ask({ type: 'make', frames: FRAMES });
      const filled = await source.ask({ type: 'fill', frames: FRAMES });
      samples.push(perSecond(FRAMES, filled.at - made.at));
      return filled;
    });
    proofs.push(proof);
  }
  return { figures: appendFigures(samples, limits), proofs };
}

function appendFigures(samples: readonly number[], limits: readonly number[]): Figure[] {
  return [
    {
      name: 'append',
      unit: 'frames/s',
      samples,
      aims: [{ of: 'max', at: 'least', value: AIM_PER_S }],
      method: `${FRAMES} frames of ${PAYLOAD_BYTES} incompressible bytes into the queue with the link cut, 4,096 sent while 4,096 before them are synced, until all are; the payloads are made before`,
    },
    {
      name: 'limit: file',
      unit: 'frames/s',
      samples: limits,
      method: 'the same bytes written to one file, one fdatasync for each 256 KiB',
    },
    {
      name: 'append / file limit',
      unit: 'ratio',
      samples: samples.map((perS, i) => perS / (limits[i] ?? Number.NaN)),
      aims: [{ of: 'median', at: 'least', value: AIM_OF_LIMIT }],
      method: 'each over the probe just before it',
    },
  ];
}

/** How long one frame takes that has no company. */
export async function measureLone(bench: Bench): Promise<Result> {
  const append: number[] = [];
  const fdatasync: number[] = [];
  const proofs: Proof[] = [];
  for (let i = 1; i <= ROUNDS[bench.size]; i += 1) {
    bench.progress(`lone append ${i} of ${ROUNDS[bench.size]}`);
    const plan = planOf(bench, PAYLOAD_BYTES);
    const { facts, proof } = await withPipeline(bench, `lone-${i}`, plan, ({ source }, path) =>
      source.ask({ type: 'lone', frames: LONE_FRAMES, probePath: join(path, 'sync-probe') }),
    );
    append.push(medianOf(facts.timesMs.append ?? []));
    fdatasync.push(medianOf(facts.timesMs.fdatasync ?? []));
    proofs.push(proof);
  }
  return { figures: loneFigures(append, fdatasync), proofs };
}

function loneFigures(append: readonly number[], fdatasync: readonly number[]): Figure[] {
  const method = `median of ${LONE_FRAMES} in each round`;
  return [
    {
      name: 'lone append',
      unit: 'ms',
      bound: 'disk',
      samples: append,
      method: `a frame of ${PAYLOAD_BYTES} bytes, from send until it is durable, none other under way; ${method}`,
    },
    {
      name: 'limit: fdatasync',
      unit: 'ms',
      samples: fdatasync,
      method: `the same bytes written behind a file's end and synced, before each such frame, in the same process; ${method}`,
    },
    {
      name: 'lone append / fdatasync',
      unit: 'ratio',
      samples: append.map((ms, i) => ms / (fdatasync[i] ?? Number.NaN)),
      aims: [{ of: 'min', at: 'most', value: AIM_RATIO }],
      method: 'the medians of each round',
    },
  ];
}

/** Runs a measurement on a source that is cut off, then lets all drain and verifies it. */
async function withPipeline(
  bench: Bench,
  name: string,
  plan: FramePlan,
  measure: (pipeline: Pipeline, directory: string) => Promise<Facts>,
): Promise<{ facts: Facts; proof: Proof }> {
  const pipeline = await startPipeline(bench, name, plan);
  const directory = join(bench.directory, `${name}-probes`);
  await mkdir(directory);
  const facts = await measure(pipeline, directory);
  await pipeline.restore();
  const { status } = await pipeline.source.ask({ type: 'acked-past', frames: facts.sent - 1 });
  const verification = await verify(pipeline.server.api, plan, facts.sent);
  await pipeline.stop();
  await rm(directory, { recursive: true });
  await rm(join(bench.directory, name), { recursive: true });
  const { resent } = status.counters;
  return { facts, proof: { of: name, ...verification, resent, resentMax: 0 } };
}
