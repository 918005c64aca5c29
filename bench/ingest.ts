/**
 * What a server takes in: as fast as it can from eight connections, against one process that parses
 * and commits the same bytes; and how soon a frame is acknowledged at a steady rate.
 *
 * The collectors are connections with messages made beforehand (`wire/`), so that nothing is
 * measured but the server. No Toxiproxy in between.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Figure, medianOf, perSecond, quantileOf } from './figures.ts';
import { type IngestLimit, ingestLimit } from './limits.ts';
import { cpuSeconds, loadNow, peakResidentBytes } from './machine.ts';
import { type Bench, planOf } from './pipeline.ts';
import { TOKEN } from './programs.ts';
import type { Proof, Result } from './result.ts';
import { SyncProbe } from './source/sync-probe.ts';
import { verify } from './verification.ts';

const CONNECTIONS = 8;
const PAYLOAD_BYTES = 300;
const FRAMES_EACH = { short: 20_000, full: 60_000 } as const;
/** As large as a message of a collector with a backlog is. */
const FRAMES_PER_MESSAGE = 800;
const ROUNDS = { short: 3, full: 5 } as const;
const AIM_PER_S = 150_000;
const AIM_OF_LIMIT = 0.7;

const STEADY_PER_S = 1_000;
const STEADY_FRAMES = { short: 4_000, full: 10_000 } as const;
const STEADY_ROUNDS = 3;
const AIM_ACK_P99_MS = 10;
const SYNC_PROBES = 500;

interface Round {
  readonly load: number;
  readonly framesPerS: number;
  readonly limit: IngestLimit;
  /** Over the drain, in seconds. */
  readonly cpuS: { readonly server: number; readonly connections: number };
  readonly serverPeakMb: number;
  readonly proof: Proof;
}

export async function measureIngest(bench: Bench): Promise<Result> {
  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS[bench.size]; i += 1) {
    bench.progress(`ingest ${i} of ${ROUNDS[bench.size]}`);
    rounds.push(await ingest(bench, `ingest-${i}`));
  }
  return {
    figures: figuresOf(rounds, FRAMES_EACH[bench.size]),
    proofs: rounds.map(({ proof }) => proof),
  };
}

async function ingest(bench: Bench, name: string): Promise<Round> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const directory = join(bench.directory, name);
  await mkdir(directory);
  const load = loadNow();
  const framesEach = FRAMES_EACH[bench.size];
  const frames = CONNECTIONS * framesEach;
  const limit = ingestLimit(directory, plan, frames);
  const server = await bench.programs.server(join(directory, 'store'));
  const wire = await bench.programs.wire({
    port: server.port,
    token: TOKEN,
    connections: CONNECTIONS,
    framesEach,
    plan,
  });
  const messages = { framesEach, framesPerMessage: FRAMES_PER_MESSAGE };
  await wire.ask({ type: 'make', ...messages });
  const cpu = () => ({ server: cpuSeconds(server.pid), connections: cpuSeconds(wire.pid) });
  const before = cpu();
  const { elapsedMs } = await wire.ask({ type: 'drain' });
  const after = cpu();
  const serverPeakMb = peakResidentBytes(server.pid) / 1e6;
  await wire.stop();
  const verification = await verify(server.api, plan, frames);
  await server.stop();
  await rm(directory, { recursive: true });
  return {
    load,
    framesPerS: perSecond(frames, elapsedMs),
    limit,
    cpuS: {
      server: after.server - before.server,
      connections: after.connections - before.connections,
    },
    serverPeakMb,
    proof: { of: name, ...verification, resent: 0, resentMax: 0 },
  };
}

function figuresOf(rounds: readonly Round[], framesEach: number): Figure[] {
  const of = (pick: (round: Round) => number) => rounds.map(pick);
  return [
    {
      name: 'ingest',
      unit: 'frames/s',
      samples: of(({ framesPerS }) => framesPerS),
      aims: [{ of: 'max', at: 'least', value: AIM_PER_S }],
      method: `${CONNECTIONS} connections with ${framesEach} frames of ${PAYLOAD_BYTES} incompressible bytes each, ${FRAMES_PER_MESSAGE} a message, from the first write to the last ack of a committed row; the messages are made beforehand`,
    },
    {
      name: 'limit: ingest',
      unit: 'frames/s',
      samples: of(({ limit }) => limit.framesPerS),
      method:
        'the same messages parsed, their CRCs checked and the same rows committed by one process, 4,096 a transaction, each synced; just before each round',
    },
    {
      name: 'limit: ingest, its part of parsing',
      unit: 'ratio',
      samples: of(({ limit }) => limit.parsingShare),
      method: 'parsing and CRCs over the whole',
    },
    {
      name: 'ingest / limit',
      unit: 'ratio',
      samples: of(({ framesPerS, limit }) => framesPerS / limit.framesPerS),
      aims: [{ of: 'median', at: 'least', value: AIM_OF_LIMIT }],
      method: 'of the same round',
    },
    ...(['server', 'connections'] as const).map(
      (who): Figure => ({
        name: `ingest, CPU of the ${who}`,
        unit: 's',
        bound: 'processor',
        samples: of(({ cpuS }) => cpuS[who]),
        method: `all threads, user and system, for all ${CONNECTIONS * framesEach} frames, in steps of 10 ms`,
      }),
    ),
    {
      name: 'ingest, peak memory of the server',
      unit: 'MB',
      samples: of(({ serverPeakMb }) => serverPeakMb),
      method: `the most that was resident since its start, at the last ack of ${CONNECTIONS * framesEach}`,
    },
    loadFigure(rounds),
  ];
}

interface SteadyRound {
  readonly load: number;
  readonly ackMs: readonly number[];
  readonly syncMs: readonly number[];
  readonly proof: Proof;
}

export async function measureAcks(bench: Bench): Promise<Result> {
  const rounds: SteadyRound[] = [];
  for (let i = 1; i <= STEADY_ROUNDS; i += 1) {
    bench.progress(`acks ${i} of ${STEADY_ROUNDS}`);
    rounds.push(await steady(bench, `acks-${i}`));
  }
  return {
    figures: ackFiguresOf(rounds, STEADY_FRAMES[bench.size]),
    proofs: rounds.map(({ proof }) => proof),
  };
}

async function steady(bench: Bench, name: string): Promise<SteadyRound> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const directory = join(bench.directory, name);
  await mkdir(directory);
  const load = loadNow();
  const probe = new SyncProbe(join(directory, 'sync-probe'));
  const syncMs = Array.from({ length: SYNC_PROBES }, () => probe.measure(Buffer.alloc(4_096, 1)));
  probe.close();
  const server = await bench.programs.server(join(directory, 'store'));
  const frames = STEADY_FRAMES[bench.size];
  const framesEach = frames / CONNECTIONS;
  const start = { port: server.port, token: TOKEN, connections: CONNECTIONS, framesEach, plan };
  const wire = await bench.programs.wire(start);
  const { ackMs } = await wire.ask({
    type: 'steady',
    frames,
    perSecond: STEADY_PER_S,
  });
  await wire.stop();
  const verification = await verify(server.api, plan, frames);
  await server.stop();
  await rm(directory, { recursive: true });
  const proof = { of: name, ...verification, resent: 0, resentMax: 0 };
  return { load, ackMs, syncMs, proof };
}

function ackFiguresOf(rounds: readonly SteadyRound[], frames: number): Figure[] {
  const quantile = (q: number) => rounds.map(({ ackMs }) => quantileOf(ackMs, q));
  const load = `${frames} single frames of ${PAYLOAD_BYTES} bytes at ${STEADY_PER_S}/s over ${CONNECTIONS} connections in each round, the first ones included`;
  return [
    {
      name: 'write to ack, p50',
      unit: 'ms',
      samples: quantile(0.5),
      method: `from the write of a frame until the ack of its committed row is read; ${load}`,
    },
    {
      name: 'write to ack, p99',
      unit: 'ms',
      samples: quantile(0.99),
      aims: [{ of: 'min', at: 'most', value: AIM_ACK_P99_MS }],
      method: 'of the same frames',
    },
    { name: 'write to ack, max', unit: 'ms', samples: quantile(1), method: 'of the same frames' },
    {
      name: 'limit: fdatasync, p50',
      unit: 'ms',
      samples: rounds.map(({ syncMs }) => medianOf(syncMs)),
      method: `${SYNC_PROBES} times 4 KiB behind a file's end and synced, just before each round`,
    },
    {
      name: 'limit: fdatasync, p99',
      unit: 'ms',
      samples: rounds.map(({ syncMs }) => quantileOf(syncMs, 0.99)),
      method: 'of the same',
    },
    loadFigure(rounds),
  ];
}

function loadFigure(rounds: readonly { readonly load: number }[]): Figure {
  return {
    name: 'load of the machine',
    unit: 'count',
    samples: rounds.map(({ load }) => load),
    method: 'of the last minute, before each round; the round before is part of it',
  };
}
