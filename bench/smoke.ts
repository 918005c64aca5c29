/** The first figures: the measurements that `smoke` runs, in their order. */
import { measureDrain } from './drain.ts';
import { measureMemory } from './memory.ts';
import type { Bench } from './pipeline.ts';
import { measureCuts, measureOutages } from './recovery.ts';
import type { Result } from './result.ts';
import type { FramePlan } from './source/frames.ts';

const PARTS = {
  drain: measureDrain,
  memory: measureMemory,
  cuts: measureCuts,
  outages: measureOutages,
} as const;

export type Part = keyof typeof PARTS;

export const PART_NAMES = Object.keys(PARTS) as readonly Part[];

const PAYLOAD_BYTES = 300;

export async function smoke(bench: Bench, parts: readonly Part[]): Promise<Result[]> {
  const plan: FramePlan = {
    seed: bench.seed,
    payloadBytes: PAYLOAD_BYTES,
    startedAt: Date.now() * 1_000,
  };
  const results: Result[] = [];
  for (const part of parts) results.push(await PARTS[part](bench, plan));
  return results;
}
