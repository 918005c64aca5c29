/**
 * How long each fault was felt: until the collector noticed, until the first frame was stored
 * again, until the backlog was in.
 *
 * A fault ends twice: when the order to end it was given (`lifted`; a killed process comes back
 * without one) and when what was hit was seen to work again (`running`). Times are given from both;
 * the product answers for those since `running`. It may be faster than whoever looks: what is
 * stored between the order and that sight counts as stored after the fault, at its end. Storage
 * times are the server's `received_at`, compared by wall time, so all programs of a case must run
 * on one machine's clock; times of acks are the observer's samples of `/status`, on its monotonic
 * clock.
 */
import type { FateTimes } from './fate-times.ts';
import type { Fault, Moment, Observations } from './observations.ts';
import { parseTime } from './time.ts';

/** Milliseconds; null where it never happened or could not be seen. */
export interface Recovery {
  /** Until the first frame was stored. */
  readonly stored_ms: number | null;
  /** Until the collector had counted a new ack, as far as it was sampled. */
  readonly acked_ms: number | null;
  /** Until everything captured before this moment, and not given up, was stored. */
  readonly drained_ms: number | null;
}

export interface FaultTimes {
  readonly name: string;
  readonly target: string;
  readonly outage: boolean;
  readonly bit: boolean;
  readonly evidence: string;
  /** Frames that waited: captured before it was over, and not stored before that was ordered. */
  readonly queued: number;
  /** Frames that were there to be stored after the fault's end. */
  readonly owed: number;
  readonly detect_ms: number | null;
  /** From lifted to running; from the beginning of a fault that ends without an order. */
  readonly restart_ms: number | null;
  readonly since_order: Recovery | null;
  readonly since_running: Recovery | null;
  /** Another fault fell into it, so its length says nothing about the product. */
  readonly disturbed: { readonly recovery: boolean; readonly drain: boolean };
}

/**
 * Which figures count: those that the tolerance is held against, and that every summary tells. What
 * another fault fell into is null here, as is what never happened.
 */
export function recoverMs({
  since_running: since,
  disturbed,
}: Pick<FaultTimes, 'since_running' | 'disturbed'>): number | null {
  return disturbed.recovery ? null : (since?.stored_ms ?? null);
}

export function drainMs({
  since_running: since,
  disturbed,
}: Pick<FaultTimes, 'since_running' | 'disturbed'>): number | null {
  return disturbed.drain ? null : (since?.drained_ms ?? null);
}

type StatusSample = Observations['statuses'][number];

/** A sample of `/status` and what was captured in the last second may have crossed. */
const CROSSING_US = 1_000_000;

export function timesOf(fault: Fault, observations: Observations, fates: FateTimes): FaultTimes {
  const { name, target, outage, bit, evidence, began, lifted, running } = fault;
  const ordered = lifted ?? began;
  const end = endOf(fault);
  const sinceRunning = recovery(running, fault, observations, fates);
  return {
    name,
    target,
    outage,
    bit,
    evidence,
    queued: running === null ? 0 : fates.waitedBetween(running.wall_us, ordered.wall_us),
    owed: end === null ? 0 : fates.dueFrom(end.wall_us),
    detect_ms: detection(fault, observations.statuses),
    restart_ms: running && running.monotonic_ms - ordered.monotonic_ms,
    since_order: recovery(ordered, fault, observations, fates),
    since_running: sinceRunning,
    disturbed: {
      recovery: isDisturbed(fault, sinceRunning?.stored_ms, observations.faults),
      drain: isDisturbed(fault, sinceRunning?.drained_ms, observations.faults),
    },
  };
}

/**
 * For each collector the time before which everything captured had left its queue, by its own
 * account; microseconds since 1970 UTC.
 */
export function leftBefore(statuses: readonly StatusSample[]): (collector: string) => number {
  const times = new Map<string, number>();
  for (const { at, document } of statuses) {
    const { frames, oldest_captured_at } = document.queue;
    const oldest = frames === 0 ? Infinity : parseTime(oldest_captured_at ?? '');
    const sure = Math.min(at.wall_us - CROSSING_US, Number.isNaN(oldest) ? 0 : oldest);
    times.set(document.collector, Math.max(times.get(document.collector) ?? 0, sure));
  }
  return (collector) => times.get(collector) ?? 0;
}

/** The first moment at which a stored frame can be owed to the fault's end. */
function endOf({ lifted, running }: Fault): Moment | null {
  return running && (lifted ?? running);
}

/** What happened from the fault's end on, told as times since `since`; null while it has none. */
function recovery(
  since: Moment | null,
  fault: Fault,
  { statuses }: Observations,
  fates: FateTimes,
): Recovery | null {
  const { running } = fault;
  const end = endOf(fault);
  if (since === null || running === null || end === null) return null;
  const first = fates.firstStoredFrom(end.wall_us);
  const last = Math.max(running.wall_us, fates.allStoredOf(running.wall_us));
  return {
    stored_ms: wallMs(since, first),
    acked_ms: ackedMs(since, end, statuses),
    drained_ms: wallMs(since, last),
  };
}

function wallMs(since: Moment, wallUs: number): number | null {
  return Number.isFinite(wallUs) ? Math.max(0, wallUs - since.wall_us) / 1_000 : null;
}

/** A restarted collector counts from 0 again: less than before is a new beginning. */
function ackedMs(since: Moment, end: Moment, statuses: readonly StatusSample[]): number | null {
  const counted = new Map<string, number>();
  for (const { at, document } of statuses) {
    const { acked } = document.counters;
    const before = counted.get(document.collector);
    const rose = before !== undefined && (acked > before || (acked < before && acked > 0));
    if (rose && at.monotonic_ms > end.monotonic_ms) {
      return Math.max(0, at.monotonic_ms - since.monotonic_ms);
    }
    counted.set(document.collector, acked);
  }
  return null;
}

function detection(fault: Fault, statuses: readonly StatusSample[]): number | null {
  const from = fault.began.monotonic_ms;
  const until = fault.running?.monotonic_ms ?? Infinity;
  const noticed = statuses.find(
    ({ at, document }) =>
      at.monotonic_ms >= from && at.monotonic_ms <= until && document.state !== 'Ready',
  );
  return noticed === undefined ? null : noticed.at.monotonic_ms - from;
}

/** A fault that ended later began within `lastedMs` of this one's end, or ever, if that is null. */
function isDisturbed(
  fault: Fault,
  lastedMs: number | null | undefined,
  faults: readonly Fault[],
): boolean {
  const ended = fault.running?.monotonic_ms ?? Infinity;
  return faults.some(
    ({ began, running }) =>
      (running?.monotonic_ms ?? Infinity) > ended &&
      began.monotonic_ms < ended + (lastedMs ?? Infinity),
  );
}
