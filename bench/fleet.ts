/**
 * A thousand collectors on one server: how soon their frames are acknowledged, what the server needs
 * for it, and how they come back when it is restarted under them.
 *
 * The collectors are the real senders on the real link, over queues in memory, in one process
 * (`fleet/`): a thousand real ones would be a thousand processes, which this machine can't hold.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '#lab/ports.ts';
import type { Figure } from './figures.ts';
import { quantileOf } from './figures.ts';
import type { Dial } from './fleet/commands.ts';
import { cpuSeconds, loadNow, peakResidentBytes, residentBytes } from './machine.ts';
import { type Bench, planOf } from './pipeline.ts';
import { type RunningFleet, type RunningServer, TOKEN } from './programs.ts';
import type { Proof, Result } from './result.ts';
import { machineMs } from './source/commands.ts';
import { verify } from './verification.ts';

const MEMBERS = 1_000;
const PER_SECOND_EACH = 10;
const PAYLOAD_BYTES = 300;
const STEADY_S = 10;
/** The load goes on for so long around each restart. */
const RESTART_LOAD_S = 10;
const BEFORE_RESTART_MS = 1_000;
const RESTARTS = { short: 1, full: 2 } as const;

const AIM_MEMORY_MB = 200;
const AIM_READY_S = 5;
/** 500 a second are aimed at; where dials fall into a second is chance. */
const AIM_DIALS_PER_S = 600;

interface Restart {
  readonly load: number;
  /** From when the server was told to end. */
  readonly readyMs: number;
  /** From when it served again. */
  readonly readyFromServingMs: number;
  readonly dials: readonly Dial[];
}

export async function measureFleet(bench: Bench): Promise<Result> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const directory = join(bench.directory, 'fleet');
  await mkdir(directory);
  const port = await freePort();
  const storePath = join(directory, 'store');
  let server = await bench.programs.server(storePath, { HOLDFAST_INGEST_PORT: String(port) });
  bench.progress(`fleet: ${MEMBERS} collectors`);
  const load = loadNow();
  const begunAt = machineMs();
  const fleet = await bench.programs.fleet({ port, token: TOKEN, members: MEMBERS, plan });
  const joinedMs = machineMs() - begunAt;
  const cpuBefore = cpuSeconds(server.pid);
  const frames = { framesEach: STEADY_S * PER_SECOND_EACH, perSecondEach: PER_SECOND_EACH };
  const { ackMs } = await fleet.ask({ type: 'load', ...frames });
  const cpuPerS = (cpuSeconds(server.pid) - cpuBefore) / STEADY_S;
  const residentMb = residentBytes(server.pid) / 1e6;
  const peakMb = peakResidentBytes(server.pid) / 1e6;

  const restarts: Restart[] = [];
  for (let i = 1; i <= RESTARTS[bench.size]; i += 1) {
    bench.progress(`fleet: restart ${i} of ${RESTARTS[bench.size]}`);
    const restarted = await restart(bench, fleet, server, storePath, i % 2 === 1);
    server = restarted.server;
    restarts.push(restarted.restart);
  }
  const sent = MEMBERS * PER_SECOND_EACH * (STEADY_S + restarts.length * RESTART_LOAD_S);
  const { resent } = await fleet.ask({ type: 'ready' });
  const verification = await verify(server.api, plan, sent);
  await fleet.stop();
  await server.stop();
  await rm(directory, { recursive: true });
  // What was under way as the server went is sent again, rightly.
  const proof: Proof = { of: 'fleet', ...verification, resent, resentMax: undefined };
  const figures = [
    ...steadyFigures({ load, joinedMs, ackMs, cpuPerS, residentMb, peakMb }),
    ...restartFigures(restarts),
  ];
  return { figures, proofs: [proof] };
}

/** Ends the server while frames come, and starts it again; `orderly` by SIGTERM, else by SIGKILL. */
async function restart(
  bench: Bench,
  fleet: RunningFleet,
  server: RunningServer,
  storePath: string,
  orderly: boolean,
): Promise<{ server: RunningServer; restart: Restart }> {
  const load = loadNow();
  const loaded = fleet.ask({
    type: 'load',
    framesEach: RESTART_LOAD_S * PER_SECOND_EACH,
    perSecondEach: PER_SECOND_EACH,
  });
  await delay(BEFORE_RESTART_MS, undefined, { signal: bench.signal });
  await fleet.ask({ type: 'watch' });
  const endedAt = machineMs();
  await (orderly ? server.stop() : server.kill());
  const next = await bench.programs.server(storePath, {
    HOLDFAST_INGEST_PORT: String(server.port),
  });
  const servingAt = machineMs();
  const { at, dials } = await fleet.ask({ type: 'ready' });
  await loaded;
  return {
    server: next,
    restart: {
      load,
      readyMs: at - endedAt,
      readyFromServingMs: at - servingAt,
      dials,
    },
  };
}

/** The most within any second. */
function mostPerSecond(unsorted: readonly number[]): number {
  const times = unsorted.toSorted((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [i, time] of times.entries()) {
    while ((times[first] ?? time) <= time - 1_000) first += 1;
    most = Math.max(most, i - first + 1);
  }
  return most;
}

interface Steady {
  readonly load: number;
  readonly joinedMs: number;
  readonly ackMs: readonly number[];
  readonly cpuPerS: number;
  readonly residentMb: number;
  readonly peakMb: number;
}

function steadyFigures({ load, joinedMs, ackMs, cpuPerS, residentMb, peakMb }: Steady): Figure[] {
  const what = `${MEMBERS} collectors with ${PER_SECOND_EACH} frames/s of ${PAYLOAD_BYTES} bytes each for ${STEADY_S} s`;
  return [
    {
      name: 'fleet, all Ready for the first time',
      unit: 's',
      samples: [joinedMs / 1_000],
      method: `from the start of a process with ${MEMBERS} collectors that know nothing of the server's pace yet`,
    },
    {
      name: 'fleet, append to ack, p50',
      unit: 'ms',
      samples: [quantileOf(ackMs, 0.5)],
      method: `from the append in memory until the ack of the committed row is read; ${what}`,
    },
    {
      name: 'fleet, append to ack, p99',
      unit: 'ms',
      samples: [quantileOf(ackMs, 0.99)],
      method: 'of the same frames',
    },
    {
      name: 'fleet, memory of the server',
      unit: 'MB',
      samples: [residentMb],
      aims: [{ of: 'max', at: 'most', value: AIM_MEMORY_MB }],
      method: 'resident at the end of that load',
    },
    {
      name: 'fleet, peak memory of the server',
      unit: 'MB',
      samples: [peakMb],
      method: 'the most that was resident since its start',
    },
    {
      name: 'fleet, CPU of the server',
      unit: 'ratio',
      samples: [cpuPerS],
      method: 'seconds of CPU in each second of that load, all threads',
    },
    {
      name: 'load of the machine',
      unit: 'count',
      samples: [load],
      method: 'of the last minute, before it',
    },
  ];
}

function restartFigures(restarts: readonly Restart[]): Figure[] {
  const of = (pick: (one: Restart) => number) => restarts.map(pick);
  return [
    {
      name: 'restart, all Ready again, from serving',
      unit: 's',
      samples: of(({ readyFromServingMs }) => readyFromServingMs / 1_000),
      aims: [{ of: 'max', at: 'most', value: AIM_READY_S }],
      method:
        'the server is ended under the same load (by SIGTERM first, then by SIGKILL) and started again: from when it serves until every collector is Ready',
    },
    {
      name: 'restart, all Ready again, from its end',
      unit: 's',
      samples: of(({ readyMs }) => readyMs / 1_000),
      method: "the same from the signal on: the server's own end and start are part of it",
    },
    {
      name: 'restart, dials',
      unit: 'count',
      samples: of(({ dials }) => dials.length),
      method: 'all that were begun until then, refused ones included',
    },
    {
      name: 'restart, dials due in the busiest second',
      unit: 'count',
      samples: of(({ dials }) => mostPerSecond(dials.map(({ dueAt }) => dueAt))),
      aims: [{ of: 'max', at: 'most', value: AIM_DIALS_PER_S }],
      method:
        'the most that fell due within any second, as a thousand processes would begin them; about 500 are aimed at',
    },
    {
      name: 'restart, dials begun in the busiest second',
      unit: 'count',
      samples: of(({ dials }) => mostPerSecond(dials.map(({ begunAt }) => begunAt))),
      method:
        'the most that the one process of all thousand began within any second: what it was kept from, it begins at once',
    },
    {
      name: 'restart, how late dials were begun, p99',
      unit: 'ms',
      samples: of(({ dials }) =>
        quantileOf(
          dials.map(({ dueAt, begunAt }) => begunAt - dueAt),
          0.99,
        ),
      ),
      method: 'after they were due: what that process was kept waiting',
    },
    {
      name: 'load of the machine, restarts',
      unit: 'count',
      samples: of(({ load }) => load),
      method: 'of the last minute, before each',
    },
  ];
}
