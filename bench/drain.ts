/**
 * How fast a backlog drains once the link is back, both ends syncing to disk, against what the disk,
 * SQLite and a bare socket could do with the same frames in the same run.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Aim, type Figure, perSecond } from './figures.ts';
import { fileLimit, ingestLimit, socketLimit } from './limits.ts';
import { cpuSeconds, peakResidentBytes } from './machine.ts';
import { type Bench, planOf, startPipeline } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import { verify } from './verification.ts';

/** Of the slowest of its limits. */
const AIM_OF_LIMIT = 0.5;

export interface DrainPlan {
  readonly frames: number;
  readonly payloadBytes: number;
  readonly rounds: number;
  readonly aim: Aim;
}

/** A drain, and what it is held against. */
export interface Limited {
  readonly drainPerS: number;
  readonly fileLimitPerS: number;
  readonly ingestLimitPerS: number;
  readonly socketLimitPerS: number;
}

interface Round extends Limited {
  readonly appendPerS: number;
  /** Of what was left at the first ack. */
  readonly flowPerS: number;
  readonly firstAckMs: number;
  /** Over the drain, in seconds. */
  readonly cpuS: { readonly source: number; readonly toxiproxy: number; readonly server: number };
  readonly serverPeakMb: number;
  readonly proof: Proof;
}

export async function measureDrain(bench: Bench, drain: DrainPlan): Promise<Result> {
  const rounds: Round[] = [];
  for (let i = 1; i <= drain.rounds; i += 1) {
    bench.progress(`drain ${i} of ${drain.rounds}`);
    rounds.push(await round(bench, drain, i));
  }
  return { figures: figuresOf(rounds, drain), proofs: rounds.map(({ proof }) => proof) };
}

async function round(
  bench: Bench,
  { frames, payloadBytes }: DrainPlan,
  number: number,
): Promise<Round> {
  const name = `drain-${number}`;
  const plan = planOf(bench, payloadBytes);
  const probes = join(bench.directory, `${name}-limits`);
  await mkdir(probes);
  const fileLimitPerS = fileLimit(probes, plan, frames);
  const ingestLimitPerS = ingestLimit(probes, plan, frames).framesPerS;
  const socketLimitPerS = await socketLimit(bench, probes, plan, frames);
  await rm(probes, { recursive: true });

  const { source, toxiproxy, server, restore, stop } = await startPipeline(bench, name, plan);
  const cpu = () => ({
    source: cpuSeconds(source.pid),
    toxiproxy: cpuSeconds(toxiproxy.pid),
    server: cpuSeconds(server.pid),
  });
  const opened = await source.ask({ type: 'facts' });
  const filled = await source.ask({ type: 'fill', frames: frames });
  const before = cpu();
  const restoredAt = await restore();
  const firstAck = await source.ask({ type: 'acked-past', frames: 0 });
  const drained = await source.ask({ type: 'acked-past', frames: frames - 1 });
  const after = cpu();
  const serverPeakMb = peakResidentBytes(server.pid) / 1e6;
  const verification = await verify(server.api, plan, frames);
  await stop();
  await rm(join(bench.directory, name), { recursive: true });
  const { resent } = drained.status.counters;
  return {
    appendPerS: perSecond(frames, filled.at - opened.at),
    drainPerS: perSecond(frames, drained.at - restoredAt),
    flowPerS: perSecond(frames - firstAck.status.counters.acked, drained.at - firstAck.at),
    firstAckMs: firstAck.at - restoredAt,
    cpuS: {
      source: after.source - before.source,
      toxiproxy: after.toxiproxy - before.toxiproxy,
      server: after.server - before.server,
    },
    serverPeakMb,
    fileLimitPerS,
    ingestLimitPerS,
    socketLimitPerS,
    proof: { of: name, ...verification, resent, resentMax: 0 },
  };
}

function figuresOf(rounds: readonly Round[], drain: DrainPlan): Figure[] {
  const of = (pick: (round: Round) => number) => rounds.map(pick);
  const frames = `${drain.frames} frames of ${drain.payloadBytes} incompressible bytes`;
  return [
    {
      name: 'fill',
      unit: 'frames/s',
      samples: of(({ appendPerS }) => appendPerS),
      method: `${frames} into the queue with the link cut, 4,096 sent while 4,096 before them are synced, until all are; making the payloads is part of it`,
    },
    {
      name: 'drain',
      unit: 'frames/s',
      samples: of(({ drainPerS }) => drainPerS),
      aims: [drain.aim],
      method: `${frames} through Toxiproxy, from the moment the link is restored (so the wait for the next dial is part of it) until the collector has the last ack of a committed row`,
    },
    {
      name: 'drain, its first ack',
      unit: 'ms',
      // Chance, mostly: when the next dial falls.
      better: 'neither',
      samples: of(({ firstAckMs }) => firstAckMs),
      method: 'the part of the drain that is waiting for the next dial, and the handshake',
    },
    {
      name: 'drain, from its first ack on',
      unit: 'frames/s',
      samples: of(({ flowPerS }) => flowPerS),
      method: 'the same without that wait, which no speed makes shorter',
    },
    ...(['source', 'toxiproxy', 'server'] as const).map(
      (who): Figure => ({
        name: `drain, CPU of the ${who}`,
        unit: 's',
        bound: 'processor',
        samples: of(({ cpuS }) => cpuS[who]),
        method: `all threads, user and system, for all ${drain.frames} frames, in steps of 10 ms`,
      }),
    ),
    {
      name: 'drain, peak memory of the server',
      unit: 'MB',
      samples: of((round) => round.serverPeakMb),
      method: `the most that was resident since its start, at the last ack of ${drain.frames}`,
    },
    ...limitFiguresOf(rounds),
  ];
}

/** Each limit, the drain over each, and over the slowest of its round: to that one it is held. */
export function limitFiguresOf(rounds: readonly Limited[]): Figure[] {
  const of = (pick: (round: Limited) => number) => rounds.map(pick);
  const probes = 'each drain over the probe just before it';
  return [
    {
      name: 'limit: file',
      unit: 'frames/s',
      samples: of(({ fileLimitPerS }) => fileLimitPerS),
      method: 'the same bytes written to one file, one fdatasync for each 256 KiB',
    },
    {
      name: 'limit: ingest',
      unit: 'frames/s',
      samples: of(({ ingestLimitPerS }) => ingestLimitPerS),
      method:
        'the same messages parsed, their CRCs checked and the same rows committed by one process, 4,096 a transaction, each synced',
    },
    {
      name: 'limit: bare socket',
      unit: 'frames/s',
      samples: of(({ socketLimitPerS }) => socketLimitPerS),
      method:
        'as many bytes over one socket, through a Toxiproxy of their own, to a sink that only counts them; one process sends and counts',
    },
    {
      name: 'drain / file limit',
      unit: 'ratio',
      samples: of((round) => round.drainPerS / round.fileLimitPerS),
      method: probes,
    },
    {
      name: 'drain / ingest limit',
      unit: 'ratio',
      samples: of((round) => round.drainPerS / round.ingestLimitPerS),
      method: probes,
    },
    {
      name: 'drain / bare socket limit',
      unit: 'ratio',
      samples: of((round) => round.drainPerS / round.socketLimitPerS),
      method: probes,
    },
    {
      name: 'drain / slowest limit',
      unit: 'ratio',
      samples: of((round) => round.drainPerS / slowestOf(round)),
      aims: [{ of: 'median', at: 'least', value: AIM_OF_LIMIT }],
      method: 'each drain over the slowest of the three probes just before it',
    },
  ];
}

function slowestOf({ fileLimitPerS, ingestLimitPerS, socketLimitPerS }: Limited): number {
  return Math.min(fileLimitPerS, ingestLimitPerS, socketLimitPerS);
}
