/**
 * What the length of a backlog costs: how long opening ten million frames takes, and the memory of a
 * collector at rest on them beside one on ten thousand. The queues are made by the queue itself.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from '#collector/producer/queue/queue.ts';
import { freePort } from '#lab/ports.ts';
import { type Figure, medianOf } from './figures.ts';
import { residentBytes } from './machine.ts';
import type { Bench } from './pipeline.ts';
import type { Result } from './result.ts';

const FEW = 10_000;
const MANY = 10_000_000;
const PAYLOAD_BYTES = 200;
/** Room for all of them: a record is 264 bytes. */
const LIMIT_BYTES = 4 * 1_024 ** 3;
const BATCH = 4_096;
const TELL_EVERY = 2_000_000;

const OPENINGS = 5;
const AIM_OPENING_S = 2;

const PAIRS = 3;
const REST_MS = 10_000;
const LOOK_MS = 60_000;
const LOOKS = 600;
const AIM_RATIO = 1.1;

export async function measureDepth(bench: Bench): Promise<Result> {
  const directory = join(bench.directory, 'depth');
  const [few, many] = [join(directory, 'few'), join(directory, 'many')];
  mkdirSync(directory);
  await fill(bench, few, FEW);
  await fill(bench, many, MANY);
  const openings = await measureOpenings(bench, many);
  const memory = await measureMemoryAtRest(bench, few, many);
  await rm(directory, { recursive: true });
  return { figures: [...openings, ...memory], proofs: [] };
}

async function fill(bench: Bench, path: string, frames: number): Promise<void> {
  const queue = await Queue.open({ path, limitBytes: LIMIT_BYTES });
  const payload = Buffer.alloc(PAYLOAD_BYTES, 'p');
  const startedAt = Date.now() * 1_000;
  for (let made = 0; made < frames; made += BATCH) {
    if (made % TELL_EVERY < BATCH) bench.progress(`depth: ${made} of ${frames} frames made`);
    bench.signal.throwIfAborted();
    const batch = Math.min(BATCH, frames - made);
    await Promise.all(
      Array.from({ length: batch }, (_, i) => queue.append(payload, startedAt + made + i)),
    );
  }
  await queue.close();
}

async function measureOpenings(bench: Bench, path: string): Promise<Figure[]> {
  const whole: number[] = [];
  const cold: number[] = [];
  const warm: number[] = [];
  bench.progress('depth: opening');
  for (let i = 0; i < OPENINGS; i += 1) {
    dropCached(path);
    cold.push(await timeOpening(path));
    warm.push(await timeOpening(path));
  }
  for (const name of readdirSync(path)) if (name.startsWith('index-')) rmSync(join(path, name));
  whole.push(await timeOpening(path));
  const method = `until the queue with ${MANY} frames of ${PAYLOAD_BYTES} bytes is open, its thread's start included`;
  const aims = [{ of: 'median', at: 'most', value: AIM_OPENING_S }] as const;
  return [
    { name: 'opening', unit: 's', samples: warm, aims, method },
    {
      name: 'opening, not in the page cache',
      unit: 's',
      samples: cold,
      aims,
      method: `${method}; each file's pages were dropped before`,
    },
    {
      name: 'opening without indexes',
      unit: 's',
      samples: whole,
      method: `${method}; as after an upgrade: every byte is read, and the indexes are written`,
    },
  ];
}

/** Seconds that an opening takes; all frames have to be there. */
async function timeOpening(path: string): Promise<number> {
  const startedAt = performance.now();
  const queue = await Queue.open({ path, limitBytes: LIMIT_BYTES });
  const elapsed = performance.now() - startedAt;
  const { frames, damage } = queue.recovery;
  await queue.close();
  if (frames !== MANY || damage.length > 0) throw new Error(`${frames} frames were found`);
  return elapsed / 1_000;
}

/** Lets the operating system forget the files' pages, as far as it does so for a request. */
function dropCached(path: string): void {
  for (const name of readdirSync(path)) {
    const file = join(path, name);
    execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
}

async function measureMemoryAtRest(bench: Bench, few: string, many: string): Promise<Figure[]> {
  const samples: { few: number[]; many: number[] } = { few: [], many: [] };
  for (let i = 1; i <= PAIRS; i += 1) {
    bench.progress(`depth: memory, pair ${i} of ${PAIRS}`);
    const nobody = await freePort();
    const collectors = [
      await bench.programs.cutOffCollector(few, nobody, LIMIT_BYTES),
      await bench.programs.cutOffCollector(many, nobody, LIMIT_BYTES),
    ] as const;
    await delay(REST_MS, undefined, { signal: bench.signal });
    const looks: [number[], number[]] = [[], []];
    for (let look = 0; look < LOOKS; look += 1) {
      looks[0].push(residentBytes(collectors[0].pid) / 1e6);
      looks[1].push(residentBytes(collectors[1].pid) / 1e6);
      await delay(LOOK_MS / LOOKS, undefined, { signal: bench.signal });
    }
    await Promise.all(collectors.map((collector) => collector.stop()));
    samples.few.push(medianOf(looks[0]));
    samples.many.push(medianOf(looks[1]));
  }
  return memoryFigures(samples.few, samples.many);
}

function memoryFigures(few: readonly number[], many: readonly number[]): Figure[] {
  const method = `resident memory of the collector program at its usual sampling, cut off; median of ${LOOKS} looks in ${LOOK_MS / 1_000} s, from ${REST_MS / 1_000} s after start on, each sample a process of its own`;
  return [
    { name: `memory, ${FEW} frames queued`, unit: 'MB', samples: few, method },
    { name: `memory, ${MANY} frames queued`, unit: 'MB', samples: many, method },
    {
      name: 'memory, many / few',
      unit: 'ratio',
      samples: many.map((bytes, i) => bytes / (few[i] ?? Number.NaN)),
      aims: [{ of: 'median', at: 'most', value: AIM_RATIO }],
      method: 'the two of a pair, which ran at the same time',
    },
  ];
}
