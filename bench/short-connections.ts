/**
 * How much gets through a link on which every connection ends after a few bytes. The source offers
 * more than fits all the while.
 *
 * Counted are rows that the store holds when the time is up. Then the link is made whole, the rest
 * drains, and everything is verified as in every benchmark.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Figure } from './figures.ts';
import { type Bench, planOf, startPipeline } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import { arrivedBytes, rowCounts } from './server-counts.ts';
import type { FramePlan } from './source/frames.ts';
import { verify } from './verification.ts';

const PAYLOAD_BYTES = 200;
/** 40 KB/s of payloads. */
const RATE_PER_S = 200;
const HAMPERED_MS = 20_000;
const ROUNDS = { short: 1, full: 2 } as const;
const CONNECTION_BYTES = 2_000;
const AIM_PER_S = 33;

interface Round {
  readonly stored: number;
  /** Bytes that reached the server. */
  readonly arrivedBytes: number;
  readonly connections: number;
  /** Frames that came to the store again although it had them. */
  readonly duplicates: number;
  readonly proof: Proof;
}

/** Connections of {@link CONNECTION_BYTES} bytes each. */
export async function measureShort(bench: Bench): Promise<Result> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS[bench.size]; i += 1) {
    bench.progress(`short connections ${i} of ${ROUNDS[bench.size]}`);
    rounds.push(await round(bench, plan, `short-connections-${i}`));
  }
  return { figures: figuresOf(rounds), proofs: rounds.map(({ proof }) => proof) };
}

async function round(bench: Bench, plan: FramePlan, name: string): Promise<Round> {
  const { source, server, link, restore, stop } = await startPipeline(bench, name, plan);
  await restore();
  await source.ask({ type: 'load', perSecond: RATE_PER_S });
  await source.ask({ type: 'acked-past', frames: 0 });
  await link.limit(CONNECTION_BYTES);
  const facts = () => source.ask({ type: 'facts' });
  const [before, rowsBefore] = await Promise.all([facts(), rowCounts(server.api)]);
  const bytesBefore = await arrivedBytes(server.api);
  await delay(HAMPERED_MS, undefined, { signal: bench.signal });
  const [after, rowsAfter] = await Promise.all([facts(), rowCounts(server.api)]);
  const bytesAfter = await arrivedBytes(server.api);
  await source.ask({ type: 'end-load' });
  await restore();
  const { sent, status } = await source.ask({ type: 'empty' });
  const { duplicates } = await rowCounts(server.api);
  const verification = await verify(server.api, plan, sent);
  await stop();
  await rm(join(bench.directory, name), { recursive: true });
  const { resent } = status.counters;
  return {
    stored: rowsAfter.stored - rowsBefore.stored,
    arrivedBytes: bytesAfter - bytesBefore,
    connections: after.status.counters.connections - before.status.counters.connections,
    duplicates,
    // What was in flight as a connection ended is sent again, rightly.
    proof: { of: name, ...verification, resent, resentMax: undefined },
  };
}

function figuresOf(rounds: readonly Round[]): Figure[] {
  const what = `connections of ${CONNECTION_BYTES} bytes in either direction`;
  const load = `${RATE_PER_S} frames/s of ${PAYLOAD_BYTES} incompressible bytes offered`;
  return [
    {
      name: 'short connections, stored',
      unit: 'frames/s',
      bound: 'none',
      samples: rounds.map(({ stored }) => (stored / HAMPERED_MS) * 1_000),
      aims: [{ of: 'median', at: 'least', value: AIM_PER_S }],
      method: `${what} for ${HAMPERED_MS / 1_000} s, ${load}: rows that came into the store in that time`,
    },
    {
      name: 'short connections, payload / arrived',
      unit: 'ratio',
      samples: rounds.map((round) => (round.stored * PAYLOAD_BYTES) / round.arrivedBytes),
      method:
        'payload bytes of those rows over all bytes that reached the server in that time, however many Toxiproxy let through',
    },
    {
      name: 'short connections, connections',
      unit: 'count',
      samples: rounds.map(({ connections }) => connections),
      method: 'how many became Ready in that time',
    },
    {
      name: 'short connections, came again',
      unit: 'frames',
      samples: rounds.map(({ duplicates }) => duplicates),
      aims: [{ of: 'max', at: 'most', value: 0 }],
      method: 'frames that reached the store although it had them, the drain afterwards included',
    },
  ];
}
