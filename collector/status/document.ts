/**
 * `/status` as JSON: the one place that fixes its names and forms. Scripts, tests and the page read
 * it, so a field is added, never renamed.
 *
 * Times are RFC 3339 UTC with microseconds; what doesn't apply is null, never left out.
 */
import type { LastError, ProducerStatus } from '#collector/producer/producer.ts';
import { formatTime } from '#protocol/identity.ts';
import type { Snapshot } from './snapshot.ts';

type Samples = Snapshot['samples'];

export interface StatusDocument {
  readonly collector: string;
  readonly epoch: string | null;
  readonly state: ProducerStatus['state'];
  readonly since: string;
  readonly attempt: number;
  readonly next_retry_at: string | null;
  readonly last_error: {
    readonly code: string;
    readonly message: string;
    readonly retry: string;
    readonly at: string;
  } | null;
  readonly queue: {
    readonly frames: number;
    readonly bytes: number;
    readonly kept_bytes: number;
    readonly oldest_captured_at: string | null;
    readonly limit_bytes: number;
    readonly when_full: string;
    readonly max_age_ms: number;
    readonly disk_full: boolean;
  };
  /** `held` goes up and down: samples that wait in memory for room on the disk. */
  readonly counters: Pick<Samples, 'captured' | 'refused' | 'held'> &
    Omit<ProducerStatus['counters'], 'lostByStore'> & {
      /** What servers no longer had of what they had confirmed; sent again or declared since. */
      readonly lost_by_store: number;
    };
}

export function statusDocument(
  status: ProducerStatus,
  { captured, refused, held }: Samples,
): StatusDocument {
  const { accepted, acked, declared, lostByStore, dead, resent, connections } = status.counters;
  return {
    collector: status.collector,
    epoch: status.epoch ?? null,
    state: status.state,
    since: formatTime(status.since),
    attempt: status.attempt,
    next_retry_at: timeOrNull(status.nextRetryAt),
    last_error: status.lastError === undefined ? null : errorDocument(status.lastError),
    queue: {
      frames: status.queue.frames,
      bytes: status.queue.bytes,
      kept_bytes: status.queue.keptBytes,
      oldest_captured_at: timeOrNull(status.queue.oldestCapturedAt),
      limit_bytes: status.queue.limitBytes,
      when_full: status.queue.whenFull,
      max_age_ms: status.queue.maxAgeMs,
      disk_full: status.queue.diskFull,
    },
    counters: {
      captured,
      refused,
      held,
      accepted,
      acked,
      declared,
      lost_by_store: lostByStore,
      dead,
      resent,
      connections,
    },
  };
}

function errorDocument(error: LastError): NonNullable<StatusDocument['last_error']> {
  const { code, message, retry, at } = error;
  return { code, message, retry, at: formatTime(at) };
}

function timeOrNull(timeUs: number | undefined): string | null {
  return timeUs === undefined ? null : formatTime(timeUs);
}
