/**
 * How fast a backlog drains once the link is back, both ends syncing to disk, against what the disk
 * and SQLite could do with the same frames in the same run.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Figure } from './figures.ts';
import { fileLimit, sqliteLimit } from './limits.ts';
import { cpuSeconds } from './machine.ts';
import { type Bench, startPipeline } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import type { FramePlan } from './source/frames.ts';
import { verify } from './verification.ts';

export const BACKLOG_FRAMES = 200_000;
const ROUNDS = 3;
const AIM_PER_S = 60_000;

interface Round {
  readonly fillPerS: number;
  readonly drainPerS: number;
  readonly firstAckMs: number;
  /** Over the drain, in seconds. */
  readonly cpuS: { readonly source: number; readonly toxiproxy: number; readonly server: number };
  readonly fileLimitPerS: number;
  readonly sqliteLimitPerS: number;
  readonly proof: Proof;
}

export async function measureDrain(bench: Bench, plan: FramePlan): Promise<Result> {
  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS; i += 1) {
    bench.progress(`drain ${i} of ${ROUNDS}`);
    rounds.push(await round(bench, plan, i));
  }
  return { figures: figuresOf(rounds, plan), proofs: rounds.map(({ proof }) => proof) };
}

async function round(bench: Bench, plan: FramePlan, number: number): Promise<Round> {
  const name = `drain-${number}`;
  const probes = join(bench.directory, `${name}-limits`);
  await mkdir(probes);
  const fileLimitPerS = fileLimit(probes, plan, BACKLOG_FRAMES);
  const sqliteLimitPerS = sqliteLimit(probes, plan, BACKLOG_FRAMES);
  await rm(probes, { recursive: true });

  const { source, toxiproxy, server, restore, stop } = await startPipeline(bench, name, plan);
  const cpu = () => ({
    source: cpuSeconds(source.pid),
    toxiproxy: cpuSeconds(toxiproxy.pid),
    server: cpuSeconds(server.pid),
  });
  const opened = await source.ask({ type: 'facts' });
  const filled = await source.ask({ type: 'fill', frames: BACKLOG_FRAMES });
  const before = cpu();
  const restoredAt = await restore();
  const firstAck = await source.ask({ type: 'acked-past', frames: 0 });
  const drained = await source.ask({ type: 'acked-past', frames: BACKLOG_FRAMES - 1 });
  const after = cpu();
  const verification = await verify(server.api, plan, BACKLOG_FRAMES);
  await stop();
  await rm(join(bench.directory, name), { recursive: true });
  const { resent } = drained.status.counters;
  return {
    fillPerS: perSecond(BACKLOG_FRAMES, filled.at - opened.at),
    drainPerS: perSecond(BACKLOG_FRAMES, drained.at - restoredAt),
    firstAckMs: firstAck.at - restoredAt,
    cpuS: {
      source: after.source - before.source,
      toxiproxy: after.toxiproxy - before.toxiproxy,
      server: after.server - before.server,
    },
    fileLimitPerS,
    sqliteLimitPerS,
    proof: { of: name, ...verification, resent, resentMax: 0 },
  };
}

function figuresOf(rounds: readonly Round[], { payloadBytes }: FramePlan): Figure[] {
  const of = (pick: (round: Round) => number) => rounds.map(pick);
  const frames = `${BACKLOG_FRAMES} frames of ${payloadBytes} incompressible bytes`;
  return [
    {
      name: 'append',
      unit: 'frames/s',
      samples: of(({ fillPerS }) => fillPerS),
      aims: [],
      method: `${frames} into the queue with the link cut, 4,096 at a time, until all are synced; making the payloads is part of it`,
    },
    {
      name: 'drain',
      unit: 'frames/s',
      samples: of(({ drainPerS }) => drainPerS),
      aims: [{ of: 'best', at: 'least', value: AIM_PER_S }],
      method: `${frames} through Toxiproxy, from the moment the link is restored (so the wait for the next dial is part of it) until the collector has the last ack of a committed row`,
    },
    {
      name: 'first ack of the drain',
      unit: 'ms',
      samples: of(({ firstAckMs }) => firstAckMs),
      aims: [],
      method: 'the part of the drain that is waiting for the next dial, and the handshake',
    },
    ...(['source', 'toxiproxy', 'server'] as const).map(
      (who): Figure => ({
        name: `CPU of the drain, ${who}`,
        unit: 's',
        samples: of(({ cpuS }) => cpuS[who]),
        aims: [],
        method: 'all threads, user and system, for the whole backlog, in steps of 10 ms',
      }),
    ),
    {
      name: 'limit: file',
      unit: 'frames/s',
      samples: of(({ fileLimitPerS }) => fileLimitPerS),
      aims: [],
      method: 'the same bytes written to one file, one fdatasync for each 256 KiB',
    },
    {
      name: 'limit: SQLite',
      unit: 'frames/s',
      samples: of(({ sqliteLimitPerS }) => sqliteLimitPerS),
      aims: [],
      method:
        'the same rows inserted in one process, 4,096 a transaction, each synced, two indexes',
    },
    {
      name: 'drain / file limit',
      unit: 'ratio',
      samples: of((round) => round.drainPerS / round.fileLimitPerS),
      aims: [],
      method: 'each drain over the probe just before it',
    },
    {
      name: 'drain / SQLite limit',
      unit: 'ratio',
      samples: of((round) => round.drainPerS / round.sqliteLimitPerS),
      aims: [],
      method: 'each drain over the probe just before it',
    },
  ];
}

function perSecond(count: number, elapsedMs: number): number {
  return (count / elapsedMs) * 1_000;
}
