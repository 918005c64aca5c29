/**
 * What it takes to have it: the size of the images, the time until a collector that was just started
 * has its first ack, and what each process needs while next to nothing happens.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readLabEnvironment } from '#lab/state.ts';
import { BenchError, NotHereError } from './errors.ts';
import { type Figure, medianOf } from './figures.ts';
import { childCpuSeconds, cpuSeconds, residentBytes } from './machine.ts';
import { type Bench, startLink } from './pipeline.ts';
import type { Running, RunningCollector } from './programs.ts';
import type { Result } from './result.ts';

const STARTS = { short: 5, full: 20 } as const;
const STARTED_WITHIN_MS = 60_000;
const POLL_MS = 10;

const ROUNDS = { short: 1, full: 3 } as const;
const SETTLE_MS = 15_000;
const LOOKS = 60;
const LOOK_EVERY_MS = 1_000;

/** The Rust collector that this was modelled on, one sample a second: given, measured before on two cores like these. */
const GIVEN = { memoryMb: 4.4, cpuPercent: 0.03 } as const;

/**
 * How large the images are that the lab runs.
 * @throws NotHereError where no engine has any of them.
 */
export async function measureImages({ docker }: Pick<Bench, 'docker'>): Promise<Result> {
  const { HOLDFAST_IMAGE, HOLDFAST_TOXIPROXY_IMAGE } = readLabEnvironment() ?? {};
  const images = [
    ['Holdfast', HOLDFAST_IMAGE],
    ['Toxiproxy', HOLDFAST_TOXIPROXY_IMAGE],
  ] as const;
  const figures: Figure[] = [];
  const probe = await docker.probe();
  for (const [name, reference] of probe.kind === 'ready' ? images : []) {
    const bytes = reference === undefined ? null : await docker.imageBytes(reference);
    if (bytes === null) continue;
    figures.push({
      name: `image of ${name}`,
      unit: 'MB',
      samples: [bytes / 1e6],
      method: 'as the engine tells it, unpacked, with its base; server and collector share one',
    });
  }
  if (figures.length === 0) {
    throw new NotHereError('no engine here has an image of this checkout (make up makes them)');
  }
  return { figures, proofs: [] };
}

/** Each start with a queue of its own, against a server that runs already. */
export async function measureStart(bench: Bench): Promise<Result> {
  const serving: number[] = [];
  const status: number[] = [];
  const acked: number[] = [];
  const starts = STARTS[bench.size];
  for (let i = 1; i <= starts; i += 1) {
    bench.progress(`start ${i} of ${starts}`);
    const directory = join(bench.directory, `start-${i}`);
    await mkdir(directory);
    const begunMs = performance.now();
    const server = await bench.programs.server(join(directory, 'store'));
    serving.push((performance.now() - begunMs) / 1_000);
    const spawnedMs = performance.now();
    const collector = await bench.programs.collector(join(directory, 'queue'), server.port);
    status.push((performance.now() - spawnedMs) / 1_000);
    await firstAck(collector);
    acked.push((performance.now() - spawnedMs) / 1_000);
    await collector.stop();
    await server.stop();
    await rm(directory, { recursive: true });
  }
  const about = { unit: 's', bound: 'processor' } as const;
  const method = `new each time, on an empty folder, ${starts} times`;
  return {
    figures: [
      {
        name: 'server, until it serves',
        ...about,
        samples: serving,
        method: `from starting the program until it says so; ${method}`,
      },
      {
        name: 'collector, until its status is served',
        ...about,
        samples: status,
        method: `from starting the program; ${method}`,
      },
      {
        name: 'collector, until its first ack',
        ...about,
        samples: acked,
        method: `from starting the program until its first sample is stored and acknowledged: taking it, opening the queue and the handshake are part of it; looked at every ${POLL_MS} ms; ${method}`,
      },
    ],
    proofs: [],
  };
}

/** Resolves when a collector's first sample is stored. Throws BenchError when none is within a minute. */
export async function firstAck({ status }: RunningCollector): Promise<void> {
  const deadline = performance.now() + STARTED_WITHIN_MS;
  while (performance.now() < deadline) {
    const response = await fetch(status);
    // Until its queue is open it has no counters.
    if (response.status === 200) {
      const { counters } = (await response.json()) as { counters: { acked: number } };
      if (counters.acked > 0) return;
    } else await response.body?.cancel();
    await delay(POLL_MS);
  }
  throw new BenchError(`a collector had no ack within ${STARTED_WITHIN_MS / 1_000} s`);
}

interface AtRest {
  readonly memoryMb: number[];
  readonly cpuPercent: number[];
}

/** A collector with a sample a second, Toxiproxy, and the server; nobody looks at it. */
export async function measureRest(bench: Bench): Promise<Result> {
  const names = ['collector', 'server', 'toxiproxy'] as const;
  const commandsPercent: number[] = [];
  const rest = new Map(
    names.map((name): [string, AtRest] => [name, { memoryMb: [], cpuPercent: [] }]),
  );
  const rounds = ROUNDS[bench.size];
  for (let i = 1; i <= rounds; i += 1) {
    bench.progress(`at rest, round ${i} of ${rounds}`);
    const directory = join(bench.directory, `rest-${i}`);
    await mkdir(directory);
    const server = await bench.programs.server(join(directory, 'store'));
    const { port, toxiproxy } = await startLink(bench, directory, server.port);
    const settings = { HOLDFAST_SAMPLE_INTERVAL_MS: '1000' };
    const queue = join(directory, 'queue');
    const collector = await bench.programs.collector(queue, port, settings);
    const processes: Readonly<Record<(typeof names)[number], Running>> = {
      collector,
      server,
      toxiproxy,
    };
    await firstAck(collector);
    await delay(SETTLE_MS, undefined, { signal: bench.signal });
    const before = names.map((name) => cpuSeconds(processes[name].pid));
    const commandsBefore = childCpuSeconds(collector.pid);
    const beganMs = performance.now();
    for (let look = 0; look < LOOKS; look += 1) {
      await delay(LOOK_EVERY_MS, undefined, { signal: bench.signal });
      for (const name of names) {
        rest.get(name)?.memoryMb.push(residentBytes(processes[name].pid) / 1e6);
      }
    }
    const elapsedS = (performance.now() - beganMs) / 1_000;
    for (const [which, name] of names.entries()) {
      const usedS = cpuSeconds(processes[name].pid) - (before[which] ?? 0);
      rest.get(name)?.cpuPercent.push((100 * usedS) / elapsedS);
    }
    const commandsS = childCpuSeconds(collector.pid) - commandsBefore;
    commandsPercent.push((100 * commandsS) / elapsedS);
    await collector.stop();
    await toxiproxy.stop();
    await server.stop();
  }
  return { figures: restFigures(rest, commandsPercent), proofs: [] };
}

export function restFigures(
  rest: ReadonlyMap<string, AtRest>,
  commandsPercent: readonly number[],
): Figure[] {
  const what = `a sample a second from collector to server through Toxiproxy, from ${SETTLE_MS / 1_000} s after the first ack on, nobody asking for anything`;
  const { memoryMb = [], cpuPercent = [] } = rest.get('collector') ?? {};
  const given =
    'over what the Rust collector that this was modelled on takes for as much; that is given, measured before on two cores like these, and not part of this run';
  return [
    ...[...rest].map(
      ([name, one]): Figure => ({
        name: `${name}, memory at rest`,
        unit: 'MB',
        samples: one.memoryMb,
        method: `resident, a look a second for ${LOOKS} s; ${what}`,
      }),
    ),
    ...[...rest].map(
      ([name, one]): Figure => ({
        name: `${name}, CPU at rest`,
        unit: '%',
        better: 'less',
        bound: 'processor',
        samples: one.cpuPercent,
        method: `of one core, all threads, over ${LOOKS} s in steps of 10 ms${name === 'collector' ? ', without the commands that it runs' : ''}; ${what}`,
      }),
    ),
    {
      name: 'collector, CPU of the commands that it runs',
      unit: '%',
      better: 'less',
      bound: 'processor',
      samples: commandsPercent,
      method: `what systeminformation has the shell do for it (df, lsblk, cat), on top of the collector's own; ${what}`,
    },
    {
      name: `collector, memory / the Rust collector's ${GIVEN.memoryMb} MB`,
      unit: 'ratio',
      better: 'less',
      samples: [medianOf(memoryMb) / GIVEN.memoryMb],
      method: `the median, ${given}`,
    },
    {
      name: `collector, CPU / the Rust collector's ${GIVEN.cpuPercent} %`,
      unit: 'ratio',
      better: 'less',
      bound: 'processor',
      samples: cpuPercent.map((percent, i) => {
        return (percent + (commandsPercent[i] ?? Number.NaN)) / GIVEN.cpuPercent;
      }),
      method: `its own and that of the commands that it runs together, each round, ${given}`,
    },
  ];
}
