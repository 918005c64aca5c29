/**
 * Self-healing against latching: ours and three rivals on a link that flaps, side by side
 * (`contest.ts`). In each period the link is up for the first half and cut for the second, for a
 * minute; with latency on it, cuts fall in flight.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compare, type Measure, proofsOf, recordMeasures, summaryOf } from './comparison.ts';
import {
  at,
  atRest,
  begin,
  type Contest,
  LATENCY_MS,
  type Needs,
  needsOf,
  type OfEach,
  type Outcome,
  ofEach,
  outcomeOf,
  PAYLOAD_BYTES,
  RATE_PER_S,
  RIVALS,
  startContest,
} from './contest.ts';
import { type Figure, quantileOf } from './figures.ts';
import { loadNow } from './machine.ts';
import type { Bench } from './pipeline.ts';
import type { RunningServer } from './programs.ts';
import type { Result } from './result.ts';
import type { FramePlan } from './source/frames.ts';

/** How long the link is up before the first period and behind the last; records come all the while. */
const AROUND_MS = 2_000;
const FLAPPING_MS = 60_000;
const LASTS_MS = FLAPPING_MS + 2 * AROUND_MS;
const OFFERED = (LASTS_MS / 1_000) * RATE_PER_S;
/** A response limit that begins with the last cut, and some. */
const AT_REST_WITHIN_MS = 75_000;

const AIM_P99_OVER_DOWN_MS = 1_200;
const AIM_P99_OF_BEST = 0.5;
const AIM_P99_OF_BEST_AT_MS = 5_000;
const AIM_GAIN = 1.6;
/** No less, but for what is on its way when the time is up. */
const AIM_NO_LESS = 0.999;
const AIM_MEMORY = 1.02;

export interface FlapCase {
  readonly periodMs: number;
  /** Added each way. */
  readonly latencyMs: number;
}

/** What one candidate came to. */
interface Measured extends Outcome {
  /** Records a second that were stored while records came. */
  readonly perS: number;
  readonly needs: Needs;
}

interface Measurement {
  readonly about: FlapCase;
  readonly rounds: OfEach<Measured>[];
}

/** Each period with latency and without, at the same time. */
const ALL_GROUPS = [1_000, 1_300, 5_000, 20_000].map((periodMs) =>
  [LATENCY_MS, 0].map((latencyMs): FlapCase => ({ periodMs, latencyMs })),
);

export const FLAP_GROUPS = { usual: ALL_GROUPS.slice(2), all: ALL_GROUPS } as const;

/** Cases of one group run at the same time. */
export async function measureFlapping(
  bench: Bench,
  groups: readonly (readonly FlapCase[])[],
  rounds: number,
): Promise<Result> {
  const measured = groups.map((group) =>
    group.map((about): Measurement => ({ about, rounds: [] })),
  );
  const loads: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const group of measured) {
      const names = group.map(({ about }) => nameOf(about)).join(' and ');
      bench.progress(`${names}: round ${round} of ${rounds}`);
      loads.push(loadNow());
      await measureGroup(bench, group);
    }
  }
  const all = measured.flat();
  return {
    figures: [...all.flatMap(figuresOf), loadFigure(loads)],
    proofs: all.flatMap((one) => proofsOf(nameOf(one.about), one.rounds)),
  };
}

async function measureGroup(bench: Bench, group: readonly Measurement[]): Promise<void> {
  const directory = join(bench.directory, 'flap');
  const server = await bench.programs.server(join(directory, 'store'));
  const running = await Promise.all(
    group.map(async ({ about, rounds }) => {
      const { periodMs, latencyMs } = about;
      const place = join(directory, `flap-${periodMs}-${latencyMs}`);
      const contest = await startContest(bench, server, { directory: place, latencyMs });
      return { contest, about, rounds };
    }),
  );
  const contests = running.map(({ contest }) => contest);
  const plan = await begin(bench, contests, OFFERED);
  await Promise.all(
    running.map(async ({ contest, about, rounds }) => {
      const measured = await measureOne(bench, server, contest, plan, about.periodMs);
      rounds.push(measured);
      for (const line of summaryOf(nameOf(about), measured, measuresOf(about)))
        bench.progress(line);
    }),
  );
  await Promise.all(contests.map((contest) => contest.stop()));
  await server.stop();
  await rm(directory, { recursive: true });
}

async function measureOne(
  bench: Bench,
  server: RunningServer,
  contest: Contest,
  plan: FramePlan,
  periodMs: number,
): Promise<OfEach<Measured>> {
  const before = await ofEach(contest, needsOf);
  await flap(bench, contest, plan, periodMs);
  await at(bench, plan, LASTS_MS);
  const after = await ofEach(contest, needsOf);
  await atRest(bench, contest.candidates, AT_REST_WITHIN_MS);
  return ofEach(contest, async (candidate) => {
    const outcome = await outcomeOf(server, candidate, plan, OFFERED);
    const stored = outcome.judgement.storedBy(plan.startedAt + LASTS_MS * 1_000);
    const { cpuS, peakMb } = after[candidate.name];
    return {
      ...outcome,
      perS: (stored / LASTS_MS) * 1_000,
      needs: { cpuS: cpuS - before[candidate.name].cpuS, peakMb },
    };
  });
}

/** Whole periods; ends with the link open. */
async function flap(
  bench: Bench,
  { link }: Contest,
  plan: FramePlan,
  periodMs: number,
): Promise<void> {
  for (let i = 1; i <= Math.floor(FLAPPING_MS / periodMs); i += 1) {
    await at(bench, plan, AROUND_MS + (i - 0.5) * periodMs);
    await link.cut();
    await at(bench, plan, AROUND_MS + i * periodMs);
    await link.open();
  }
}

function nameOf({ periodMs, latencyMs }: FlapCase): string {
  return `flap ${periodMs / 1_000} s, ${latencyMs} ms`;
}

function figuresOf({ about, rounds }: Measurement): Figure[] {
  const of = nameOf(about);
  return [
    ...compare(of, rounds, measuresOf(about)),
    ...RIVALS.map(
      (rival): Figure => ({
        name: `${of}, ${rival}: cuts in flight`,
        compared: { contender: rival, measure: 'cuts in flight', case: of },
        unit: 'count',
        samples: rounds.map((round) => round[rival].facts.cutsInFlight),
        method: 'how often the connection ended while a request was under way, all of them in all',
      }),
    ),
    bestFigure(of, about, rounds),
  ];
}

function measuresOf({ periodMs, latencyMs }: FlapCase): Measure<Measured>[] {
  const isInFlight = latencyMs > 0;
  const noLess = [{ of: 'median', at: 'least', value: AIM_NO_LESS }] as const;
  const gain = isInFlight ? ([{ of: 'median', at: 'least', value: AIM_GAIN }] as const) : noLess;
  const p99Max = (periodMs / 2 + AIM_P99_OVER_DOWN_MS) / 1_000;
  const quantile = (q: number) => (one: Measured) =>
    quantileOf(one.judgement.latenciesMs, q) / 1_000;
  const load = `${RATE_PER_S} records/s of ${PAYLOAD_BYTES} bytes for ${LASTS_MS / 1_000} s; the link with ${latencyMs} ms each way is up for ${periodMs / 2_000} s and cut for ${periodMs / 2_000} s by turns`;
  return [
    {
      what: 'stored',
      unit: 'frames/s',
      of: ({ perS }) => perS,
      ratios: { naive: gain, clear: gain, renew: noLess },
      method: `first copies that the server had ${AROUND_MS / 1_000} s after the last cut's end, over all the time; ${load}`,
    },
    {
      what: 'latency, p50',
      unit: 's',
      of: quantile(0.5),
      ratios: {},
      method:
        'from when a record was due to be sent until the server had its first copy, of all that were due; one that never came counts until the end of the watch',
    },
    {
      what: 'latency, p99',
      unit: 's',
      of: quantile(0.99),
      aims: [{ of: 'median', at: 'most', value: p99Max }],
      ratios: {},
      method: 'of the same',
    },
    {
      what: 'peak memory',
      unit: 'MB',
      of: ({ needs }) => needs.peakMb,
      ratios: { clear: [{ of: 'median', at: 'most', value: AIM_MEMORY }] },
      method: 'the most of the process that was resident until the end of that time',
    },
    {
      what: 'CPU',
      unit: 's',
      of: ({ needs }) => needs.cpuS,
      ratios: {},
      method: 'of the process in that time, all threads, user and system, in steps of 10 ms',
    },
    ...recordMeasures<Measured>(),
  ];
}

function bestFigure(of: string, about: FlapCase, rounds: readonly OfEach<Measured>[]): Figure {
  const isHeldTo = about.latencyMs > 0 && about.periodMs === AIM_P99_OF_BEST_AT_MS;
  const p99 = ({ judgement }: Measured) => quantileOf(judgement.latenciesMs, 0.99);
  return {
    name: `${of}, ours / best rival: latency, p99`,
    compared: { contender: 'ours', measure: 'latency, p99', case: of, over: 'best rival' },
    unit: 'ratio',
    samples: rounds.map(
      (round) => p99(round.ours) / Math.min(...RIVALS.map((rival) => p99(round[rival]))),
    ),
    ...(isHeldTo ? { aims: [{ of: 'median', at: 'most', value: AIM_P99_OF_BEST }] } : {}),
    method: 'of the same round, over that of the rival whose p99 was the lowest',
  };
}

function loadFigure(loads: readonly number[]): Figure {
  return {
    name: 'load of the machine, flapping',
    unit: 'count',
    samples: loads,
    method: 'of the last minute, before each group of cases that run together',
  };
}
