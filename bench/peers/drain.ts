/**
 * A backlog that was taken while the link was cut, and what becomes of it once the link is back: of ours
 * and of its peers, by the same steps.
 */
import { BenchError } from '../errors.ts';
import { perSecond } from '../figures.ts';
import { LateError } from '../in-time.ts';
import { cpuSeconds, peakResidentBytes } from '../machine.ts';
import type { Bench } from '../pipeline.ts';
import type { Proof, Result } from '../result.ts';
import { machineMs } from '../source/commands.ts';
import { figuresOf, type Measure, STORED } from './figures.ts';
import { RECORD_BYTES } from './peer.ts';
import { type Contender, measureInTurns, type Started } from './turns.ts';

const ROUNDS = { short: 1, full: 3 } as const;
const BACKLOG = { short: 50_000, full: 200_000 } as const;
/** Of what a slow one is given in full, which takes it as long as all of them together else. */
const SHORT_SHARE = 0.5;
const FIRST_WITHIN_MS = 30_000;
/** From the moment the link is restored, the wait for the next connection included. */
const DRAINED_WITHIN_MS = 60_000;
const CPU_RECORDS = 100_000;

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
  /** Of this process, which gives peers their records and takes what comes out. */
  readonly fillOwnCpuS: number;
  readonly drainOwnCpuS: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly proof: Proof | undefined;
}

interface Moment {
  /** By {@link machineMs}. */
  readonly atMs: number;
  /** CPU time so far, of the edge and of this process. */
  readonly edgeS: number;
  readonly ownS: number;
}

export async function measurePeersDrain(bench: Bench): Promise<Result> {
  const about = { name: 'drain', rounds: ROUNDS[bench.size] };
  const measured = await measureInTurns(bench, about, (contender, started) =>
    drain(contender, started, recordsOf(bench, contender)),
  );
  const given = ([one]: readonly Drain[]) => `of ${one?.records} records`;
  return {
    figures: figuresOf(measured, measuresOf(), given),
    proofs: measured.ours.results.flatMap(({ proof }) => (proof === undefined ? [] : [proof])),
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
  const now = (): Moment => {
    return { atMs: machineMs(), edgeS: cpuSeconds(peer.edge.pid), ownS: ownCpuSeconds() };
  };
  // One that goes all the way: then everything is connected that will be.
  await peer.fill(0, 1);
  await peer.stored(1, FIRST_WITHIN_MS);
  await cut();
  const begun = now();
  await peer.fill(1, records);
  const filled = now();
  const peakMb = peakResidentBytes(peer.edge.pid) / 1e6;
  const early = (await peer.arrivals()).length - 1;
  if (early > 0) throw new BenchError(`${early} records came although the link was cut`);
  const restored = now();
  await restore();
  const deadlineMs = restored.atMs + DRAINED_WITHIN_MS;
  const stored = (count: number) =>
    orNever(peer.stored(count, Math.max(0, deadlineMs - machineMs())));
  const tenth = Math.ceil(records / 10);
  const firstAtMs = await stored(2);
  const tenthAtMs = await stored(1 + tenth);
  const drainedAtMs = await stored(1 + records);
  const drained = now();
  const arrivals = await peer.arrivals();
  const isWhole = !Number.isNaN(drainedAtMs);
  const per = (seconds: number) => (seconds / records) * CPU_RECORDS;
  const whole = (value: number) => (isWhole ? value : Number.NaN);
  return {
    records,
    fillPerS: perSecond(records, filled.atMs - begun.atMs),
    firstS: (firstAtMs - restored.atMs) / 1_000,
    drainPerS: perSecond(records, drainedAtMs - restored.atMs),
    flowPerS: perSecond(records - tenth, drainedAtMs - tenthAtMs),
    peakMb,
    fillCpuS: per(filled.edgeS - begun.edgeS),
    drainCpuS: whole(per(drained.edgeS - restored.edgeS)),
    fillOwnCpuS: per(filled.ownS - begun.ownS),
    drainOwnCpuS: whole(per(drained.ownS - restored.ownS)),
    lost: 1 + records - arrivals.length,
    duplicated: arrivals.reduce((sum, { times }) => sum + times - 1, 0),
    proof: await peer.proof?.(`${name}, drain`),
  };
}

/** What is late is lost, and has no time; anything else that fails is the measurement. */
function orNever(stored: Promise<number>): Promise<number> {
  return stored.catch((error: unknown) => {
    if (error instanceof LateError) return Number.NaN;
    throw error;
  });
}

function measuresOf(): Measure<Drain>[] {
  const aims = [{ of: 'max', at: 'most', value: 0 }] as const;
  return [
    {
      what: 'drain',
      unit: 'frames/s',
      of: ({ drainPerS }) => drainPerS,
      best: 'more',
      ahead: true,
      method: `records of ${RECORD_BYTES} bytes through Toxiproxy, from the moment the link is restored until all are stored, so that the wait for the next connection is part of it; a record is stored ${STORED}`,
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
      // Where in its waiting time the link comes back is chance.
      better: 'neither',
      method:
        'from the moment the link is restored until the first of them is stored; by where in its wait for the next attempt a contender is then',
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
        'all threads, user and system, counted in steps of 10 ms, turned into that of 100,000 records; of ours with the application that makes them',
    },
    {
      what: 'CPU of the edge, draining',
      unit: 's',
      bound: 'processor',
      of: ({ drainCpuS }) => drainCpuS,
      method: 'the same from the moment the link is restored until all are stored',
    },
    {
      what: 'CPU of the benchmark, filling',
      unit: 's',
      bound: 'processor',
      of: ({ fillOwnCpuS }) => fillOwnCpuS,
      method:
        "of the benchmark's own process, turned into that of 100,000 records, on the cores that the contender runs on: it makes a peer's records, sends them and reads the acknowledgements; with ours it only waits, for the edge makes them",
    },
    {
      what: 'CPU of the benchmark, draining',
      unit: 's',
      bound: 'processor',
      of: ({ drainOwnCpuS }) => drainOwnCpuS,
      method:
        "the same from the moment the link is restored until all are stored: it takes what a peer's sink gives and counts the numbers; whether each is the record that was given is judged later",
    },
    {
      what: 'lost',
      unit: 'frames',
      of: ({ lost }) => lost,
      aims,
      method: `acknowledged by the edge and not stored ${DRAINED_WITHIN_MS / 1_000} s after the link was restored`,
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

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
