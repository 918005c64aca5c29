/**
 * The matrix: what each case does to the pipeline, and what it allows.
 *
 * The load is 200 frames/s throughout. Where a case has to hit a pipeline that is draining, the
 * link is made thin first, or the drain would be over before anything could be done to it.
 */

import { expect } from 'vitest';
import type { z } from 'zod';
import type { caseSchema, Moment } from '#chaos/oracle/observations.ts';
import type { Direction, Toxic } from '../support/link.ts';
import { msSince } from '../support/moment.ts';
import type { CollectorStatus, Side } from '../support/stack.ts';
import type { TracedFile } from '../support/tracing.ts';
import { backlog, crumbs, failing, lag, reconnects, standstill } from './effects.ts';
import { cut, freeze, kill, poison } from './faults.ts';
import type { Seen, Stage } from './stage.ts';

export interface MatrixCase {
  /** Names its folder. */
  readonly name: string;
  readonly what: string;
  /** For the oracle; `faults` are added by the runner. */
  readonly asks: Omit<z.input<typeof caseSchema>, 'faults'>;
  readonly faults: readonly string[];
  /** Of the source. */
  readonly environment?: Readonly<Record<string, string>>;
  /** TLS on the link. */
  readonly secured?: boolean;
  /** Files that go wrong, by strace. */
  readonly traced?: { readonly [side in Side]?: TracedFile };
  play(stage: Stage): Promise<void>;
  /** What the oracle has no word for; `log` answers what a program has logged. */
  also?(seen: Seen, log: (side: Side) => string): void;
}

const FRAMES_PER_SECOND = 200;
const QUEUED_MIN = 1_000;
/** A retry waits a second at most, a dial and a handshake come on top. */
const RECOVER_MS_MAX = 2_000;
const DRAIN_MS_MAX = 5_000;
export const HEALS = { recover_ms_max: RECOVER_MS_MAX, drain_ms_max: DRAIN_MS_MAX } as const;

const BOTH: readonly Direction[] = ['upstream', 'downstream'];

function bothWays(type: Toxic['type'], attributes: Toxic['attributes']): Toxic[] {
  return BOTH.map((stream) => ({ type, stream, attributes }));
}

/** Thin enough that a thousand frames take seconds, wide enough that the backlog shrinks. */
export const THIN: readonly Toxic[] = [
  { type: 'bandwidth', stream: 'upstream', attributes: { rate: 300 } },
];

/** Until the fault has lasted so long, and the backlog is worth something. */
export function lasting(stage: Stage, ms: number, frames = QUEUED_MIN) {
  return (began: Moment) =>
    stage.observer.status(
      `${ms} ms have passed and ${frames} frames wait`,
      ({ queue }) => msSince(began) >= ms && queue.frames >= frames,
    );
}

/**
 * Until the fault has lasted so long, and no more waits than the path itself holds: its round trip
 * has two seconds of frames, and the window has to learn that within the wait's deadline.
 */
function caughtUp(stage: Stage, ms: number) {
  return (began: Moment) =>
    stage.observer.status(
      `${ms} ms have passed and fewer than four seconds of frames wait`,
      ({ queue }) => msSince(began) >= ms && queue.frames < 4 * FRAMES_PER_SECOND,
    );
}

/** A cut for a backlog, and then, on a thin link, the moment at which some of it has drained. */
async function untilMidDrain(stage: Stage, cutMs: number): Promise<void> {
  await stage.stack.link.add(THIN);
  await stage.suffer(cut(), lasting(stage, cutMs, 1_500));
  await drainedBy(stage, 0.05 + 0.15 * stage.random());
}

/** Waits until this part of what waits now has drained. */
export async function drainedBy(stage: Stage, part: number): Promise<void> {
  const { queue } = await stage.observer.status('there is a status', () => true);
  const target = Math.floor(queue.frames * (1 - part));
  await stage.observer.status(
    `the backlog of ${queue.frames} has shrunk to ${target}`,
    (status) => status.queue.frames <= target,
  );
}

/** No connection was lost, and nothing left the collector twice. */
export function oneConnection({ statuses }: Seen): void {
  expect(statuses.at(-1)?.document.counters).toMatchObject({ connections: 1, resent: 0 });
}

/** What the source said of itself while the first fault was in force. */
export function during({ faults: [fault], statuses }: Seen): CollectorStatus[] {
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
    faults: [],
    play: async ({ observer }) => {
      await observer.audit('2,000 frames are stored', ({ totals }) => totals.stored >= 2_000);
    },
    also: (seen) => {
      oneConnection(seen);
      expect(seen.exits).toEqual([]);
    },
  },
  {
    name: '02-cut',
    what: 'a link cut for 20 s',
    asks: HEALS,
    faults: ['cut'],
    play: (stage) => stage.suffer(cut(), lasting(stage, 20_000)),
  },
  {
    name: '03-cut-thrice',
    what: 'a link cut for 10 s, and cut again twice while the backlog drains',
    asks: HEALS,
    faults: ['cut', 'cut_again', 'cut_a_third_time'],
    play: async (stage) => {
      await untilMidDrain(stage, 10_000);
      await stage.suffer(cut('cut_again'), lasting(stage, 3_000));
      await drainedBy(stage, 0.05 + 0.15 * stage.random());
      await stage.suffer(cut('cut_a_third_time'), async (began) => {
        await lasting(stage, 3_000)(began);
        await stage.stack.link.remove(THIN);
      });
    },
  },
  {
    name: '04-half-open',
    what: 'a link that swallows everything both ways and stays open is noticed from here',
    asks: { ...HEALS, detect_ms_max: 5_000 },
    faults: ['half_open'],
    play: (stage) =>
      stage.suffer(
        poison('half_open', bothWays('timeout', { timeout: 0 }), {
          outage: true,
          effect: standstill,
        }),
        lasting(stage, 10_000),
      ),
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
    faults: ['latency'],
    play: (stage) =>
      stage.suffer(
        poison('latency', bothWays('latency', { latency: 1_000, jitter: 200 }), {
          outage: false,
          effect: lag,
        }),
        caughtUp(stage, 15_000),
      ),
    also: oneConnection,
  },
  {
    name: '06-thin',
    what: 'a link of 4 KB/s for 30 s is used and not given up',
    asks: { ...HEALS, wire_duplicates_max: 0 },
    faults: ['thin'],
    play: (stage) =>
      stage.suffer(
        poison('thin', bothWays('bandwidth', { rate: 4 }), {
          outage: false,
          effect: backlog(QUEUED_MIN),
        }),
        lasting(stage, 30_000),
      ),
    also: oneConnection,
  },
  {
    name: '07-limit-data',
    what: 'connections that end after 2,000 bytes for 30 s bring frames over all the same',
    // Frames that pass whole: one of more than 2,000 bytes can't get through by any means.
    environment: { HOLDFAST_LOAD_PAYLOADS: '1-64:300,65-512:700' },
    asks: HEALS,
    faults: ['limit_data'],
    play: (stage) =>
      stage.suffer(
        poison('limit_data', bothWays('limit_data', { bytes: 2_000 }), {
          outage: false,
          effect: reconnects,
        }),
        lasting(stage, 30_000, 0),
      ),
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
    faults: ['reset_peer'],
    play: (stage) =>
      stage.suffer(
        poison('reset_peer', bothWays('reset_peer', { timeout: 0 }), {
          outage: true,
          effect: failing(['reset']),
        }),
        lasting(stage, 5_000),
      ),
  },
  {
    name: '09-slicer',
    what: 'a stream in single bytes, in each direction',
    asks: HEALS,
    faults: ['slicer_upstream', 'slicer_downstream'],
    play: async (stage) => {
      for (const stream of BOTH) {
        const attributes = { average_size: 1, size_variation: 0, delay: 0 };
        const slicer = poison(`slicer_${stream}`, [{ type: 'slicer', stream, attributes }], {
          outage: false,
          effect: crumbs(stream === 'upstream' ? 'server' : 'collector'),
        });
        await stage.suffer(slicer, lasting(stage, 10_000, 0));
      }
    },
  },
  {
    name: '10-collector-killed',
    what: 'the collector killed with a backlog and no link, under load, at a random moment',
    asks: HEALS,
    faults: ['cut', 'kill_collector'],
    play: (stage) =>
      stage.suffer(cut(), async (began) => {
        await lasting(stage, 5_000 + 5_000 * stage.random())(began);
        await stage.suffer(kill('collector'), async () => undefined);
        const { queue } = await stage.observer.status('there is a status', () => true);
        await lasting(stage, 0, queue.frames + QUEUED_MIN)(began);
      }),
  },
  {
    name: '11-server-killed',
    what: 'the server killed in mid-stream, with a backlog under way',
    asks: HEALS,
    faults: ['cut', 'kill_server'],
    play: async (stage) => {
      await untilMidDrain(stage, 10_000);
      await stage.suffer(kill('server'), async () => undefined);
      await stage.stack.link.remove(THIN);
    },
  },
  {
    name: '12-server-frozen',
    what: 'the server frozen for 20 s',
    asks: HEALS,
    faults: ['freeze_server'],
    play: (stage) => stage.suffer(freeze('server'), lasting(stage, 20_000)),
  },
  {
    name: '13-both-killed',
    what: 'collector and server killed at once, with a backlog under way',
    asks: HEALS,
    faults: ['cut', 'kill_collector', 'kill_server'],
    play: async (stage) => {
      await untilMidDrain(stage, 10_000);
      await Promise.all([
        stage.suffer(kill('collector'), async () => undefined),
        stage.suffer(kill('server'), async () => undefined),
      ]);
      // Not before: Toxiproxy hangs when it drops a toxic with bytes for a peer that is gone.
      await stage.stack.link.remove(THIN);
    },
  },
];
