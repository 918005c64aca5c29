/**
 * A swarm as a run: plays the schedule once; when that fails, leaves it as a scenario file, makes it
 * smaller with a few reruns, and leaves the smallest that still fails beside it. How a scenario is
 * played is the runner's; it is passed in.
 */
import { join } from 'node:path';
import type { Scenario } from '../scenario/scenario.ts';
import { writeSchedule } from './schedule-file.ts';
import { type Shrunk, shrink } from './shrink.ts';

/** What is used of the runner's answer. */
export interface Outcome {
  readonly outcome: string;
  /** In words; empty for a pass. */
  readonly reason: string;
  /** The judge's; null where there was nothing to judge. */
  readonly result: {
    readonly reasons: readonly { readonly code: string; readonly verdict: string }[];
  } | null;
}

export interface SwarmRunOptions<Played extends Outcome> {
  readonly seed: number;
  readonly scenario: Scenario;
  /** Of the run; `schedule.yaml` and `shrunk.yaml` go there. */
  readonly folder: string;
  /** What to type for the same schedule, drawn anew. */
  readonly command: string;
  /** Plays one; `name` names its folder: `swarm`, and `shrink-1` and up for reruns. */
  readonly play: (scenario: Scenario, name: string) => Promise<Played>;
  /** Reruns that shrinking may take; 6 unless told, 0 for none. */
  readonly reruns?: number | undefined;
  /** Told what is being done, in words. */
  readonly tell: (doing: string) => void;
}

export interface SwarmRun<Played extends Outcome> {
  /** Of the whole schedule; the run's verdict, whatever the reruns said. */
  readonly played: Played;
  /** Paths of the files that were written; none for a schedule that held. */
  readonly files: readonly string[];
  /** Undefined unless it failed. */
  readonly shrunk: Shrunk | undefined;
}

/** Rejects only as `play` does, and when a file can't be written. */
export async function runSwarm<Played extends Outcome>(
  options: SwarmRunOptions<Played>,
): Promise<SwarmRun<Played>> {
  const { scenario, folder, play, reruns, tell } = options;
  const played = await play(scenario, 'swarm');
  if (played.outcome !== 'fail' && played.outcome !== 'inconclusive') {
    return { played, files: [], shrunk: undefined };
  }
  const schedule = join(folder, 'schedule.yaml');
  writeSchedule(schedule, scenario, headerOf(options, played, schedule));
  const failed = codesOf(played);
  if (played.outcome !== 'fail' || reruns === 0) {
    return { played, files: [schedule], shrunk: undefined };
  }
  let rerun = 0;
  const shrunk = await shrink({
    scenario,
    ...(reruns === undefined ? {} : { budget: reruns }),
    fails: async (candidate) => {
      rerun += 1;
      tell(`shrinking the schedule: rerun ${rerun}`);
      const again = await play(candidate, `shrink-${rerun}`);
      return codesOf(again).some((code) => failed.includes(code));
    },
  });
  if (shrunk.scenario === scenario) return { played, files: [schedule], shrunk };
  const path = join(folder, 'shrunk.yaml');
  const { before, after } = shrunk.faults;
  const how = `Shrunk in ${shrunk.reruns} reruns from ${before} faults to ${after}, which failed in the same way.`;
  writeSchedule(path, shrunk.scenario, [...headerOf(options, played, path), how]);
  return { played, files: [schedule, path], shrunk };
}

/** Why it failed, by code; empty unless it did. */
function codesOf({ outcome, result }: Outcome): string[] {
  if (outcome !== 'fail') return [];
  const reasons = result?.reasons ?? [];
  return reasons.filter(({ verdict }) => verdict === 'fail').map(({ code }) => code);
}

function headerOf(
  { seed, command }: SwarmRunOptions<Outcome>,
  { outcome, reason }: Outcome,
  path: string,
): string[] {
  return [
    `Drawn from seed ${seed}; the run ended in ${outcome}: ${reason}`,
    `Run this file:        make chaos SCENARIO=${path}`,
    `Draw and run it anew: ${command}`,
  ];
}
