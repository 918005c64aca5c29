/**
 * A backlog that was taken while the link was cut, and what becomes of it once the link is back: of ours
 * and of its peers, by the same steps.
 */
import { BenchError } from '../errors.ts';
import { medianOf } from '../figures.ts';
import { cpuSeconds, peakResidentBytes } from '../machine.ts';
import type { Bench } from '../pipeline.ts';
import type { Proof, Result } from '../result.ts';
import { machineMs } from '../source/commands.ts';
import { figuresOf, type Measure } from './figures.ts';
import { RECORD_BYTES } from './peer.ts';
import { type Contender, measureInTurns, type Started } from './turns.ts';

const ROUNDS = { short: 1, full: 2 } as const;
const BACKLOG = { short: 50_000, full: 200_000 } as const;
/** Of what a slow one is given in full, which takes it as long as all of them together else. */
const SHORT_SHARE = 0.5;
const FIRST_WITHIN_MS = 30_000;
/** Of those that wait long before they dial again. */
const DRAINED_WITHIN_MS = 60_000;
/** How much too early a timer may be. */
const EARLY_MS = 100;
const CPU_FRAMES = 100_000;

interface Drain {
  readonly records: number;
  readonly fillPerS: number;
  readonly firstS: number;
  readonly drainPerS: number;
  /** Of the last nine tenths. */
  readonly flowPerS: number;
  readonly peakMb: number;
  readonly fillCpuS: number;
  readonly drainCpuS: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly proof: Proof | undefined;
}

export async function measurePeersDrain(bench: Bench): Promise<Result> {
  const about = { name: 'drain', rounds: ROUNDS[bench.size] };
  const measured = await measureInTurns(bench, about, (contender, started) =>
    drain(contender, started, recordsOf(bench, contender)),
  );
  const { ours, peers } = measured;
  const few = [ours, ...peers].map(
    ({ contender, results }) =>
      `${contender.name} ${medianOf(results.map(({ records }) => records))}`,
  );
  return {
    figures: figuresOf(measured, measuresOf(few.join(', '))),
    proofs: ours.results.flatMap(({ proof }) => (proof === undefined ? [] : [proof])),
  };
}

function recordsOf({ size }: Bench, { backlog }: Contender): number {
  return Math.min(BACKLOG[size], size === 'full' ? backlog : backlog * SHORT_SHARE);
}

async function drain(
  { name }: Contender,
  { peer, cut, restore }: Started,
  records: number,
): Promise<Drain> {
  const cpuS = () => cpuSeconds(peer.edge.pid);
  // One that goes all the way: then everything is connected that will be.
  await peer.fill(0, 1);
  await peer.stored(1, FIRST_WITHIN_MS);
  await cut();
  const [before, startedAt] = [cpuS(), machineMs()];
  await peer.fill(1, records);
  const [filled, filledAt] = [cpuS(), machineMs()];
  const peakMb = peakResidentBytes(peer.edge.pid) / 1e6;
  const early = (await peer.arrivals()).length - 1;
  if (early > 0) throw new BenchError(`${early} records came although the link was cut`);
  const restoredAt = machineMs();
  await restore();
  await peer.stored(2, DRAINED_WITHIN_MS);
  const firstAt = machineMs();
  const tenth = Math.ceil(records / 10);
  await peer.stored(1 + tenth, DRAINED_WITHIN_MS);
  const tenthAt = machineMs();
  const failure = await peer.stored(1 + records, DRAINED_WITHIN_MS).catch((error: Error) => error);
  const drainedAt = machineMs();
  const drained = cpuS();
  const arrivals = await peer.arrivals();
  const lost = 1 + records - arrivals.length;
  // What isn't there when the time is over is lost; before that it is the measurement that failed.
  if (failure !== undefined && drainedAt - tenthAt < DRAINED_WITHIN_MS - EARLY_MS) throw failure;
  const isWhole = failure === undefined;
  const whole = (value: number) => (isWhole ? value : Number.NaN);
  return {
    records,
    fillPerS: perSecond(records, filledAt - startedAt),
    firstS: (firstAt - restoredAt) / 1_000,
    drainPerS: whole(perSecond(records, drainedAt - restoredAt)),
    flowPerS: whole(perSecond(records - tenth, drainedAt - tenthAt)),
    peakMb,
    fillCpuS: ((filled - before) / records) * CPU_FRAMES,
    drainCpuS: whole(((drained - filled) / records) * CPU_FRAMES),
    lost,
    duplicated: arrivals.reduce((sum, { times }) => sum + times - 1, 0),
    proof: await peer.proof?.(`${name}, drain`),
  };
}

function measuresOf(records: string): Measure<Drain>[] {
  const aims = [{ of: 'max', at: 'most', value: 0 }] as const;
  return [
    {
      what: 'drain',
      unit: 'frames/s',
      of: ({ drainPerS }) => drainPerS,
      best: 'more',
      ahead: true,
      method: `records of ${RECORD_BYTES} bytes through Toxiproxy, from the moment the link is restored until all are stored, so that the wait for the next connection is part of it (${records})`,
    },
    {
      what: 'drain without the wait',
      unit: 'frames/s',
      of: ({ flowPerS }) => flowPerS,
      best: 'more',
      ahead: true,
      method: 'the last nine tenths of them, from when the first tenth is stored',
    },
    {
      what: 'first record',
      unit: 's',
      of: ({ firstS }) => firstS,
      method: 'from the moment the link is restored until the first of them is stored',
    },
    {
      what: 'fill',
      unit: 'frames/s',
      of: ({ fillPerS }) => fillPerS,
      best: 'more',
      method:
        'into the edge with the link cut, until it has acknowledged all; making the records is part of it',
    },
    {
      what: 'peak memory of the edge',
      unit: 'MB',
      of: ({ peakMb }) => peakMb,
      best: 'less',
      method:
        'the most that was resident when all were in; of ours with the application that makes them',
    },
    {
      what: 'CPU of the edge, filling',
      unit: 's',
      bound: 'processor',
      of: ({ fillCpuS }) => fillCpuS,
      method:
        'all threads, user and system, for 100,000 records; of ours with the application that makes them',
    },
    {
      what: 'CPU of the edge, draining',
      unit: 's',
      bound: 'processor',
      of: ({ drainCpuS }) => drainCpuS,
      method: 'the same from the moment the link is restored until all are stored',
    },
    {
      what: 'lost',
      unit: 'frames',
      of: ({ lost }) => lost,
      aims,
      method: `acknowledged by the edge and not stored within ${DRAINED_WITHIN_MS / 1_000} s`,
    },
    {
      what: 'stored twice',
      unit: 'frames',
      of: ({ duplicated }) => duplicated,
      aims,
      method: 'how many more came than were given',
    },
  ];
}

function perSecond(count: number, elapsedMs: number): number {
  return (count / elapsedMs) * 1_000;
}
