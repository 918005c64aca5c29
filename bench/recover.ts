/**
 * How long faults of each kind are felt, over many of them under a steady load: until the source
 * notices, from their end until the first ack, and until all that was captured before that end is
 * stored. Where a fault falls in the rhythm of heartbeats and dials is drawn from the seed.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '#lab/ports.ts';
import type { Figure } from './figures.ts';
import { inTime } from './in-time.ts';
import { type Bench, type Pipeline, planOf, startPipeline } from './pipeline.ts';
import type { RunningServer } from './programs.ts';
import { randomOf } from './random.ts';
import type { Proof, Result } from './result.ts';
import { machineMs } from './source/commands.ts';
import type { FramePlan } from './source/frames.ts';
import { verify } from './verification.ts';

const PAYLOAD_BYTES = 300;
const RATE_PER_S = 200;
const FAULTS = { short: 12, full: 100 } as const;
/** Between a fault and the next, so that none begins while the one before is still felt. */
const PAUSE_MS = { min: 300, max: 1_300 } as const;
const TELL_EVERY = 10;
/** Longer than any deadline of the protocol that can be in the way. */
const WITHIN_MS = 90_000;
const AIM_RECOVER_S = 1.5;

/** The pipeline in which faults are made; its server is another one after it was killed. */
interface Stage {
  readonly plan: FramePlan;
  readonly pipeline: Pipeline;
  server: RunningServer;
  readonly startServer: () => Promise<RunningServer>;
}

interface Kind {
  readonly name: string;
  readonly what: string;
  /** How long a fault lasts at least and at most; until it is noticed, if that takes longer. */
  readonly lastsMs: { readonly min: number; readonly max: number };
  readonly begin: (stage: Stage) => Promise<void>;
  /** Answers when it was over, by {@link machineMs}. */
  readonly end: (stage: Stage) => Promise<number>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'half-open',
    what: 'everything on the link is dropped in both directions and nothing is closed',
    lastsMs: { min: 4_500, max: 5_500 },
    begin: async ({ pipeline }) => {
      const attributes = { timeout: 0 };
      const streams = ['upstream', 'downstream'] as const;
      await pipeline.link.add(streams.map((stream) => ({ type: 'timeout', stream, attributes })));
    },
    end: ({ pipeline }) => pipeline.restore(),
  },
  {
    name: 'server frozen',
    what: 'SIGSTOP; its end is SIGCONT',
    lastsMs: { min: 4_500, max: 5_500 },
    begin: async ({ server }) => {
      process.kill(server.pid, 'SIGSTOP');
    },
    end: async ({ server }) => {
      process.kill(server.pid, 'SIGCONT');
      return machineMs();
    },
  },
  {
    name: 'cut',
    what: 'Toxiproxy ends the connection and refuses others',
    lastsMs: { min: 200, max: 2_500 },
    begin: ({ pipeline }) => pipeline.link.cut(),
    end: ({ pipeline }) => pipeline.restore(),
  },
  {
    name: 'server killed',
    what: 'SIGKILL; its end is when another one on the same store serves',
    lastsMs: { min: 200, max: 1_500 },
    begin: ({ server }) => server.kill(),
    end: async (stage) => {
      stage.server = await stage.startServer();
      return machineMs();
    },
  },
];

/** Of one fault, in milliseconds. */
interface Felt {
  readonly detectMs: number;
  readonly recoverMs: number;
  readonly drainMs: number;
}

/** Three at a time, for most of each is waiting: the two that take long, and the others in turn. */
export async function measureRecover(bench: Bench): Promise<Result> {
  const [halfOpen, frozen, cut, killed] = KINDS;
  const turns = [[halfOpen], [frozen], [cut, killed]].map(async (kinds) => {
    const results: Result[] = [];
    for (const kind of kinds) if (kind) results.push(await measureKind(bench, kind));
    return results;
  });
  const results = (await Promise.all(turns)).flat();
  return {
    figures: results.flatMap(({ figures }) => figures),
    proofs: results.flatMap(({ proofs }) => proofs),
  };
}

async function measureKind(bench: Bench, kind: Kind): Promise<Result> {
  const stage = await startStage(bench, kind);
  const { source } = stage.pipeline;
  await stage.pipeline.restore();
  await source.ask({ type: 'load', perSecond: RATE_PER_S });
  await source.ask({ type: 'acked-past', frames: 0 });
  // Each kind draws for itself: the others are under way at the same time.
  const random = randomOf(bench.seed + KINDS.indexOf(kind));
  const between = ({ min, max }: { min: number; max: number }) => min + random() * (max - min);
  const count = FAULTS[bench.size];
  const felt: Felt[] = [];
  for (let i = 0; i < count; i += 1) {
    if (i % TELL_EVERY === 0) bench.progress(`${kind.name}: ${i} of ${count} done`);
    await delay(between(PAUSE_MS), undefined, { signal: bench.signal });
    felt.push(await feel(stage, kind, between(kind.lastsMs), bench.signal));
  }
  await source.ask({ type: 'end-load' });
  const { sent, status } = await source.ask({ type: 'empty' });
  const verification = await verify(stage.server.api, stage.plan, sent);
  await stage.pipeline.stop();
  await stage.server.stop();
  const { resent } = status.counters;
  // What was in flight at a fault is sent again, rightly.
  const proof: Proof = { of: kind.name, ...verification, resent, resentMax: undefined };
  return { figures: figuresOf(kind, felt), proofs: [proof] };
}

async function startStage(bench: Bench, { name }: Kind): Promise<Stage> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const folder = name.replaceAll(' ', '-');
  const port = { HOLDFAST_INGEST_PORT: String(await freePort()) };
  const pipeline = await startPipeline(bench, folder, plan, port);
  const store = join(bench.directory, folder, 'store');
  const startServer = () => bench.programs.server(store, port);
  return { plan, pipeline, server: pipeline.server, startServer };
}

/**
 * One fault, from its beginning until all that it has held up is stored.
 * @throws BenchError where that does not come: a pipeline that needs a hand is no figure.
 */
async function feel(stage: Stage, kind: Kind, lastsMs: number, signal: AbortSignal): Promise<Felt> {
  const { source } = stage.pipeline;
  const begunAt = machineMs();
  const begun = kind.begin(stage);
  const noticed = source.ask({ type: 'not-ready' });
  await Promise.all([begun, delay(lastsMs, undefined, { signal })]);
  const soon = <T>(awaited: Promise<T>) =>
    inTime(awaited, WITHIN_MS, `${kind.name}: nothing came of it`);
  const detectMs = (await soon(noticed)).at - begunAt;
  const before = await source.ask({ type: 'facts' });
  const endedAt = await kind.end(stage);
  const { sent } = await source.ask({ type: 'facts' });
  const { acked } = before.status.counters;
  const first = await soon(source.ask({ type: 'acked-past', frames: acked }));
  const drained = await soon(source.ask({ type: 'acked-past', frames: sent - 1 }));
  return { detectMs, recoverMs: first.at - endedAt, drainMs: drained.at - endedAt };
}

function figuresOf({ name, what, lastsMs }: Kind, felt: readonly Felt[]): Figure[] {
  const seconds = (pick: (one: Felt) => number) => felt.map((one) => pick(one) / 1_000);
  const lasts = `${lastsMs.min / 1_000} to ${lastsMs.max / 1_000} s`;
  return [
    {
      name: `${name}, detected`,
      unit: 's',
      samples: seconds(({ detectMs }) => detectMs),
      method: `${what}; for ${lasts}, and until it is noticed, at ${RATE_PER_S} frames/s, at moments drawn from the seed, in a pipeline of its own, while up to two other kinds are made in theirs: from the order until the link is no longer Ready`,
    },
    {
      name: `${name}, recovered`,
      unit: 's',
      samples: seconds(({ recoverMs }) => recoverMs),
      aims: [{ of: 'max', at: 'most', value: AIM_RECOVER_S }],
      method: 'from the end of the fault until the first ack of a committed row',
    },
    {
      name: `${name}, drained`,
      unit: 's',
      samples: seconds(({ drainMs }) => drainMs),
      method:
        'from the end of the fault until all that was captured before is acknowledged, while the load goes on',
    },
  ];
}
