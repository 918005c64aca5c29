/** A snapshot in the middle of an outage, for tests to change. */
import type { ProducerStatus } from '#collector/producer/producer.ts';
import type { Snapshot } from '#collector/status/snapshot.ts';

/** 2026-11-21T08:12:17.000123Z */
export const NOON_US = 1_795_248_737_000_123;

export const PRODUCER: ProducerStatus = {
  lifecycle: 'open',
  failure: undefined,
  collector: 'web-3-0a1b2c3d',
  epoch: '0193a2b4-0000-7000-8000-000000000001',
  state: 'Backoff',
  since: NOON_US,
  attempt: 3,
  nextRetryAt: NOON_US + 250_000,
  lastError: {
    code: 'refused',
    message: '127.0.0.1:9004: nothing listens there (ECONNREFUSED)',
    retry: 'transient',
    at: NOON_US,
  },
  unsynced: { frames: 0, bytes: 0, limitBytes: 8_388_608, waiting: 0 },
  queue: {
    frames: 12,
    bytes: 40_960,
    oldestCapturedAt: NOON_US - 12_000_000,
    keptBytes: 3_000,
    limitBytes: 1_073_741_824,
    whenFull: 'drop-oldest',
    maxAgeMs: 0,
    diskFull: false,
  },
  counters: {
    accepted: 40,
    acked: 28,
    declared: 0,
    lostByStore: 0,
    dead: 0,
    resent: 2,
    connections: 4,
  },
};

export function snapshotOf(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    readiness: { ready: true },
    producer: PRODUCER,
    samples: { captured: 41, refused: 1, held: 2, lastCapturedAt: NOON_US, skippedTicks: 5 },
    sinceTickMs: 300,
    ...changes,
  };
}
