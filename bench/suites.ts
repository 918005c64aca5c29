/**
 * The benchmarks by name, and which measurements belong to each. What of them runs without a name,
 * and for how long, is in `sets.ts`.
 */
import { measureAppend, measureLone } from './append.ts';
import { measureDepth } from './depth.ts';
import { measureDrain } from './drain.ts';
import { measureEncodeOnLoopback, measureEncodeWithLatency } from './encode.ts';
import { measureExport } from './export.ts';
import { measureFaults } from './faults.ts';
import { FLAP_GROUPS, measureFlapping } from './flap.ts';
import { measureFleet } from './fleet.ts';
import { measureFleetGrowth } from './fleet-growth.ts';
import { measureImages, measureRest, measureStart } from './footprint.ts';
import { measureAcks, measureIngest } from './ingest.ts';
import { measureLatency } from './latency.ts';
import { measureLibraryMemory } from './library-memory.ts';
import { measureMemory } from './memory.ts';
import { measurePeersDrain } from './peers/drain.ts';
import { measurePeersLatency } from './peers/latency.ts';
import type { Bench } from './pipeline.ts';
import { measureReceipts } from './receipts.ts';
import { measureRecover } from './recover.ts';
import { measureCuts, measureOutages } from './recovery.ts';
import type { Result } from './result.ts';
import { measureFollowing, measureQuestions } from './series.ts';
import { measureShort } from './short-connections.ts';
import { measureStoreGrowth } from './store-growth.ts';
import { measureFar, measureThin } from './thin.ts';

interface Suite {
  readonly description: string;
  readonly parts: Readonly<Record<string, (bench: Bench) => Promise<Result>>>;
}

export type SuiteName =
  | 'flap'
  | 'smoke'
  | 'heart'
  | 'ingest'
  | 'encode'
  | 'recover'
  | 'footprint'
  | 'fleet'
  | 'thin'
  | 'depth'
  | 'peers'
  | 'api'
  | 'series'
  | 'store';

const FLAP_ROUNDS = { short: 1, full: 3 } as const;

export const SUITES: Readonly<Record<SuiteName, Suite>> = {
  smoke: {
    description: 'a drain, memory and recovery; three minutes, in full six',
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
    description:
      'append, drain and latency at full strength, best of several; three minutes, in full seven',
    parts: {
      append: measureAppend,
      lone: measureLone,
      latency: measureLatency,
      drain: (bench) =>
        measureDrain(bench, {
          frames: bench.size === 'full' ? 1_000_000 : 200_000,
          payloadBytes: 200,
          rounds: 3,
          aim: { of: 'max', at: 'least', value: 160_000 },
        }),
    },
  },
  ingest: {
    description: 'what the server takes in, and how soon it acknowledges; a minute, in full two',
    parts: { ingest: measureIngest, acks: measureAcks },
  },
  footprint: {
    description: 'images, starts, and what each process needs at rest; two minutes, in full five',
    parts: {
      images: measureImages,
      library: measureLibraryMemory,
      start: measureStart,
      rest: measureRest,
    },
  },
  fleet: {
    description:
      'from one collector to thousands, and a restart of the server under a thousand; two minutes, in full four',
    parts: { growth: measureFleetGrowth, fleet: measureFleet },
  },
  encode: {
    description: 'encoding once and one connection against their opposites; a minute, in full nine',
    parts: { loopback: measureEncodeOnLoopback, latency: measureEncodeWithLatency },
  },
  recover: {
    description:
      'faults of four kinds, many of each: until noticed, recovered, drained; two minutes, in full ten',
    parts: { recover: measureRecover },
  },
  thin: {
    description:
      'goodput over links of 1, 4 and 64 KB/s, over a round trip of two seconds, and by connections of 2,000 bytes; two minutes, in full five',
    parts: { rate: measureThin, far: measureFar, short: measureShort },
  },
  depth: {
    description:
      'a million frames in the queue, in full ten million: growing and draining, opening, memory at rest and of a program that made them; two minutes, in full eight',
    parts: { depth: measureDepth, receipts: measureReceipts },
  },
  flap: {
    description:
      'self-healing against producers that latch, side by side on links that flap; three minutes, in full twenty',
    parts: {
      flapping: (bench) => {
        const { all, usual } = FLAP_GROUPS;
        const groups = bench.size === 'full' ? all : usual.slice(0, 1);
        return measureFlapping(bench, groups, FLAP_ROUNDS[bench.size]);
      },
      faults: (bench) => measureFaults(bench, FLAP_ROUNDS[bench.size]),
    },
  },
  peers: {
    description:
      "today's pipelines beside ours, out of Debian's packages: a backlog's drain, and latency; a minute, in full five",
    parts: { drain: measurePeersDrain, latency: measurePeersLatency },
  },
  api: {
    description: 'an export beside a drain, and what it costs; a minute, in full four',
    parts: { export: measureExport },
  },
  series: {
    description:
      'charts: many points to a thousand, five times as many beside them, what following costs ingest; two minutes, in full five',
    parts: { following: measureFollowing, questions: measureQuestions },
  },
  store: {
    description:
      'a store that grows to a million rows, in full twenty million: ingest, audit, charts and export at each size; half a minute, in full five',
    parts: { growth: measureStoreGrowth },
  },
};
