/**
 * Ours and its rivals beside each other: the same records at the same time, through one Toxiproxy, so
 * that each cut meets all of them at the same moment, to one server. Each is a process of its own.
 *
 * Ours is the producer library with its defaults; the rivals are in `rivals/`. What became of the
 * records is judged from the server's export, of all of them alike (`judge.ts`).
 */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Link } from '#lab/link.ts';
import { type Judgement, judge } from './judge.ts';
import { cpuSeconds, peakResidentBytes } from './machine.ts';
import { type Bench, planOf, startLink } from './pipeline.ts';
import { type RunningRival, type RunningServer, type RunningSource, TOKEN } from './programs.ts';
import type { Kind } from './rivals/application.ts';
import type { SourceStart } from './source/commands.ts';
import type { FramePlan } from './source/frames.ts';
import { exportedRows } from './verification.ts';

export const RATE_PER_S = 200;
export const PAYLOAD_BYTES = 200;
/** What a link with latency adds, each way: so that cuts fall in flight. */
export const LATENCY_MS = 25;

export const RIVALS = ['naive', 'clear', 'renew'] as const satisfies readonly Kind[];
const NAMES = ['ours', ...RIVALS] as const;
export type Name = (typeof NAMES)[number];

const QUEUE_LIMIT_BYTES = 1_024 ** 3;
/** From the order to begin until the first record is due. */
const LEAD_MS = 1_000;
const POLL_MS = 250;

/** What a contest is made of beside the bench and the server. */
export interface ContestSettings {
  /** Its directory, to be made; the last part of its name begins the collectors' ids. */
  readonly directory: string;
  readonly latencyMs: number;
  /** Where the link leads to; the server when left out. */
  readonly upstreamPort?: number;
  readonly ours?: Partial<Pick<SourceStart, 'queueLimitBytes' | 'queueWhenFull'>>;
}

export interface Facts {
  /** Records that were taken, from the first on without a hole. */
  readonly taken: number;
  /** All of them are settled, or nothing more will happen by itself. */
  readonly atRest: boolean;
  /** How often the connection ended under a request; told by rivals alone. */
  readonly cutsInFlight: number;
  /** Frames that were sent more than once under their identity; told by ours alone. */
  readonly resent: number;
}

export interface Candidate {
  readonly name: Name;
  readonly collector: string;
  readonly pid: number;
  load(plan: FramePlan, frames: number): Promise<unknown>;
  facts(): Promise<Facts>;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface Contest {
  readonly link: Link;
  readonly candidates: readonly Candidate[];
  /** Ours alone, anew on the queue that it had. */
  restartOurs(): Promise<Candidate>;
  stop(): Promise<void>;
}

/** Something of each candidate. */
export type OfEach<T> = Readonly<Record<Name, T>>;

/** What one candidate came to. */
export interface Outcome {
  readonly judgement: Judgement;
  /** What it said last. */
  readonly facts: Facts;
}

/** What a process has needed so far. */
export interface Needs {
  readonly cpuS: number;
  readonly peakMb: number;
}

export async function startContest(
  bench: Bench,
  server: RunningServer,
  { directory, latencyMs, upstreamPort = server.port, ours: settings = {} }: ContestSettings,
): Promise<Contest> {
  await mkdir(directory, { recursive: true });
  const name = basename(directory);
  const { link, port, toxiproxy } = await startLink(bench, directory, upstreamPort);
  if (latencyMs > 0) await link.add(latency(latencyMs));
  const startOurs = async (): Promise<Candidate> => {
    const collector = `${name}-ours`;
    const source = await bench.programs.source({
      server: { host: '127.0.0.1', port },
      token: TOKEN,
      collector,
      queuePath: join(directory, 'queue'),
      queueLimitBytes: QUEUE_LIMIT_BYTES,
      // Each load brings its own.
      plan: planOf(bench, PAYLOAD_BYTES),
      ...settings,
    });
    return oursOf(source, collector);
  };
  const startRival = async (kind: Kind): Promise<Candidate> => {
    const collector = `${name}-${kind}`;
    const underRequest = latencyMs > 0 ? 'latches' : 'heals';
    const start = { kind, underRequest, port, token: TOKEN, collector } as const;
    return rivalOf(await bench.programs.rival(start), kind, collector);
  };
  const candidates = await Promise.all([startOurs(), ...RIVALS.map(startRival)]);
  const started = [...candidates];
  return {
    link,
    candidates,
    restartOurs: async () => {
      const again = await startOurs();
      started.push(again);
      return again;
    },
    stop: async () => {
      await Promise.all(started.map((candidate) => candidate.stop()));
      await toxiproxy.stop();
    },
  };
}

function latency(ms: number) {
  const attributes = { latency: ms, jitter: 0 };
  return (['upstream', 'downstream'] as const).map(
    (stream) => ({ type: 'latency', stream, attributes }) as const,
  );
}

function oursOf(source: RunningSource, collector: string): Candidate {
  let offered = 0;
  return {
    name: 'ours',
    collector,
    pid: source.pid,
    load: (plan, frames) => {
      offered = frames;
      return source.ask({ type: 'timely-load', plan, frames });
    },
    facts: async () => {
      const { counters, queue } = (await source.ask({ type: 'facts' })).status;
      const taken = counters.accepted;
      const isAtRest = taken >= offered && queue.frames === 0;
      return { taken, atRest: isAtRest, cutsInFlight: 0, resent: counters.resent };
    },
    stop: () => source.stop(),
    kill: () => source.kill(),
  };
}

function rivalOf(rival: RunningRival, name: Kind, collector: string): Candidate {
  return {
    name,
    collector,
    pid: rival.pid,
    load: (plan, frames) => rival.ask({ type: 'load', plan, frames }),
    facts: async () => ({ ...(await rival.ask({ type: 'facts' })), resent: 0 }),
    stop: () => rival.stop(),
    kill: () => rival.kill(),
  };
}

/** Has all of them begin at the same time; answers the schedule that they have in common. */
export async function begin(
  bench: Bench,
  contests: readonly Contest[],
  frames: number,
): Promise<FramePlan> {
  const startedAt = (Date.now() + LEAD_MS) * 1_000;
  const plan = { ...planOf(bench, PAYLOAD_BYTES), startedAt, stepUs: 1e6 / RATE_PER_S };
  const candidates = contests.flatMap((contest) => contest.candidates);
  await Promise.all(candidates.map((candidate) => candidate.load(plan, frames)));
  return plan;
}

/** Resolves so many milliseconds after the first record was due. */
export async function at(bench: Bench, { startedAt }: FramePlan, ms: number): Promise<void> {
  const waitMs = startedAt / 1_000 + ms - Date.now();
  await delay(Math.max(0, waitMs), undefined, { signal: bench.signal });
}

/** Resolves when nothing more will happen with any of them, or after so long. */
export async function atRest(
  bench: Bench,
  candidates: readonly Candidate[],
  withinMs: number,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    const facts = await Promise.all(candidates.map((candidate) => candidate.facts()));
    if (facts.every(({ atRest: isAtRest }) => isAtRest)) return;
    await delay(POLL_MS, undefined, { signal: bench.signal });
  }
}

export async function ofEach<T>(
  { candidates }: Contest,
  of: (candidate: Candidate) => T | Promise<T>,
): Promise<OfEach<T>> {
  const entries = candidates.map(async (one) => [one.name, await of(one)] as const);
  return Object.fromEntries(await Promise.all(entries)) as OfEach<T>;
}

export function needsOf({ pid }: Candidate): Needs {
  return { cpuS: cpuSeconds(pid), peakMb: peakResidentBytes(pid) / 1e6 };
}

/**
 * Judges one of them by what the server has now.
 * @param facts What it said last; what it says now, when left out.
 */
export async function outcomeOf(
  server: RunningServer,
  candidate: Candidate,
  plan: FramePlan,
  offered: number,
  facts?: Facts,
): Promise<Outcome> {
  const said = facts ?? (await candidate.facts());
  const watchedUntil = Date.now() * 1_000;
  const rows = await Array.fromAsync(exportedRows(server.api, candidate.collector));
  const { taken } = said;
  return { judgement: judge(rows, { plan, offered, taken, watchedUntil }), facts: said };
}
