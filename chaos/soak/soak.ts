/**
 * The long run: seeded random faults at a moderate pace for all of its time, while what each program
 * takes is sampled. Programs are killed and restarted in its first part alone, so that behind
 * it one process of each runs for long enough to be judged for growth.
 */
import { join } from 'node:path';
import type { Scene } from '../faults/fault.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { type SwarmOptions, swarmScenario } from '../swarm/swarm.ts';
import { JUDGED_MS_MIN, WARM_UP_MS } from './growth.ts';
import { sampleUsage } from './usage.ts';

/** Moderate: about as much calm as trouble, and a queue that is empty again in most calms. */
const PACE = { longestSeconds: 20, calmSeconds: 15, overlap: 0.3, patience: 0.7 } as const;
/** The part of it in which programs may be ended. */
const RESTARTS_SHARE = 1 / 3;
/** What one process has to run for, with some to spare for what is late. */
const UNDISTURBED_SECONDS = 1.25 * ((WARM_UP_MS + JUDGED_MS_MIN) / 1_000);

export type SoakOptions = Pick<SwarmOptions, 'seed' | 'minutes' | 'kinds' | 'ground'>;

/** @throws RangeError when none of the kinds can be drawn. */
export function soakScenario(options: SoakOptions): Scenario {
  const { seed, minutes } = options;
  const seconds = minutes * 60;
  const share = Math.min(seconds * RESTARTS_SHARE, seconds - UNDISTURBED_SECONDS);
  const noRestartsAfter = Math.max(0, share);
  const scenario = swarmScenario({ ...options, pace: PACE, whole: true, noRestartsAfter });
  return {
    ...scenario,
    title: `a long run, seed ${seed}, ${minutes} min`,
    description: `Leaks, which only time shows: memory, file handles and disk of each program. ${scenario.description}`,
    tags: ['soak'],
  };
}

/** To run beside the scenario, from its warm-up to its drain; ends with the scene's signal. */
export function samplingUsage({ ground, signal }: Scene, folder: string): Promise<void> {
  return sampleUsage({ ground, signal, path: join(folder, USAGE_FILE) });
}

export const USAGE_FILE = 'usage.ndjson';
