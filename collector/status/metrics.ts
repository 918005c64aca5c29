/**
 * `/metrics`: the snapshot in Prometheus' words. Each metric is one row of the table below; a
 * registry of our own, so that nothing else in the process shows up.
 *
 * Base units, `_total` on what only grows, moments as timestamps (their age is the reader's clock
 * minus ours), the state as one gauge for each so that it can be graphed and counted.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { Snapshot } from './snapshot.ts';

interface Row {
  readonly type: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  /** Undefined: there is no such value now, and the metric shows none. */
  readonly read: (snapshot: Snapshot) => number | undefined;
}

const ROWS: readonly Row[] = [
  counter('samples_captured_total', 'Samples taken.', (s) => s.samples.captured),
  counter(
    'samples_refused_total',
    'Samples that the queue did not take: lost before they were frames, and not declared.',
    (s) => s.samples.refused,
  ),
  gauge('samples_held', 'Samples that wait in memory for room on the disk.', (s) => s.samples.held),
  counter(
    'sampler_ticks_skipped_total',
    'Sampling times that passed while the process or the machine stood still.',
    (s) => s.samples.skippedTicks,
  ),
  gauge('sample_last_captured_timestamp_seconds', 'Capture time of the newest sample.', (s) =>
    seconds(s.samples.lastCapturedAt),
  ),
  counter('frames_accepted_total', 'Frames made durable in the queue.', (s) =>
    count(s, 'accepted'),
  ),
  counter('frames_acked_total', 'Frames that the server has stored.', (s) => count(s, 'acked')),
  counter('frames_declared_total', 'Frames given up and declared to the server as lost.', (s) =>
    count(s, 'declared'),
  ),
  counter(
    'frames_lost_by_store_total',
    'Frames that the server had confirmed and no longer has; sent again or declared.',
    (s) => count(s, 'lostByStore'),
  ),
  counter(
    'frames_dead_total',
    'Frames that the server refused for good; kept as dead letters.',
    (s) => count(s, 'dead'),
  ),
  counter('frames_resent_total', 'Frames sent once more; the server stores them once.', (s) =>
    count(s, 'resent'),
  ),
  counter('link_connections_total', 'Connections that were opened.', (s) =>
    count(s, 'connections'),
  ),
  gauge(
    'link_attempts',
    'Failures of the link since it last did its work.',
    (s) => s.producer?.attempt,
  ),
  gauge('link_state_timestamp_seconds', 'When the link came to its present state.', (s) =>
    seconds(s.producer?.since),
  ),
  gauge('link_next_retry_timestamp_seconds', 'When the next dial is due; only in Backoff.', (s) =>
    seconds(s.producer?.nextRetryAt),
  ),
  gauge('queue_frames', 'Frames that wait for the server.', (s) => s.producer?.queue.frames),
  gauge('queue_bytes', 'What the queue takes on disk.', (s) => s.producer?.queue.bytes),
  gauge(
    'queue_kept_bytes',
    'Of these, what the server has confirmed and is kept in case it loses it.',
    (s) => s.producer?.queue.keptBytes,
  ),
  gauge(
    'queue_limit_bytes',
    'What the queue may take on disk.',
    (s) => s.producer?.queue.limitBytes,
  ),
  gauge(
    'queue_oldest_captured_timestamp_seconds',
    'Capture time of the oldest waiting frame.',
    (s) => seconds(s.producer?.queue.oldestCapturedAt),
  ),
  gauge('queue_disk_full', '1 while the disk under the queue has no room.', (s) =>
    s.producer === undefined ? undefined : Number(s.producer.queue.diskFull),
  ),
  gauge('collector_ready', '1 when samples can be made durable.', (s) => Number(s.readiness.ready)),
];

const STATES = ['Ready', 'Backoff', 'Recovering', 'Stopped'] as const;

/** The registry; `snapshot` is taken anew at each scrape. */
export function metricsRegistry(snapshot: () => Snapshot): Registry {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  for (const { type, name, help, read } of ROWS) {
    if (type === 'counter') {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read(snapshot()) ?? 0);
        },
      });
    } else {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          const value = read(snapshot());
          if (value === undefined) this.remove();
          else this.set(value);
        },
      });
    }
  }
  new Gauge({
    name: 'holdfast_link_state',
    help: 'The state of the link: 1 for the one it is in.',
    labelNames: ['state'],
    registers,
    collect() {
      const current = snapshot().producer?.state;
      for (const state of STATES) this.set({ state }, Number(state === current));
    },
  });
  return registry;
}

function counter(name: string, help: string, read: Row['read']): Row {
  return { type: 'counter', name: `holdfast_${name}`, help, read };
}

function gauge(name: string, help: string, read: Row['read']): Row {
  return { type: 'gauge', name: `holdfast_${name}`, help, read };
}

function count(
  { producer }: Snapshot,
  name: keyof NonNullable<Snapshot['producer']>['counters'],
): number {
  return producer?.counters[name] ?? 0;
}

function seconds(timeUs: number | undefined): number | undefined {
  return timeUs === undefined ? undefined : timeUs / 1e6;
}
