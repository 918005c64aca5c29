/**
 * The matrix: what each case does to the pipeline, as a scenario, and what it allows.
 *
 * The load is 200 frames/s throughout. Where a case has to hit a pipeline that is draining, the
 * link is thin around it, or the drain would be over before anything could be done to it.
 */
import { expect } from 'vitest';
import type { z } from 'zod';
import type { CollectorStatus, Sample } from '#chaos/observe/observer.ts';
import type { Fault } from '#chaos/oracle/observations.ts';
import type { Condition, scenarioSchema } from '#chaos/scenario/scenario.ts';
import type { Exit } from '#lab/ground/ground.ts';

type ScenarioInput = z.input<typeof scenarioSchema>;
export type StepInput = ScenarioInput['method'][number];
type Tolerances = NonNullable<NonNullable<ScenarioInput['steady-state-hypothesis']>['tolerances']>;

/** What was seen, as the case's `observations.json` has it. */
export interface Seen {
  readonly faults: readonly Fault[];
  readonly statuses: readonly Sample<CollectorStatus>[];
  readonly exits: readonly Exit[];
}

export type Logging = 'server' | 'source';

export interface MatrixCase {
  /** Names its folder. */
  readonly name: string;
  readonly what: string;
  /** What the oracle is asked beyond that nothing is lost, doubled or altered. */
  readonly asks: Tolerances;
  readonly configuration?: NonNullable<ScenarioInput['configuration']>;
  /** TLS on the link. */
  readonly secured?: boolean;
  /** `random` gives the moments their place. */
  method(random: () => number): StepInput[];
  /** What the oracle has no word for; `log` answers what a program has logged. */
  also?(seen: Seen, log: (program: Logging) => string): void;
}

const FRAMES_PER_SECOND = 200;
const QUEUED_MIN = 1_000;
/** A retry waits a second at most, a dial and a handshake come on top. */
const RECOVER_MS_MAX = 2_000;
const DRAIN_MS_MAX = 5_000;
export const HEALS = { recover_ms_max: RECOVER_MS_MAX, drain_ms_max: DRAIN_MS_MAX } as const;

interface Holding {
  readonly name?: string;
  readonly until?: Condition;
  readonly method?: StepInput[];
}

/** A fault, in force until that holds and those steps are over. */
export function suffer(fault: string, args: object = {}, holding: Holding = {}): StepInput {
  return { type: 'action', fault, arguments: { ...args }, ...holding };
}

function waitFor(name: string, until: Condition): StepInput {
  return { type: 'probe', name, until };
}

/** So long, and until the backlog is worth something. */
export function lasting(seconds: number, queued_min = QUEUED_MIN): Condition {
  return { seconds, queued_min };
}

/** Until some of what waits has drained, at a moment that is drawn. */
export function midDrain(random: () => number): StepInput {
  return waitFor('some of it has drained', { drained_percent: 5 + 15 * random() });
}

/** Around steps that shall meet a drain: thin enough that it takes seconds, and does not grow. */
export function thin(...method: StepInput[]): StepInput {
  return suffer('bandwidth', { direction: 'up', rate_kbps: 300 }, { name: 'thin', method });
}

/** No connection was lost, and nothing left the collector twice. */
export function oneConnection({ statuses }: Seen): void {
  expect(statuses.at(-1)?.document.counters).toMatchObject({ connections: 1, resent: 0 });
}

/** What the source said of itself while the first fault was in force. */
function during({ faults: [fault], statuses }: Seen): CollectorStatus[] {
  const from = fault?.began.monotonic_ms ?? Infinity;
  const to = (fault?.lifted ?? fault?.running)?.monotonic_ms ?? 0;
  return statuses
    .filter(({ at: { monotonic_ms } }) => monotonic_ms >= from && monotonic_ms <= to)
    .map(({ document }) => document);
}

export const CASES: readonly MatrixCase[] = [
  {
    name: '01-control',
    what: 'without a fault nothing comes twice and nothing restarts',
    asks: { wire_duplicates_max: 0 },
    method: () => [waitFor('frames are stored', { stored_more: 1_600 })],
    also: (seen) => {
      oneConnection(seen);
      expect(seen.exits).toEqual([]);
    },
  },
  {
    name: '02-cut',
    what: 'a link cut for 20 s',
    asks: HEALS,
    method: () => [suffer('cut', {}, { until: lasting(20) })],
  },
  {
    name: '03-cut-thrice',
    what: 'a link cut for 10 s, and cut again twice while the backlog drains',
    asks: HEALS,
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(10, 1_500) }),
        midDrain(random),
        suffer('cut', {}, { name: 'cut_again', until: lasting(3) }),
        midDrain(random),
        suffer('cut', {}, { name: 'cut_a_third_time', until: lasting(3) }),
      ),
    ],
  },
  {
    name: '04-half-open',
    what: 'a link that swallows everything both ways and stays open is noticed from here',
    asks: { ...HEALS, detect_ms_max: 5_000 },
    method: () => [suffer('half_open', {}, { until: lasting(10) })],
    also: ({ faults, statuses }) => {
      const began = faults[0]?.began.monotonic_ms ?? Infinity;
      const noticed = statuses.find(
        ({ at, document }) => at.monotonic_ms >= began && document.state !== 'Ready',
      );
      expect(noticed?.document).toMatchObject({ last_error: { code: 'no_progress' } });
    },
  },
  {
    name: '05-latency',
    what: 'a second of latency with jitter both ways costs no connection and nothing twice',
    asks: { ...HEALS, wire_duplicates_max: 0 },
    method: () => [
      suffer(
        'latency',
        { latency_ms: 1_000, jitter_ms: 200 },
        // The path itself holds two seconds of frames, and the window has to learn that in time.
        { until: { seconds: 15, queued_max: 4 * FRAMES_PER_SECOND } },
      ),
    ],
    also: oneConnection,
  },
  {
    name: '06-thin',
    what: 'a link of 4 KB/s for 30 s is used and not given up',
    asks: { ...HEALS, wire_duplicates_max: 0 },
    method: () => [suffer('bandwidth', { rate_kbps: 4 }, { until: lasting(30) })],
    also: oneConnection,
  },
  {
    name: '07-limit-data',
    what: 'connections that end after 2,000 bytes for 30 s bring frames over all the same',
    // Frames that pass whole: one of more than 2,000 bytes can't get through by any means.
    configuration: { load: { payloads: '1-64:300,65-512:700' } },
    asks: HEALS,
    method: () => [suffer('limit_data', { bytes: 2_000 }, { until: { seconds: 30 } })],
    also: (seen) => {
      const acked = during(seen).map(({ counters }) => counters.acked);
      const half = Math.floor(acked.length / 2);
      const got = (acked.at(-1) ?? 0) - (acked[half] ?? 0);
      expect(got, 'frames acked in its second half').toBeGreaterThan(0);
    },
  },
  {
    name: '08-reset-peer',
    what: 'connections that are reset for 5 s',
    asks: HEALS,
    method: () => [suffer('reset_peer', {}, { until: lasting(5) })],
  },
  {
    name: '09-slicer',
    what: 'a stream in single bytes, in each direction',
    asks: HEALS,
    method: () =>
      ['up', 'down'].map((direction) =>
        suffer('slicer', { direction }, { name: `slicer_${direction}`, until: { seconds: 10 } }),
      ),
  },
  {
    name: '10-source-killed',
    what: 'the collector killed with a backlog and no link, under load, at a random moment',
    asks: HEALS,
    method: (random) => {
      const seconds = 5 + 5 * random();
      const more = Math.ceil(seconds * FRAMES_PER_SECOND) + QUEUED_MIN;
      return [
        suffer(
          'cut',
          {},
          {
            until: lasting(seconds),
            method: [
              suffer('kill', { target: 'source' }),
              waitFor('it goes on where it was', { queued_min: more }),
            ],
          },
        ),
      ];
    },
  },
  {
    name: '11-server-killed',
    what: 'the server killed in mid-stream, with a backlog under way',
    asks: HEALS,
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(10, 1_500) }),
        midDrain(random),
        suffer('kill', { target: 'server' }),
      ),
    ],
  },
  {
    name: '12-server-frozen',
    what: 'the server frozen for 20 s',
    asks: HEALS,
    method: () => [suffer('freeze', { target: 'server' }, { until: lasting(20) })],
  },
  {
    name: '13-both-killed',
    what: 'collector and server killed at once, with a backlog under way',
    asks: HEALS,
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(10, 1_500) }),
        midDrain(random),
        suffer('kill', { target: ['source', 'server'] }),
      ),
    ],
  },
];
