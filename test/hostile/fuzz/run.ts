/**
 * Many inputs, one recipe after the other: what failed, how each ended, what was done to them, how
 * fast, and whether anything grew. For the command line and for the tests alike.
 *
 * Inputs come in blocks of one seed each, so that a failure is played again, shrunk as it was, from
 * its block's seed and its path.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { playCollector } from './collector-stage.ts';
import { type Recipe, recipes } from './hostile-collector.ts';
import { FRAMES_MUTATIONS, MUTATIONS } from './mutations.ts';
import { playServer } from './server-stage.ts';
import { must } from './violation.ts';

export interface Played {
  /** Why the connection ended. */
  readonly reason: string;
  /** What was done to it. */
  readonly mutations: readonly string[];
}

export const TARGETS: Readonly<Record<'server' | 'collector', (recipe: Recipe) => Played>> = {
  server: playServer,
  collector: playCollector,
};

export type Target = keyof typeof TARGETS;

/** What has to be met by any long run: else the fuzzer has gone blind. */
export const REQUIRED: Readonly<Record<Target, readonly string[]>> = {
  server: [
    ...Object.keys(MUTATIONS),
    ...Object.keys(FRAMES_MUTATIONS),
    ...['strange', 'strangeHello', 'wrongToken'],
    ...['protocol_error', 'unauthorized', 'timeout', 'goodbye', 'in_use', 'store_unavailable'],
  ],
  collector: [
    ...Object.keys(MUTATIONS),
    ...['strange', 'protocol', 'no_progress', 'closed', 'deadline', 'unauthorized'],
    ...['bye_overloaded', 'bye_shutdown', 'other_store'],
  ],
};

export interface FuzzOptions {
  readonly target: Target;
  readonly seed: number;
  readonly inputs: number;
  readonly onProgress?: (inputs: number) => void;
}

export interface Failure {
  readonly seed: number;
  readonly path: string;
  readonly recipe: Recipe | undefined;
  readonly error: Error;
}

export interface FuzzResult {
  readonly inputs: number;
  /** How often each ending and each mutation was met. */
  readonly met: ReadonlyMap<string, number>;
  /** Of this process, on its processors. */
  readonly cpuSeconds: number;
  readonly slowestCpuMs: number;
  /** In use after a collection, half way and at the end. */
  readonly heapBytes: readonly [number, number];
  readonly failure: Failure | undefined;
}

const BLOCK_INPUTS = 5_000;
/** An input takes a tenth of a millisecond; one that takes this long hangs. */
const HANGS_CPU_MS = 2_000;
/** What the heap may hold more at the end than half way: caches, code. */
const GROWTH_FACTOR = 1.25;
const GROWTH_BYTES = 8_388_608;

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { target, inputs, seed, onProgress = () => {} } = options;
  const session = new FuzzSession(target);
  const startedAt = process.cpuUsage();
  let halfWay = 0;
  let failure: Failure | undefined;
  for (let done = 0, block = 0; done < inputs && failure === undefined; block += 1) {
    const numRuns = Math.min(BLOCK_INPUTS, inputs - done);
    failure = session.playBlock(seed + block, numRuns);
    done += numRuns;
    if (halfWay === 0 && done >= inputs / 2) halfWay = heapInUse();
    onProgress(done);
    // What native parts let go of is only freed between turns.
    await nextTurn();
  }
  const { user, system } = process.cpuUsage(startedAt);
  const heapBytes = [halfWay, heapInUse()] as const;
  failure ??= growth(heapBytes, seed);
  const { met, slowestCpuMs, inputs: played } = session;
  const cpuSeconds = (user + system) / 1_000_000;
  return { inputs: played, met, cpuSeconds, slowestCpuMs, heapBytes, failure };
}

/** One input of a block again, as it was found and shrunk. */
export function replay(target: Target, seed: number, path: string): Failure | undefined {
  return new FuzzSession(target).playBlock(seed, BLOCK_INPUTS, path);
}

class FuzzSession {
  readonly #play: (recipe: Recipe) => Played;
  readonly met = new Map<string, number>();
  inputs = 0;
  slowestCpuMs = 0;

  constructor(target: Target) {
    this.#play = TARGETS[target];
  }

  playBlock(seed: number, numRuns: number, path?: string): Failure | undefined {
    const property = fc.property(recipes, (recipe) => this.#playOne(recipe));
    const details = fc.check(property, { seed, numRuns, ...(path === undefined ? {} : { path }) });
    if (!details.failed) return undefined;
    const { counterexample, counterexamplePath, errorInstance } = details;
    return {
      seed,
      path: counterexamplePath ?? '',
      recipe: counterexample?.[0],
      error: errorInstance instanceof Error ? errorInstance : new Error(String(errorInstance)),
    };
  }

  #playOne(recipe: Recipe): void {
    const before = process.threadCpuUsage();
    const { reason, mutations } = this.#play(recipe);
    const { user, system } = process.threadCpuUsage(before);
    const cpuMs = (user + system) / 1_000;
    must(cpuMs < HANGS_CPU_MS, () => `took ${cpuMs} ms`);
    this.slowestCpuMs = Math.max(this.slowestCpuMs, cpuMs);
    this.inputs += 1;
    for (const what of [reason, ...mutations]) this.met.set(what, (this.met.get(what) ?? 0) + 1);
  }
}

function growth([halfWay, end]: readonly [number, number], seed: number): Failure | undefined {
  if (end <= halfWay * GROWTH_FACTOR + GROWTH_BYTES) return undefined;
  const error = new Error(`the heap grew from ${halfWay} to ${end} bytes`);
  return { seed, path: '', recipe: undefined, error };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapInUse(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** One line that says how it went. */
export function summaryOf({ target, seed }: FuzzOptions, result: FuzzResult): string {
  const { inputs, cpuSeconds, slowestCpuMs, heapBytes, failure } = result;
  const heap = heapBytes.map((bytes) => (bytes / 1_048_576).toFixed(1)).join(' then ');
  return (
    `${target}: ${inputs} inputs from seed ${seed}, ${failure === undefined ? 0 : 1} failed; ` +
    `${Math.round(inputs / cpuSeconds)} a second of CPU; the slowest took ${slowestCpuMs.toFixed(0)} ms; ` +
    `heap ${heap} MiB`
  );
}
