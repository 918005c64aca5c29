/**
 * What the length of a backlog costs: how fast it grows and drains (`depth-speed.ts`), how long opening a
 * queue takes, and the memory of a collector at rest on it, from ten thousand frames to ten million.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from '#collector/producer/queue/queue.ts';
import { freePort } from '#lab/ports.ts';
import { type Backlog, makeBacklog } from './backlog.ts';
import { measureSpeed } from './depth-speed.ts';
import { type Figure, medianOf } from './figures.ts';
import { residentBytes } from './machine.ts';
import type { Bench } from './pipeline.ts';
import type { Result } from './result.ts';

const PAYLOAD_BYTES = 200;
/** Room for the longest: a record is 264 bytes. */
const LIMIT_BYTES = 4 * 1_024 ** 3;
const OPENINGS = 5;
const AIM_OPENING_S = 2;
const REST_MS = 10_000;
const LOOK_MS = 20_000;
const LOOK_EVERY_MS = 100;
const AIM_RATIO = 1.1;

const PLANS = {
  short: { frames: [10_000, 1_000_000], speedRounds: 3, rounds: 1 },
  full: { frames: [10_000, 1_000_000, 10_000_000], speedRounds: 3, rounds: 3 },
} as const;
type Plan = (typeof PLANS)[keyof typeof PLANS];

export async function measureDepth(bench: Bench): Promise<Result> {
  const plan = PLANS[bench.size];
  const backlogs: Backlog[] = [];
  for (const frames of plan.frames) {
    backlogs.push(await makeBacklog(bench, frames, PAYLOAD_BYTES));
  }
  const speed = await measureSpeed(bench, backlogs, plan.speedRounds, PAYLOAD_BYTES);
  const openings = await measureOpenings(bench, backlogs);
  const memory = await measureMemoryAtRest(bench, backlogs, plan);
  return { figures: [...openings, ...memory, ...speed.figures], proofs: speed.proofs };
}

async function measureOpenings(bench: Bench, backlogs: readonly Backlog[]): Promise<Figure[]> {
  const [most] = backlogs.slice(-1);
  const warm: Figure[] = [];
  const cold: Figure[] = [];
  for (const backlog of backlogs) {
    bench.progress(`depth: opening ${backlog.frames}`);
    const times: { warm: number[]; cold: number[] } = { warm: [], cold: [] };
    for (let i = 0; i < OPENINGS; i += 1) {
      dropCached(backlog.path);
      times.cold.push(await timeOpening(backlog));
      times.warm.push(await timeOpening(backlog));
    }
    const { at } = backlog;
    const aims = [{ of: 'median', at: 'most', value: AIM_OPENING_S }] as const;
    const about = {
      unit: 's',
      bound: 'processor',
      at,
      ...(backlog === most ? { aims } : {}),
    } as const;
    const method = `until the queue with frames of ${PAYLOAD_BYTES} bytes is open, its thread's start included`;
    warm.push({ name: 'opening', ...about, samples: times.warm, method });
    cold.push({
      name: 'opening, not in the page cache',
      ...about,
      samples: times.cold,
      method: `${method}; each file's pages were dropped before`,
    });
  }
  return [...warm, ...cold, ...(most === undefined ? [] : [await openingWhole(most)])];
}

async function openingWhole(backlog: Backlog): Promise<Figure> {
  for (const name of readdirSync(backlog.path)) {
    if (name.startsWith('index-')) rmSync(join(backlog.path, name));
  }
  return {
    name: 'opening without indexes',
    unit: 's',
    bound: 'processor',
    at: backlog.at,
    samples: [await timeOpening(backlog)],
    method: 'as after an upgrade: every byte is read, and the indexes are written; once',
  };
}

/** Seconds that an opening takes; all frames have to be there. */
async function timeOpening({ path, frames: expected }: Backlog): Promise<number> {
  const startedAt = performance.now();
  const queue = await Queue.open({ path, limitBytes: LIMIT_BYTES });
  const elapsed = performance.now() - startedAt;
  const { frames, damage } = queue.recovery;
  await queue.close();
  if (frames !== expected || damage.length > 0) throw new Error(`${frames} frames were found`);
  return elapsed / 1_000;
}

/** Lets the operating system forget the files' pages, as far as it does so for a request. */
function dropCached(path: string): void {
  for (const name of readdirSync(path)) {
    const file = join(path, name);
    execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
}

async function measureMemoryAtRest(
  bench: Bench,
  backlogs: readonly Backlog[],
  { rounds }: Plan,
): Promise<Figure[]> {
  const samples = backlogs.map((): number[] => []);
  for (let i = 1; i <= rounds; i += 1) {
    bench.progress(`depth: memory, round ${i} of ${rounds}`);
    const nobody = await freePort();
    const collectors = [];
    for (const { path } of backlogs) {
      collectors.push(
        await bench.programs.collector(path, nobody, {
          HOLDFAST_QUEUE_LIMIT_BYTES: String(LIMIT_BYTES),
        }),
      );
    }
    await delay(REST_MS, undefined, { signal: bench.signal });
    const looks = backlogs.map((): number[] => []);
    for (let look = 0; look < LOOK_MS / LOOK_EVERY_MS; look += 1) {
      collectors.forEach(({ pid }, which) => {
        looks[which]?.push(residentBytes(pid) / 1e6);
      });
      await delay(LOOK_EVERY_MS, undefined, { signal: bench.signal });
    }
    await Promise.all(collectors.map((collector) => collector.stop()));
    looks.forEach((own, which) => {
      samples[which]?.push(medianOf(own));
    });
  }
  return memoryFigures(backlogs, samples);
}

function memoryFigures(
  backlogs: readonly Backlog[],
  samples: readonly (readonly number[])[],
): Figure[] {
  const method = `resident memory of the collector program at its usual sampling, cut off; median of ${LOOK_MS / LOOK_EVERY_MS} looks in ${LOOK_MS / 1_000} s, from ${REST_MS / 1_000} s after start on, each sample a process of its own`;
  const [few = [], most = []] = [samples[0], samples.at(-1)];
  return [
    ...backlogs.map(
      ({ at }, i): Figure => ({
        name: 'memory',
        unit: 'MB',
        at,
        samples: samples[i] ?? [],
        method,
      }),
    ),
    {
      name: 'memory, the longest backlog / the shortest',
      unit: 'ratio',
      samples: most.map((bytes, i) => bytes / (few[i] ?? Number.NaN)),
      aims: [{ of: 'median', at: 'most', value: AIM_RATIO }],
      method: 'processes that ran at the same time',
    },
  ];
}
