/**
 * How much gets through links that carry little: every connection ends after a few bytes, or the
 * way to the server is a few kilobytes a second. The source offers more than fits all the while.
 *
 * Counted are rows that the store holds when the time is up. Then the link is made whole, the rest
 * drains, and everything is verified as in every benchmark.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BenchError } from './errors.ts';
import type { Aim, Figure } from './figures.ts';
import { type Bench, type Pipeline, planOf, startPipeline } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import type { FramePlan } from './source/frames.ts';
import { verify } from './verification.ts';

const PAYLOAD_BYTES = 200;
/** 40 KB/s of payloads. */
const RATE_PER_S = 200;
const HAMPERED_MS = 30_000;
const ROUNDS = { short: 1, full: 3 } as const;
const CONNECTION_BYTES = 2_000;
const THIN_KBPS = 4;

interface Case {
  readonly name: string;
  readonly what: string;
  readonly hamper: (link: Pipeline['link']) => Promise<unknown>;
  readonly aim: Aim;
}

const CASES = {
  short: {
    name: 'short connections',
    what: `connections of ${CONNECTION_BYTES} bytes in either direction`,
    hamper: (link) => link.limit(CONNECTION_BYTES),
    aim: { of: 'median', at: 'least', value: 1_000 },
  },
  rate: {
    name: 'thin link',
    what: `${THIN_KBPS} KB/s towards the server`,
    hamper: (link) => link.thin(THIN_KBPS),
    aim: { of: 'median', at: 'least', value: 550 },
  },
} as const satisfies Record<string, Case>;

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
export function measureShort(bench: Bench): Promise<Result> {
  return measure(bench, CASES.short);
}

/** {@link THIN_KBPS} KB/s towards the server. */
export function measureThin(bench: Bench): Promise<Result> {
  return measure(bench, CASES.rate);
}

async function measure(bench: Bench, about: Case): Promise<Result> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS[bench.size]; i += 1) {
    bench.progress(`${about.name} ${i} of ${ROUNDS[bench.size]}`);
    rounds.push(await round(bench, plan, about, i));
  }
  return { figures: figuresOf(rounds, about), proofs: rounds.map(({ proof }) => proof) };
}

async function round(bench: Bench, plan: FramePlan, about: Case, number: number): Promise<Round> {
  const name = `${about.name}-${number}`.replaceAll(' ', '-');
  const { source, server, link, restore, stop } = await startPipeline(bench, name, plan);
  await restore();
  await source.ask({ type: 'load', perSecond: RATE_PER_S });
  await source.ask({ type: 'acked-past', frames: 0 });
  await about.hamper(link);
  const [before, rowsBefore] = await Promise.all([source.ask({ type: 'facts' }), rows(server.api)]);
  const bytesBefore = await arrivedBytes(server.api);
  await delay(HAMPERED_MS, undefined, { signal: bench.signal });
  const [after, rowsAfter] = await Promise.all([source.ask({ type: 'facts' }), rows(server.api)]);
  const bytesAfter = await arrivedBytes(server.api);
  await source.ask({ type: 'end-load' });
  await restore();
  const { sent, status } = await source.ask({ type: 'empty' });
  const { duplicates } = await rows(server.api);
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

/** What the server's audit says, all collectors together. */
async function rows(api: string): Promise<{ stored: number; duplicates: number }> {
  const response = await fetch(`${api}/api/v1/audit`);
  if (response.status !== 200) throw new BenchError(`the audit was answered ${response.status}`);
  const { collectors } = (await response.json()) as {
    collectors: { totals: { stored: number; duplicates_refused: number } }[];
  };
  return {
    stored: collectors.reduce((sum, { totals }) => sum + totals.stored, 0),
    duplicates: collectors.reduce((sum, { totals }) => sum + totals.duplicates_refused, 0),
  };
}

/** What the server has counted, handshakes and heartbeats included. */
async function arrivedBytes(api: string): Promise<number> {
  const text = await (await fetch(`${api}/metrics`)).text();
  const count = /^holdfast_ingest_received_bytes_total (\d+)$/m.exec(text)?.[1];
  if (count === undefined) throw new BenchError('the server does not tell what it received');
  return Number(count);
}

function figuresOf(rounds: readonly Round[], { name, what, aim }: Case): Figure[] {
  const load = `${RATE_PER_S} frames/s of ${PAYLOAD_BYTES} incompressible bytes offered`;
  return [
    {
      name: `${name}, stored`,
      unit: 'frames',
      samples: rounds.map(({ stored }) => stored),
      aims: [aim],
      method: `${what} for ${HAMPERED_MS / 1_000} s, ${load}: rows that came into the store in that time`,
    },
    {
      name: `${name}, payload / arrived`,
      unit: 'ratio',
      samples: rounds.map((round) => (round.stored * PAYLOAD_BYTES) / round.arrivedBytes),
      method:
        'payload bytes of those rows over all bytes that reached the server in that time, however many Toxiproxy let through',
    },
    {
      name: `${name}, connections`,
      unit: 'count',
      samples: rounds.map(({ connections }) => connections),
      method: 'how many became Ready in that time',
    },
    {
      name: `${name}, came again`,
      unit: 'frames',
      samples: rounds.map(({ duplicates }) => duplicates),
      aims: [{ of: 'max', at: 'most', value: 0 }],
      method: 'frames that reached the store although it had them, the drain afterwards included',
    },
  ];
}
