/** Capture to stored at a steady rate on a clean link: of ours and of its peers, by the same steps. */
import { quantileOf } from '../figures.ts';
import type { Bench } from '../pipeline.ts';
import type { Proof, Result } from '../result.ts';
import { figuresOf, type Measure, STORED } from './figures.ts';
import { RECORD_BYTES } from './peer.ts';
import { type Contender, measureInTurns, type Started } from './turns.ts';

const RATE_PER_S = 200;
/** Before those that count: what is compiled, cached and allocated at first need. */
const WARM_UP = 100;
const RECORDS = { short: 600, full: 1_000 } as const;
const ROUNDS = { short: 1, full: 3 } as const;
const STORED_WITHIN_MS = 30_000;

interface Latency {
  readonly latenciesMs: readonly number[];
  readonly proof: Proof | undefined;
}

export async function measurePeersLatency(bench: Bench): Promise<Result> {
  const about = { name: 'latency', rounds: ROUNDS[bench.size] };
  const records = RECORDS[bench.size];
  const measured = await measureInTurns(bench, about, (contender, started) =>
    latency(contender, started, records),
  );
  return {
    figures: figuresOf(measured, measuresOf(records)),
    proofs: measured.ours.results.flatMap(({ proof }) => (proof === undefined ? [] : [proof])),
  };
}

async function latency({ name }: Contender, { peer }: Started, records: number): Promise<Latency> {
  await peer.offer(0, WARM_UP, RATE_PER_S);
  await peer.offer(WARM_UP, records, RATE_PER_S);
  await peer.stored(WARM_UP + records, STORED_WITHIN_MS);
  const arrivals = await peer.arrivals();
  return {
    latenciesMs: arrivals
      .filter(({ number }) => number >= WARM_UP)
      .map(({ latencyMs }) => latencyMs),
    proof: await peer.proof?.(`${name}, latency`),
  };
}

function measuresOf(records: number): Measure<Latency>[] {
  return [
    {
      what: 'latency, p50',
      unit: 'ms',
      of: ({ latenciesMs }) => quantileOf(latenciesMs, 0.5),
      best: 'less',
      ahead: true,
      method: `${records} records of ${RECORD_BYTES} bytes at ${RATE_PER_S}/s through Toxiproxy, each from its capture until it is stored: ${STORED}`,
    },
    {
      what: 'latency, p99',
      unit: 'ms',
      of: ({ latenciesMs }) => quantileOf(latenciesMs, 0.99),
      best: 'less',
      ahead: true,
      method: 'of the same records',
    },
  ];
}
