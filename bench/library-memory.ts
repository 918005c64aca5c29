/**
 * What a program needs that has the Producer in it, next to Node.js alone: its code, its thread, a
 * queue that is open. Below them lies what no producer can do without that is written in JavaScript.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '#lab/ports.ts';
import type { Figure } from './figures.ts';
import { residentBytes } from './machine.ts';
import type { Bench } from './pipeline.ts';
import { TOKEN } from './programs.ts';
import type { Result } from './result.ts';
import type { StepCommand } from './steps/commands.ts';

const ROUNDS = { short: 3, full: 7 } as const;
const SETTLE_MS = 700;

const STEPS = {
  alone: 'Node.js alone',
  thread: 'Node.js and a thread that does nothing',
  library: "the Producer's code loaded",
  queue: 'its queue open',
} as const;

type Memory = Readonly<Record<keyof typeof STEPS, number>>;

export async function measureLibraryMemory(bench: Bench): Promise<Result> {
  const rounds: Memory[] = [];
  // The first one has Node.js keep what it compiles.
  for (let i = 0; i <= ROUNDS[bench.size]; i += 1) {
    const memory = await round(bench, join(bench.directory, `queue-${i}`));
    if (i > 0) rounds.push(memory);
  }
  return { figures: figuresOf(rounds), proofs: [] };
}

async function round({ programs, signal }: Bench, path: string): Promise<Memory> {
  const look = async (pid: number) => {
    await delay(SETTLE_MS, undefined, { signal });
    return residentBytes(pid) / 1e6;
  };
  const [one, other] = [programs.steps(), programs.steps()];
  const after = async (command: StepCommand, steps = one) => {
    await steps.ask(command);
    return look(steps.pid);
  };
  const server = `127.0.0.1:${await freePort()}`;
  const memory = {
    alone: await look(one.pid),
    thread: await after({ type: 'thread' }, other),
    library: await after({ type: 'library' }),
    queue: await after({ type: 'queue', path, server, token: TOKEN }),
  };
  await Promise.all([one.stop(), other.stop()]);
  return memory;
}

function figuresOf(rounds: readonly Memory[]): Figure[] {
  const ofAll = `resident, ${SETTLE_MS} ms after it was done`;
  const methods: Readonly<Record<keyof typeof STEPS, string>> = {
    alone: `a process of this benchmark that does nothing yet; ${ofAll}`,
    thread: `another such process, with a worker of worker_threads that waits; ${ofAll}`,
    library: `the first one, once it has imported the Producer; ${ofAll}`,
    queue: `the same with an empty queue open, whose thread has started, and a server that isn't there; ${ofAll}`,
  };
  return (Object.keys(STEPS) as (keyof typeof STEPS)[]).map((step) => ({
    name: STEPS[step],
    unit: 'MB',
    samples: rounds.map((memory) => memory[step]),
    ...(step === 'alone' || step === 'thread' ? { better: 'neither' as const } : {}),
    method: methods[step],
  }));
}
