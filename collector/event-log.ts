/**
 * Which events are worth a line in the log, how loud, and in which words.
 *
 * `error`: data was lost, or a person must act. `warn`: surprising, nothing lost. A long outage
 * must not fill the disk that the queue needs, so what repeats is logged ever more rarely, and
 * each line says how many were left out.
 */
import { createHash } from 'node:crypto';
import { assertNever } from '#protocol/errors.ts';
import { type Epoch, formatTime } from '#protocol/identity.ts';
import type { Logger } from './logger.ts';
import type { LinkError } from './producer/link-error.ts';
import type { ProducerEvent } from './producer/producer.ts';
import type { Damage, Gap, RecoveryReport, StoreLoss } from './producer/queue/queue.ts';
import type { SenderState } from './producer/sender-state.ts';
import type { Receipt } from './sampler/handover.ts';
import type { SamplerEvent } from './sampler/sampler.ts';
import { Throttle } from './throttle.ts';

/** Repeated lines of one kind are this far apart. */
const REPEAT_MS = 60_000;
/** Ranges named in one line at most. */
const RANGES_LOGGED_MAX = 16;

interface Outage {
  readonly code: LinkError['code'];
  readonly loggedAtMs: number;
}

export class EventLog {
  readonly #logger: Logger;
  readonly #monotonicMs: () => number;
  readonly #refused = new Throttle(REPEAT_MS);
  readonly #rejected = new Throttle(REPEAT_MS);
  readonly #skipped = new Throttle(REPEAT_MS);
  /** By epoch: a server that loses the same again and again fills no disk. */
  readonly #lost = new Map<Epoch, Throttle>();
  readonly #probes = new Map<string, Throttle>();
  /** Whose failure was told, and not yet the recovery. */
  readonly #failedProbes = new Set<string>();
  #outage: Outage | undefined;

  constructor(logger: Logger, monotonicMs: () => number) {
    this.#logger = logger;
    this.#monotonicMs = monotonicMs;
  }

  /** What the opening of the queue found. */
  onOpened(collector: string, path: string, report: RecoveryReport): void {
    const { segments, frames, tornBytes } = report;
    this.#logger.info(
      { event: 'queue_opened', collector, path, segments, frames, torn_bytes: tornBytes },
      frames === 0 ? 'queue open, nothing waits in it' : `queue open, ${frames} frames wait in it`,
    );
    for (const damage of report.damage) this.#onDamage(damage);
    for (const gap of report.gaps) this.#onGap(gap);
  }

  onProducer(event: ProducerEvent): void {
    switch (event.type) {
      case 'state':
        return this.#onState(event.to);
      case 'gap':
        return this.#onGap(event.gap);
      case 'disk_full':
        return this.#onDiskFull(event.full);
      case 'damage':
        return this.#onDamage(event.damage);
      case 'store_lost':
        return this.#onStoreLost(event.loss);
      case 'rejected':
        return this.#onRejected(event);
      case 'stored':
      case 'opened':
      case 'open_failed':
      case 'reopened':
      case 'closed':
      case 'listener_failed':
        return;
      case 'failed':
        this.#logger.fatal(
          { event: 'queue_failed', code: codeOf(event.error) },
          `${event.error.message}. The collector ends now, to be started again`,
        );
        return;
      default:
        return assertNever(event);
    }
  }

  onSampler(event: SamplerEvent): void {
    switch (event.type) {
      case 'probe_failed':
        return this.#onProbeFailed(event);
      case 'probe_recovered':
        if (!this.#failedProbes.delete(event.probe)) return;
        this.#logger.info(
          { event: event.type, probe: event.probe },
          `probe ${event.probe} is back`,
        );
        return;
      case 'ticks_skipped': {
        const omitted = this.#skipped.pass(this.#monotonicMs());
        if (omitted === undefined) return;
        this.#logger.warn(
          { event: event.type, ticks: event.ticks, omitted },
          `stood still: ${event.ticks} samples were not taken, and are not made up for`,
        );
        return;
      }
      default:
        assertNever(event);
    }
  }

  /**
   * A line for each frame, at level debug: with the digest it is a record of what was captured that
   * lies outside queue and store, to compare the store with.
   */
  onAccepted({ epoch, seq }: Receipt, payload: Uint8Array, capturedAt: number): void {
    if (!this.#logger.isLevelEnabled('debug')) return;
    const digest = createHash('sha256').update(payload).digest('hex');
    this.#logger.debug(
      {
        event: 'accepted',
        epoch,
        seq,
        captured_at: formatTime(capturedAt),
        payload_sha256: digest,
      },
      'a sample is durable',
    );
  }

  /** A sample that never became a frame. */
  onRefused(error: Error, capturedAt: number): void {
    const omitted = this.#refused.pass(this.#monotonicMs());
    if (omitted === undefined) return;
    this.#logger.error(
      {
        event: 'sample_refused',
        code: codeOf(error),
        captured_at: formatTime(capturedAt),
        omitted,
      },
      `a sample was lost: ${error.message}`,
    );
  }

  /** One that fails and recovers by turns is told once a minute; its recovery only when it was. */
  #onProbeFailed({ type, probe, error }: Extract<SamplerEvent, { type: 'probe_failed' }>): void {
    const throttle = this.#probes.get(probe) ?? new Throttle(REPEAT_MS);
    this.#probes.set(probe, throttle);
    const omitted = throttle.pass(this.#monotonicMs());
    if (omitted === undefined) return;
    this.#failedProbes.add(probe);
    this.#logger.warn(
      { event: type, probe, omitted },
      `probe ${probe}: ${error}; samples lack its values until it recovers`,
    );
  }

  #onState(state: SenderState): void {
    switch (state.name) {
      case 'Ready':
        this.#outage = undefined;
        this.#logger.info({ event: 'link_ready' }, 'the server and we have proven each other');
        return;
      case 'Backoff':
        return this.#onBackoff(state);
      case 'Recovering':
        this.#logger.debug({ event: 'link_recovering', phase: state.phase }, state.phase);
        return;
      case 'Stopped':
        this.#logger.debug({ event: 'link_stopped' }, 'the link is closed for good');
        return;
      default:
        assertNever(state);
    }
  }

  /** The first of an outage, a new reason, each doubling of the attempts, and once a minute. */
  #onBackoff({ attempt, until, error }: Extract<SenderState, { name: 'Backoff' }>): void {
    const nowMs = this.#monotonicMs();
    const before = this.#outage;
    const due =
      before === undefined ||
      before.code !== error.code ||
      Math.log2(attempt) % 1 === 0 ||
      nowMs - before.loggedAtMs >= REPEAT_MS;
    const permanent = error.retry === 'permanent';
    const facts = {
      event: 'link_backoff',
      code: error.code,
      retry: error.retry,
      attempt,
      retry_in_ms: Math.max(0, Math.round(until - nowMs)),
    };
    if (!due) {
      this.#logger.debug(facts, error.message);
      return;
    }
    this.#outage = { code: error.code, loggedAtMs: nowMs };
    if (permanent) {
      this.#logger.error(facts, `${error.message}. Frames are kept; this needs your hand`);
    } else {
      this.#logger.warn(facts, `${error.message}. Frames are kept; it is tried again`);
    }
  }

  #onDamage({ message, kind, file, setAsideAs, framesSaved, bytesLost }: Damage): void {
    const facts = { kind, file, set_aside_as: setAsideAs, frames_saved: framesSaved };
    this.#logger.error({ event: 'queue_damage', ...facts, bytes_lost: bytesLost }, message);
  }

  #onGap({ epoch, from, to, reason }: Gap): void {
    const frames = to - from + 1;
    this.#logger.error(
      { event: 'frames_declared', epoch, from, to, frames, reason },
      `${frames} frames were given up (${reason}); the server is told which`,
    );
  }

  #onDiskFull(full: boolean): void {
    if (full) {
      this.#logger.error(
        { event: 'disk_full' },
        'the disk under the queue is full: new samples wait in memory, and those that it has no ' +
          'room for are declared later. What is queued is kept and delivered. Free some room on ' +
          'that disk, or raise its quota; it goes on by itself then',
      );
      return;
    }
    this.#logger.info({ event: 'disk_has_room' }, 'the disk under the queue has room again');
  }

  #onStoreLost({ reason, epoch, ranges, resent, declared }: StoreLoss): void {
    const throttle = this.#lost.get(epoch) ?? new Throttle(REPEAT_MS);
    this.#lost.set(epoch, throttle);
    const omitted = throttle.pass(this.#monotonicMs());
    if (omitted === undefined) return;
    const facts = { event: 'store_lost', reason, epoch, resent, declared, omitted };
    const named = ranges.slice(0, RANGES_LOGGED_MAX);
    const what = `${resent + declared} frames that had been confirmed`;
    const then =
      `${resent} of them are still in the queue and are sent again, ${declared} are gone here, ` +
      'too, and are declared';
    this.#logger.error(
      { ...facts, ranges: named, ranges_omitted: ranges.length - named.length },
      reason === 'settled_elsewhere'
        ? `the server has another store than before, without ${what}; ${then}. If that store is not meant to be new, find out what became of the old one`
        : `the server's store has lost ${what}; ${then}. Find out whether an older copy of the store was put in place, or whether it was damaged`,
    );
  }

  #onRejected(event: Extract<ProducerEvent, { type: 'rejected' }>): void {
    const omitted = this.#rejected.pass(this.#monotonicMs());
    if (omitted === undefined) return;
    const { epoch, seq, code, text } = event;
    this.#logger.error(
      { event: 'frame_rejected', epoch, seq, code, text, omitted },
      'the server refuses this frame for good; it is kept as a dead letter beside the queue',
    );
  }
}

/** The stable code of a typed error; a mistake of ours has none. */
export function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
