/**
 * Ours and its rivals (`contest.ts`) under what a flapping link doesn't show: a connection that falls
 * silent for good and is closed by nobody, a queue that is full, and kill -9 with a backlog. Each has
 * a link with latency and candidates of its own; all three run at the same time.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compare, type Measure, proofsOf, recordMeasures, summaryOf } from './comparison.ts';
import {
  at,
  atRest,
  begin,
  type Contest,
  type ContestSettings,
  LATENCY_MS,
  type Needs,
  needsOf,
  type OfEach,
  type Outcome,
  ofEach,
  outcomeOf,
  PAYLOAD_BYTES,
  RATE_PER_S,
  startContest,
} from './contest.ts';
import { BenchError } from './errors.ts';
import { type Figure, quantileOf } from './figures.ts';
import { loadNow } from './machine.ts';
import type { Bench } from './pipeline.ts';
import type { RunningMangler, RunningServer } from './programs.ts';
import type { Proof, Result } from './result.ts';
import { BATCH_BYTES, BATCHES_MAX } from './rivals/latching.ts';
import type { FramePlan } from './source/frames.ts';

/** Records come for so long: more than the minute that a request may wait for its answer. */
const LASTS_MS = 70_000;
const OFFERED = (LASTS_MS / 1_000) * RATE_PER_S;
const AT_REST_WITHIN_MS = 20_000;

const SILENT_AT_MS = 5_000;
const CUT_AT_MS = 2_000;
const CUT_MS = 60_000;
/** Before the cut's end; by then every queue has been full for a while. */
const WATCH_FULL_MS = 15_000;
/** As much as the rivals' queues hold. */
const QUEUE_LIMIT_BYTES = BATCHES_MAX * BATCH_BYTES;
const KILLED_AT_MS = CUT_AT_MS + 20_000;

type Silent = Outcome;

interface Full extends Outcome {
  /** Of a core. */
  readonly cpu: number;
  readonly peakMb: number;
  /** From the cut's end until all that was due before was stored. */
  readonly caughtUpMs: number;
}

interface Killed extends Outcome {
  /** Records that were taken and not stored as the process was killed. */
  readonly waiting: number;
}

interface Rounds {
  readonly silent: OfEach<Silent>[];
  readonly full: OfEach<Full>[];
  readonly killed: OfEach<Killed>[];
  readonly loads: number[];
}

const NAMES = { silent: 'half-open', full: 'queue full', killed: 'kill -9' } as const;

export async function measureFaults(bench: Bench, count: number): Promise<Result> {
  const rounds: Rounds = { silent: [], full: [], killed: [], loads: [] };
  for (let round = 1; round <= count; round += 1) {
    bench.progress(`half-open, queue full and kill -9: round ${round} of ${count}`);
    rounds.loads.push(loadNow());
    await measureRound(bench, rounds);
  }
  return { figures: figuresOf(rounds), proofs: allProofsOf(rounds) };
}

async function measureRound(bench: Bench, rounds: Rounds): Promise<void> {
  const directory = join(bench.directory, 'faults');
  const server = await bench.programs.server(join(directory, 'store'));
  const mangler = await bench.programs.mangler(server.port);
  const start = (name: string, settings: Partial<ContestSettings>) =>
    startContest(bench, server, {
      directory: join(directory, name),
      latencyMs: LATENCY_MS,
      ...settings,
    });
  const [silent, full, killed] = await Promise.all([
    start('silent', { upstreamPort: mangler.port }),
    start('full', { ours: { queueLimitBytes: QUEUE_LIMIT_BYTES, queueWhenFull: 'refuse' } }),
    start('killed', {}),
  ]);
  const contests = [silent, full, killed];
  const plan = await begin(bench, contests, OFFERED);
  const here = { bench, server, plan };
  await Promise.all([
    fallSilent(here, silent, mangler).then((one) => rounds.silent.push(one)),
    fillQueues(here, full).then((one) => rounds.full.push(one)),
    kill(here, killed).then((one) => rounds.killed.push(one)),
  ]);
  tell(bench, NAMES.silent, rounds.silent, SILENT_MEASURES);
  tell(bench, NAMES.full, rounds.full, FULL_MEASURES);
  tell(bench, NAMES.killed, rounds.killed, KILLED_MEASURES);
  await Promise.all(contests.map((contest) => contest.stop()));
  await mangler.stop();
  await server.stop();
  await rm(directory, { recursive: true });
}

function tell<T>(
  { progress }: Bench,
  of: string,
  rounds: readonly OfEach<T>[],
  measures: readonly Measure<T>[],
): void {
  const last = rounds.at(-1);
  for (const line of last === undefined ? [] : summaryOf(of, last, measures)) progress(line);
}

interface Here {
  readonly bench: Bench;
  readonly server: RunningServer;
  readonly plan: FramePlan;
}

/** From then on the connection that each has passes nothing on and is never closed; new ones work. */
async function fallSilent(
  { bench, server, plan }: Here,
  contest: Contest,
  mangler: RunningMangler,
): Promise<OfEach<Silent>> {
  await at(bench, plan, SILENT_AT_MS);
  await ofEach(contest, ({ collector }) => blackHole(mangler, collector));
  await at(bench, plan, LASTS_MS);
  await atRest(bench, contest.candidates, AT_REST_WITHIN_MS);
  return ofEach(contest, (candidate) => outcomeOf(server, candidate, plan, OFFERED));
}

async function blackHole({ control }: RunningMangler, collector: string): Promise<void> {
  const body = JSON.stringify({ do: 'black_hole', collector, only: 'newest' });
  const response = await fetch(`${control}/rules`, { method: 'POST', body });
  if (!response.ok) throw new BenchError(`the mangler answered: ${await response.text()}`);
}

async function fillQueues({ bench, server, plan }: Here, contest: Contest): Promise<OfEach<Full>> {
  const endMs = CUT_AT_MS + CUT_MS;
  await at(bench, plan, CUT_AT_MS);
  await contest.link.cut();
  await at(bench, plan, endMs - WATCH_FULL_MS);
  const before = await ofEach(contest, needsOf);
  await at(bench, plan, endMs);
  const after = await ofEach(contest, needsOf);
  await contest.link.open();
  await at(bench, plan, LASTS_MS);
  await atRest(bench, contest.candidates, AT_REST_WITHIN_MS);
  return ofEach(contest, async (candidate): Promise<Full> => {
    const outcome = await outcomeOf(server, candidate, plan, OFFERED);
    const { latenciesMs } = outcome.judgement;
    const dueMs = (n: number) => (n * 1_000) / RATE_PER_S;
    const storedMs = latenciesMs.map((ms, n) => dueMs(n) + ms).filter((_, n) => dueMs(n) < endMs);
    const { cpuS, peakMb }: Needs = after[candidate.name];
    return {
      ...outcome,
      cpu: (cpuS - before[candidate.name].cpuS) / (WATCH_FULL_MS / 1_000),
      peakMb,
      caughtUpMs: Math.max(...storedMs) - endMs,
    };
  });
}

/** Cut off for a while, all are killed; the link is opened, and ours started again on its queue. */
async function kill({ bench, server, plan }: Here, contest: Contest): Promise<OfEach<Killed>> {
  await at(bench, plan, CUT_AT_MS);
  await contest.link.cut();
  await at(bench, plan, KILLED_AT_MS);
  const facts = await ofEach(contest, (candidate) => candidate.facts());
  await ofEach(contest, (candidate) => candidate.kill());
  const killedAt = Date.now() * 1_000;
  await contest.link.open();
  await atRest(bench, [await contest.restartOurs()], AT_REST_WITHIN_MS);
  return ofEach(contest, async (candidate): Promise<Killed> => {
    const known = facts[candidate.name];
    const outcome = await outcomeOf(server, candidate, plan, OFFERED, known);
    return { ...outcome, waiting: known.taken - outcome.judgement.storedBy(killedAt) };
  });
}

function figuresOf({ silent, full, killed, loads }: Rounds): Figure[] {
  return [
    ...compare(NAMES.silent, silent, SILENT_MEASURES),
    ...compare(NAMES.full, full, FULL_MEASURES),
    ...compare(NAMES.killed, killed, KILLED_MEASURES),
    {
      name: 'load of the machine, faults',
      unit: 'count',
      samples: loads,
      method: 'of the last minute, before each round',
    },
  ];
}

const LOAD = `${RATE_PER_S} records/s of ${PAYLOAD_BYTES} bytes on a link with ${LATENCY_MS} ms each way`;

const SILENT_MEASURES: readonly Measure<Silent>[] = [
  {
    what: 'hole',
    unit: 's',
    of: ({ judgement }) => judgement.longestHoleMs / 1_000,
    ratios: {},
    method: `the longest time without a first copy, after the connection had fallen silent for good without being closed, while new ones work; ${LOAD} for ${LASTS_MS / 1_000} s`,
  },
  {
    what: 'latency, p99',
    unit: 's',
    of: ({ judgement }) => quantileOf(judgement.latenciesMs, 0.99) / 1_000,
    ratios: {},
    method:
      'from when a record was due to be sent until the server had its first copy, of all that were due; one that never came counts until the end of the watch',
  },
  ...recordMeasures<Silent>(),
];

const FULL_MEASURES: readonly Measure<Full>[] = [
  {
    what: 'CPU while full',
    unit: 'ratio',
    of: ({ cpu }) => cpu,
    method: `of a core, in the last ${WATCH_FULL_MS / 1_000} of ${CUT_MS / 1_000} s of cut, with queues of ${QUEUE_LIMIT_BYTES} bytes that refuse, or let the application wait; ${LOAD}`,
  },
  {
    what: 'peak memory',
    unit: 'MB',
    of: ({ peakMb }) => peakMb,
    ratios: {},
    method: 'the most that was resident until the end of the cut',
  },
  {
    what: 'caught up',
    unit: 's',
    of: ({ caughtUpMs }) => caughtUpMs / 1_000,
    ratios: {},
    method:
      'from the end of the cut until the last record that was due before it was stored; until the end of the watch where one never was',
  },
  ...recordMeasures<Full>(),
];

const KILLED_MEASURES: readonly Measure<Killed>[] = [
  {
    what: 'waiting at the kill',
    unit: 'frames',
    of: ({ waiting }) => waiting,
    method: `records that the producer had taken and that were not stored when it was killed, cut off for ${(KILLED_AT_MS - CUT_AT_MS) / 1_000} s; ours is started again on its queue, the others have none; ${LOAD}`,
  },
  ...recordMeasures<Killed>(),
];

function allProofsOf({ silent, full, killed }: Rounds): Proof[] {
  return [
    ...proofsOf(NAMES.silent, silent),
    ...proofsOf(NAMES.full, full),
    ...proofsOf(NAMES.killed, killed),
  ];
}
