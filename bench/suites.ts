/**
 * The benchmarks by name: which measurements belong to each, in their order, at what size and held
 * to which aims.
 */
import { measureAppend, measureLone } from './append.ts';
import { measureDepth } from './depth.ts';
import { measureDrain } from './drain.ts';
import { measureExport } from './export.ts';
import { measureFaults } from './faults.ts';
import { FLAP_GROUPS, measureFlapping } from './flap.ts';
import { measureFleet } from './fleet.ts';
import { measureAcks, measureIngest } from './ingest.ts';
import { measureLatency } from './latency.ts';
import { measureMemory } from './memory.ts';
import type { Bench } from './pipeline.ts';
import { measureReceipts } from './receipts.ts';
import { measureCuts, measureOutages } from './recovery.ts';
import type { Result } from './result.ts';
import { measureFollowing, measureQuestions } from './series.ts';
import { measureShort, measureThin } from './thin.ts';

export interface Suite {
  readonly description: string;
  readonly parts: Readonly<Record<string, (bench: Bench) => Promise<Result>>>;
}

type SuiteName =
  | 'flap'
  | 'flap-full'
  | 'smoke'
  | 'heart'
  | 'ingest'
  | 'fleet'
  | 'thin'
  | 'depth'
  | 'api'
  | 'series';

const FULL_ROUNDS = 3;

export const SUITES: Readonly<Record<SuiteName, Suite>> = {
  smoke: {
    description: 'a drain, memory and recovery; about six minutes',
    parts: {
      drain: (bench) =>
        measureDrain(bench, {
          frames: 200_000,
          payloadBytes: 300,
          rounds: 3,
          aim: { of: 'median', at: 'least', value: 60_000 },
        }),
      memory: measureMemory,
      cuts: measureCuts,
      outages: measureOutages,
    },
  },
  heart: {
    description: 'append, drain and latency at full strength, best of several; about six minutes',
    parts: {
      append: measureAppend,
      lone: measureLone,
      latency: measureLatency,
      drain: (bench) =>
        measureDrain(bench, {
          frames: 1_000_000,
          payloadBytes: 200,
          rounds: 3,
          aim: { of: 'max', at: 'least', value: 160_000 },
        }),
    },
  },
  ingest: {
    description: 'what the server takes in, and how soon it acknowledges; about two minutes',
    parts: { ingest: measureIngest, acks: measureAcks },
  },
  fleet: {
    description: 'a thousand collectors, and a restart of the server under them; about a minute',
    parts: { fleet: measureFleet },
  },
  thin: {
    description:
      'links that carry little, by rate and by bytes per connection; about three minutes',
    parts: { short: measureShort, rate: measureThin },
  },
  depth: {
    description:
      'ten million frames in the queue: opening, memory at rest and of a program that made them; about ten minutes',
    parts: { depth: measureDepth, receipts: measureReceipts },
  },
  flap: {
    description:
      'self-healing against producers that latch, side by side on links that flap; about four minutes',
    parts: {
      flapping: (bench) => measureFlapping(bench, FLAP_GROUPS.usual, 1),
      faults: (bench) => measureFaults(bench, 1),
    },
  },
  'flap-full': {
    description: 'the same with all periods, three times; about twenty minutes',
    parts: {
      flapping: (bench) => measureFlapping(bench, FLAP_GROUPS.all, FULL_ROUNDS),
      faults: (bench) => measureFaults(bench, FULL_ROUNDS),
    },
  },
  api: {
    description: 'an export of a million frames beside a drain, and what it costs; four minutes',
    parts: { export: measureExport },
  },
  series: {
    description:
      'charts: a million points to a thousand, five million beside it, what following costs ingest; about four minutes',
    parts: { following: measureFollowing, questions: measureQuestions },
  },
};
