/**
 * How long the pipeline takes to be itself again once the link is back, under a steady load: until
 * the first ack after cuts of random length, and until nothing waits any more after 20 s.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Figure } from './figures.ts';
import { type Bench, type Pipeline, planOf, startPipeline } from './pipeline.ts';
import { randomOf } from './random.ts';
import type { Proof, Result } from './result.ts';
import { verify } from './verification.ts';

const PAYLOAD_BYTES = 300;
const RATE_PER_S = 200;
const CUTS = { short: 12, full: 50 } as const;
const CUT_MS_MIN = 200;
const CUT_MS_MAX = 5_000;
const OUTAGES = { short: 1, full: 3 } as const;
const OUTAGE_MS = 20_000;
const TELL_EVERY = 10;

/** One restore. Times run from the moment at which restoring was begun. */
interface Recovery {
  readonly cutMs: number;
  readonly firstAckMs: number;
  readonly emptyMs: number;
}

export async function measureCuts(bench: Bench): Promise<Result> {
  const random = randomOf(bench.seed);
  const lengths = Array.from(
    { length: CUTS[bench.size] },
    () => CUT_MS_MIN + random() * (CUT_MS_MAX - CUT_MS_MIN),
  );
  const { recoveries, proof } = await underLoad(bench, 'cuts', lengths);
  const load = `${RATE_PER_S} frames/s`;
  return {
    figures: [
      {
        name: 'restore to first ack',
        unit: 's',
        samples: recoveries.map(({ firstAckMs }) => firstAckMs / 1_000),
        aims: [
          { of: 'median', at: 'most', value: 0.6 },
          { of: 'max', at: 'most', value: 1.5 },
        ],
        method: `${lengths.length} cuts of ${CUT_MS_MIN / 1_000} to ${CUT_MS_MAX / 1_000} s (uniform, drawn from the seed) at ${load}: from restoring to the first ack of a committed row`,
      },
      emptyFigure('restore to empty queue, short cuts', recoveries),
    ],
    proofs: [proof],
  };
}

export async function measureOutages(bench: Bench): Promise<Result> {
  const lengths = Array.from({ length: OUTAGES[bench.size] }, () => OUTAGE_MS);
  const { recoveries, proof } = await underLoad(bench, 'outages', lengths);
  const aims = [{ of: 'median', at: 'most', value: 0.7 }] as const;
  return {
    figures: [emptyFigure(`restore to empty queue, ${OUTAGE_MS / 1_000} s down`, recoveries, aims)],
    proofs: [proof],
  };
}

function emptyFigure(
  name: string,
  recoveries: readonly Recovery[],
  aims: NonNullable<Figure['aims']> = [],
): Figure {
  return {
    name,
    unit: 's',
    samples: recoveries.map(({ emptyMs }) => emptyMs / 1_000),
    aims,
    method: `at ${RATE_PER_S} frames/s that go on: from restoring until nothing waits in the queue; the wait for the next dial is part of it`,
  };
}

async function underLoad(
  bench: Bench,
  name: string,
  lengthsMs: readonly number[],
): Promise<{ recoveries: Recovery[]; proof: Proof }> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const pipeline = await startPipeline(bench, name, plan);
  const { source, server, restore, stop } = pipeline;
  await restore();
  await source.ask({ type: 'load', perSecond: RATE_PER_S });
  await source.ask({ type: 'acked-past', frames: 0 });
  const recoveries: Recovery[] = [];
  for (const [index, lengthMs] of lengthsMs.entries()) {
    if (index % TELL_EVERY === 0) bench.progress(`${name}: ${index} of ${lengthsMs.length} done`);
    recoveries.push(await cut(pipeline, lengthMs, bench.signal));
  }
  await source.ask({ type: 'end-load' });
  const { sent, status } = await source.ask({ type: 'empty' });
  const verification = await verify(server.api, plan, sent);
  await stop();
  await rm(join(bench.directory, name), { recursive: true });
  const { resent } = status.counters;
  // What was in flight at a cut is sent again, rightly.
  const proof = { of: name, ...verification, resent, resentMax: undefined };
  return { recoveries, proof };
}

async function cut(
  { source, link, restore }: Pipeline,
  cutMs: number,
  signal: AbortSignal,
): Promise<Recovery> {
  await link.cut();
  await delay(cutMs, undefined, { signal });
  const before = await source.ask({ type: 'facts' });
  const restoredAt = await restore();
  const acked = await source.ask({ type: 'acked-past', frames: before.status.counters.acked });
  const empty = await source.ask({ type: 'empty' });
  return { cutMs, firstAckMs: acked.at - restoredAt, emptyMs: empty.at - restoredAt };
}
