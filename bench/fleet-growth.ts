/**
 * What more collectors cost a server: from one to thousands, each with a sample a second, as they
 * usually are. They are those of `fleet.ts`: real senders on the real link, in one process.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Figure, quantileOf } from './figures.ts';
import { cpuSeconds, residentBytes } from './machine.ts';
import { type Bench, planOf } from './pipeline.ts';
import { TOKEN } from './programs.ts';
import type { Proof, Result } from './result.ts';
import { verify } from './verification.ts';

const SIZES = { short: [1, 100, 1_000], full: [1, 100, 1_000, 5_000] } as const;
const PAYLOAD_BYTES = 300;
const ROUNDS = { short: 1, full: 3 } as const;
const LASTS_S = 10;
/** Room for the most of them. */
const CONNECTIONS_MAX = 10_000;

/** One round of one size. */
interface Round {
  readonly ackMs: readonly number[];
  readonly cpuS: number;
  readonly residentMb: number;
  readonly proof: Proof;
}

export async function measureFleetGrowth(bench: Bench): Promise<Result> {
  const sizes = SIZES[bench.size].map((members) => ({ members, rounds: [] as Round[] }));
  for (let i = 1; i <= ROUNDS[bench.size]; i += 1) {
    for (const { members, rounds } of sizes) {
      bench.progress(`fleet of ${members}: round ${i} of ${ROUNDS[bench.size]}`);
      rounds.push(await measureOne(bench, members, i));
    }
  }
  const proofs = sizes.flatMap(({ rounds }) => rounds.map(({ proof }) => proof));
  return { figures: figuresOf(sizes), proofs };
}

async function measureOne(bench: Bench, members: number, number: number): Promise<Round> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const directory = join(bench.directory, `fleet-${members}-${number}`);
  await mkdir(directory);
  const settings = { HOLDFAST_CONNECTIONS_MAX: String(CONNECTIONS_MAX) };
  const server = await bench.programs.server(join(directory, 'store'), settings);
  const fleet = await bench.programs.fleet({ port: server.port, token: TOKEN, members, plan });
  const before = cpuSeconds(server.pid);
  const load = { framesEach: LASTS_S, perSecondEach: 1 };
  const { ackMs, resent } = await fleet.ask({ type: 'load', ...load });
  const cpuS = cpuSeconds(server.pid) - before;
  const residentMb = residentBytes(server.pid) / 1e6;
  const verification = await verify(server.api, plan, members * LASTS_S);
  await fleet.stop();
  await server.stop();
  await rm(directory, { recursive: true });
  const proof = {
    of: `fleet of ${members}, round ${number}`,
    ...verification,
    resent,
    resentMax: undefined,
  };
  return { ackMs, cpuS, residentMb, proof };
}

function figuresOf(
  sizes: readonly { readonly members: number; readonly rounds: readonly Round[] }[],
): Figure[] {
  const load = `each with a frame of ${PAYLOAD_BYTES} bytes a second for ${LASTS_S} s, all in one process, straight to the server`;
  const of = (about: Omit<Figure, 'samples' | 'at'>, pick: (round: Round) => number): Figure[] =>
    sizes.map(({ members, rounds }) => {
      const at = { value: members, unit: 'collectors' };
      return { ...about, at, samples: rounds.map(pick) };
    });
  const ack = (q: number) => (round: Round) => quantileOf(round.ackMs, q);
  return [
    ...of(
      { name: 'memory of the server', unit: 'MB', method: `resident at the end; ${load}` },
      ({ residentMb }) => residentMb,
    ),
    ...of(
      {
        name: 'CPU of the server',
        unit: '%',
        better: 'less',
        bound: 'processor',
        method: `of one core, all threads, over that time; ${load}`,
      },
      ({ cpuS }) => (100 * cpuS) / LASTS_S,
    ),
    ...of(
      {
        name: 'append to ack, p50',
        unit: 'ms',
        method: `from the append in memory until the ack of the committed row is read; ${load}`,
      },
      ack(0.5),
    ),
    ...of({ name: 'append to ack, p99', unit: 'ms', method: 'of the same frames' }, ack(0.99)),
  ];
}
