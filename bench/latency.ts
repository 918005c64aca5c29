/**
 * How long a frame takes from `send` until it is durable here, and until the source knows that it is
 * stored, at a steady rate on a clean link through Toxiproxy.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Figure, medianOf, quantileOf } from './figures.ts';
import { fdatasyncMs } from './machine.ts';
import { type Bench, planOf, startPipeline } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import { verify } from './verification.ts';

const PAYLOAD_BYTES = 200;
const RATE_PER_S = 200;
const FRAMES = 3_000;
const ROUNDS = 3;
const AIM_P50_MS = 1.5;
const AIM_P99_MS = 3;

interface Round {
  readonly durable: readonly number[];
  readonly stored: readonly number[];
  readonly fdatasyncMs: number;
  readonly proof: Proof;
}

export async function measureLatency(bench: Bench): Promise<Result> {
  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS; i += 1) {
    bench.progress(`latency ${i} of ${ROUNDS}`);
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
  const probes = join(bench.directory, `${name}-probes`);
  await mkdir(probes);
  const before = fdatasyncMs(probes);
  const facts = await source.ask({ type: 'timed-load', frames: FRAMES, perSecond: RATE_PER_S });
  const after = fdatasyncMs(probes);
  const verification = await verify(server.api, plan, facts.sent);
  await stop();
  await rm(probes, { recursive: true });
  await rm(join(bench.directory, name), { recursive: true });
  const { durable = [], stored = [] } = facts.timesMs;
  const { resent } = facts.status.counters;
  return {
    durable,
    stored,
    fdatasyncMs: (before + after) / 2,
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
      name: 'limit: two fdatasyncs',
      unit: 'ms',
      samples: of((round) => 2 * round.fdatasyncMs),
      method:
        'twice the median of 4 KiB written and synced alone, just before and after: one for the queue, one for the store',
    },
    {
      name: 'send to stored, p50 / limit',
      unit: 'ratio',
      samples: of(({ stored, fdatasyncMs: syncMs }) => medianOf(stored) / (2 * syncMs)),
      method: 'of the same round',
    },
  ];
}
