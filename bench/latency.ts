/**
 * How long a frame takes from `send` until it is durable here, and until the source knows that it is
 * stored, at a steady rate on a clean link through Toxiproxy.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Figure, medianOf, quantileOf } from './figures.ts';
import { type Bench, planOf, startPipeline } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import { verify } from './verification.ts';

const PAYLOAD_BYTES = 200;
const RATE_PER_S = 200;
const FRAMES = 2_000;
const ROUNDS = { short: 3, full: 5 } as const;
const AIM_P50_MS = 1.5;
const AIM_P99_MS = 3;

interface Round {
  readonly durable: readonly number[];
  readonly stored: readonly number[];
  /** Two syncs, one after the other: one for the queue, one for the store. */
  readonly syncs: readonly number[];
  readonly proof: Proof;
}

export async function measureLatency(bench: Bench): Promise<Result> {
  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS[bench.size]; i += 1) {
    bench.progress(`latency ${i} of ${ROUNDS[bench.size]}`);
    rounds.push(await round(bench, `latency-${i}`));
  }
  return { figures: figuresOf(rounds), proofs: rounds.map(({ proof }) => proof) };
}

async function round(bench: Bench, name: string): Promise<Round> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const { source, server, restore, stop } = await startPipeline(bench, name, plan);
  await restore();
  await source.ask({ type: 'fill', frames: 1 });
  await source.ask({ type: 'acked-past', frames: 0 });
  const probePath = join(bench.directory, `${name}-probe`);
  const load = { frames: FRAMES, perSecond: RATE_PER_S, probePath };
  const facts = await source.ask({ type: 'timed-load', ...load });
  const verification = await verify(server.api, plan, facts.sent);
  await stop();
  await rm(probePath);
  await rm(join(bench.directory, name), { recursive: true });
  const { durable = [], stored = [], fdatasync = [] } = facts.timesMs;
  const { resent } = facts.status.counters;
  return {
    durable,
    stored,
    syncs: fdatasync.slice(1).map((ms, i) => ms + (fdatasync[i] ?? 0)),
    proof: { of: name, ...verification, resent, resentMax: 0 },
  };
}

function figuresOf(rounds: readonly Round[]): Figure[] {
  const of = (pick: (round: Round) => number) => rounds.map(pick);
  const load = `${FRAMES} frames of ${PAYLOAD_BYTES} bytes at ${RATE_PER_S}/s in each round, on a clean link through Toxiproxy`;
  return [
    {
      name: 'send to durable, p50',
      unit: 'ms',
      samples: of(({ durable }) => medianOf(durable)),
      method: `from send until the queue has it on disk; ${load}`,
    },
    {
      name: 'send to stored, p50',
      unit: 'ms',
      samples: of(({ stored }) => medianOf(stored)),
      aims: [{ of: 'min', at: 'most', value: AIM_P50_MS }],
      method: `from send until the source has the ack of a committed row, the way back included; ${load}`,
    },
    {
      name: 'send to stored, p99',
      unit: 'ms',
      samples: of(({ stored }) => quantileOf(stored, 0.99)),
      aims: [{ of: 'min', at: 'most', value: AIM_P99_MS }],
      method: 'of the same frames',
    },
    {
      name: 'limit: two fdatasyncs, p50',
      unit: 'ms',
      samples: of(({ syncs }) => medianOf(syncs)),
      method:
        "the same bytes written behind a file's end and synced, at the same rate in pauses in between, in the same process: what two in a row take, one for the queue and one for the store",
    },
    {
      name: 'limit: two fdatasyncs, p99',
      unit: 'ms',
      samples: of(({ syncs }) => quantileOf(syncs, 0.99)),
      method: 'of the same',
    },
    {
      name: 'send to stored / limit, p50',
      unit: 'ratio',
      samples: of(({ stored, syncs }) => medianOf(stored) / medianOf(syncs)),
      method: 'of the same round',
    },
    {
      name: 'send to stored / limit, p99',
      unit: 'ratio',
      samples: of(({ stored, syncs }) => quantileOf(stored, 0.99) / quantileOf(syncs, 0.99)),
      method: 'of the same round',
    },
  ];
}
