/**
 * What a waiting backlog costs in memory: the collector as a user runs it, on a queue with the
 * backlog and on an empty one, side by side, cut off from any server.
 */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '#lab/ports.ts';
import { type Figure, medianOf } from './figures.ts';
import { residentBytes } from './machine.ts';
import { type Bench, planOf, startPipeline } from './pipeline.ts';
import type { Result } from './result.ts';

const BACKLOG_FRAMES = 200_000;
const PAYLOAD_BYTES = 300;
const PAIRS = { short: 1, full: 3 } as const;
/** How long a collector is left alone before it counts as at rest, and how long it is looked at. */
const REST_MS = 4_000;
const LOOK_MS = 5_000;
const LOOKS = 50;
const AIM_RATIO = 1.1;

export async function measureMemory(bench: Bench): Promise<Result> {
  bench.progress('memory: making the backlog');
  const backlog = join(bench.directory, 'memory', 'queue');
  const { source, stop } = await startPipeline(bench, 'memory', planOf(bench, PAYLOAD_BYTES));
  await source.ask({ type: 'fill', frames: BACKLOG_FRAMES });
  await stop();
  const full: number[] = [];
  const empty: number[] = [];
  for (let i = 1; i <= PAIRS[bench.size]; i += 1) {
    bench.progress(`memory: pair ${i} of ${PAIRS[bench.size]}`);
    const pair = await measurePair(bench, backlog, i);
    full.push(pair.full);
    empty.push(pair.empty);
  }
  await rm(join(bench.directory, 'memory'), { recursive: true });
  return { figures: figuresOf(full, empty), proofs: [] };
}

/** Each pair has queues of its own, so that no run finds what another has added. */
async function measurePair(bench: Bench, backlog: string, number: number) {
  const directory = join(bench.directory, `memory-${number}`);
  const [fullQueue, emptyQueue] = [join(directory, 'full'), join(directory, 'empty')];
  await mkdir(directory);
  await cp(backlog, fullQueue, { recursive: true });
  const nobody = await freePort();
  const collectors = [
    await bench.programs.collector(fullQueue, nobody),
    await bench.programs.collector(emptyQueue, nobody),
  ];
  await delay(REST_MS, undefined, { signal: bench.signal });
  const looks: number[][] = collectors.map(() => []);
  for (let i = 0; i < LOOKS; i += 1) {
    collectors.forEach(({ pid }, which) => {
      looks[which]?.push(residentBytes(pid) / 1e6);
    });
    await delay(LOOK_MS / LOOKS, undefined, { signal: bench.signal });
  }
  await Promise.all(collectors.map((collector) => collector.stop()));
  await rm(directory, { recursive: true });
  const [full = [], empty = []] = looks;
  return { full: medianOf(full), empty: medianOf(empty) };
}

function figuresOf(full: readonly number[], empty: readonly number[]): Figure[] {
  const method = `resident memory of the collector program at its usual sampling, cut off; ${REST_MS / 1_000} s after start, median of ${LOOKS} looks in ${LOOK_MS / 1_000} s, each sample a process of its own`;
  return [
    { name: 'memory, empty queue', unit: 'MB', samples: empty, method },
    {
      name: `memory, ${BACKLOG_FRAMES} frames queued`,
      unit: 'MB',
      samples: full,

      method,
    },
    {
      name: 'memory, backlog / empty',
      unit: 'ratio',
      samples: full.map((bytes, i) => bytes / (empty[i] ?? Number.NaN)),
      aims: [{ of: 'median', at: 'most', value: AIM_RATIO }],
      method: 'the two of a pair, which ran at the same time',
    },
  ];
}
