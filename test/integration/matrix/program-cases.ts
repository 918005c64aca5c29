/**
 * The cases of the matrix in which the programs are in a state that hurts: at the limit of the queue,
 * on their way out, beside one that is harmed, beside one that claims to be the same, before a server
 * that turns them away, that can't write, or that has forgotten.
 */
import { expect } from 'vitest';
import { HEALS, lasting, type MatrixCase, midDrain, suffer, thin } from './cases.ts';

/** Turned away for good, a collector tries again every 30 s. */
const TURNED_AWAY_MS = 30_000;

/** 1,000 to 1,400 frames of this load: whole files of the queue are given up at a time. */
const SMALL_QUEUE_BYTES = 524_288;

export const PROGRAM_CASES: readonly MatrixCase[] = [
  {
    name: '28-queue-full',
    what: 'a queue at its limit in an outage gives up its oldest frames, declares each, and delivers the rest',
    configuration: {
      load: { payloads: '250-350:1' },
      environment: { HOLDFAST_QUEUE_LIMIT_BYTES: String(SMALL_QUEUE_BYTES) },
    },
    // 14 s bring 2,800 frames, of which 1,700 or so find no room; a busy machine takes longer.
    asks: { ...HEALS, allow: [{ reason: 'evicted', frames_max: 2_800 }] },
    method: () => [suffer('cut', {}, { until: lasting(14) })],
    also: ({ statuses, exits }) => {
      const declared = statuses.at(-1)?.document.counters.declared;
      expect(declared, 'frames given up and declared').toBeGreaterThan(0);
      expect(exits).toEqual([]);
    },
  },
  {
    name: '29-stopped-in-drain',
    what: 'server, then collector, stopped in order while a backlog drains: neither loses what is under way',
    asks: { ...HEALS, queued_min: 500, recover_ms_max: 5_000, drain_ms_max: 10_000 },
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(10, 1_500) }),
        midDrain(random),
        suffer('terminate', { target: 'server' }, { name: 'server_stopped' }),
        midDrain(random),
        suffer('terminate', { target: 'source' }, { name: 'source_stopped' }),
      ),
    ],
    also: ({ exits }) => {
      const ended = exits.map(({ process, code }) => ({ process, code }));
      expect(ended, 'both in order').toEqual([
        { process: 'server', code: 0 },
        { process: 'source', code: 0 },
      ]);
    },
  },
  {
    name: '30-one-of-two-swallowed',
    what: "one collector's connection leads nowhere, and the next ones end within frames: the other on the link is not held up",
    configuration: { bystander: true },
    asks: {
      ...{ queued_min: 0, recover_ms_max: 5_000, drain_ms_max: 10_000 },
      // The mangler comes and goes twice, each of which costs every collector its connection, and a
      // retry waits a second at most, a dial and a handshake come on top. Held up as the source is,
      // which takes two seconds to notice before its retry, it would be past that.
      bystander_lag_ms_p99_max: 2_000,
    },
    method: () => [
      suffer('black_hole_one', {}, { until: { seconds: 10 } }),
      suffer('cut_at', { message: 'frames', nth: 2, times: 5 }, { until: { seconds: 5 } }),
    ],
  },
  {
    name: '31-older-store',
    what: 'a store put back to an older copy is sent again what it lacks, unasked',
    configuration: { environment: { HOLDFAST_KEEP_SETTLED_BYTES: '67108864' } },
    asks: { queued_min: 0, store_put_back: true, recover_ms_max: 15_000, drain_ms_max: 30_000 },
    method: () => [suffer('older_store')],
  },
  {
    name: '32-wrong-secret',
    what: 'a server with another secret turns the collector away, which needs no hand once the right one is back',
    asks: { recover_ms_max: TURNED_AWAY_MS + 10_000, drain_ms_max: TURNED_AWAY_MS + 15_000 },
    method: () => [suffer('wrong_secret', {}, { until: lasting(5) })],
  },
  {
    name: '33-clone',
    what: 'a clone of the collector beside it: one drains, the other is told, and nothing is stored twice or mixed up',
    asks: { queued_min: 0, cloned: true, recover_ms_max: 10_000, drain_ms_max: 20_000 },
    method: () => [suffer('clone', {}, { until: { seconds: 8 } })],
  },
  {
    name: '34-locked-database',
    what: 'a database that somebody else has locked for 8 s: nothing is acked meanwhile, and nothing ends',
    asks: HEALS,
    method: () => [suffer('locked_database', { seconds: 8 })],
    also: ({ exits }) => expect(exits).toEqual([]),
  },
];
