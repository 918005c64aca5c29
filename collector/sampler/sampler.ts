/**
 * The sampling loop: at each tick it takes the wall time once, reads the probes that are due, and
 * gives the encoded sample away. It knows nothing of queues and links.
 *
 * Probes that cost more than a file read have a period of their own. Between two of their readings
 * the sample simply lacks their values: an old value under a new capture time would be a lie.
 *
 * Invariant: samples leave in the order of their capture; a tick's deadline ends before the next
 * tick is due.
 */
import type { Clock } from './clock.ts';
import { GuardedProbe, type Probe } from './probe.ts';
import { encodeSample, type ProbeError, type Resource, SAMPLE_SCHEMA } from './sample.ts';
import { Schedule, type Tick } from './schedule.ts';

/** Probes get this share of the interval, and never more than the milliseconds below. */
const DEADLINE_SHARE = 0.8;
const DEADLINE_MS_MAX = 2_000;

export interface SamplerOptions {
  readonly intervalMs: number;
  readonly resource: Resource;
  readonly probes: readonly Probe[];
  readonly clock: Clock;
  /** Takes the payload over; must not throw and must not wait. `capturedAt` is in microseconds. */
  readonly onSample: (payload: Uint8Array, capturedAt: number) => void;
  readonly onEvent: (event: SamplerEvent) => void;
}

export type SamplerEvent =
  /** A probe's first failure; it comes once until the probe has recovered. */
  | { readonly type: 'probe_failed'; readonly probe: string; readonly error: string }
  | { readonly type: 'probe_recovered'; readonly probe: string }
  /** The process or the machine stood still; so many samples were not taken. */
  | { readonly type: 'ticks_skipped'; readonly ticks: number };

export interface SamplerStats {
  /** Ticks taken since the start. */
  readonly ticks: number;
  /** Ticks that passed without a sample, because the process or the machine stood still. */
  readonly skipped: number;
  /** Monotonic milliseconds of the last tick, or of the start. */
  readonly lastTickMs: number;
}

export class Sampler {
  readonly #options: SamplerOptions;
  readonly #schedule: Schedule;
  readonly #probes: GuardedProbe[];
  readonly #deadlineMs: number;
  readonly #failing = new Set<string>();
  #cancelTimer: (() => void) | undefined;
  #sampling: Promise<void> = Promise.resolve();
  #previousTick: number | undefined;
  #ticks = 0;
  #skipped = 0;
  #lastTickMs: number;
  #stopped = false;

  /** Starts at once: tick 0 is now. */
  constructor(options: SamplerOptions) {
    this.#options = options;
    this.#probes = options.probes.map((probe) => new GuardedProbe(probe, options.clock));
    this.#deadlineMs = Math.min(Math.floor(options.intervalMs * DEADLINE_SHARE), DEADLINE_MS_MAX);
    this.#lastTickMs = options.clock.monotonicMs();
    this.#schedule = new Schedule(this.#lastTickMs, options.intervalMs);
    this.#arm();
  }

  get stats(): SamplerStats {
    return { ticks: this.#ticks, skipped: this.#skipped, lastTickMs: this.#lastTickMs };
  }

  /** Takes no further tick; resolves when the one in progress has given its sample away. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#sampling;
  }

  #arm(): void {
    const delayMs = this.#schedule.dueMs - this.#options.clock.monotonicMs();
    this.#cancelTimer = this.#options.clock.after(Math.max(0, delayMs), () => this.#onTimer());
  }

  #onTimer(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const tick = this.#schedule.poll(nowMs);
    if (tick !== undefined) {
      this.#ticks += 1;
      this.#skipped += tick.skipped;
      if (tick.skipped > 0) {
        this.#options.onEvent({ type: 'ticks_skipped', ticks: tick.skipped });
      }
      this.#lastTickMs = nowMs;
      const capturedAt = this.#options.clock.wallUs();
      const before = this.#sampling;
      const sample = this.#sample(tick);
      this.#sampling = before.then(async () => {
        this.#options.onSample(await sample, capturedAt);
      });
    }
    if (!this.#stopped) this.#arm();
  }

  async #sample(tick: Tick): Promise<Uint8Array> {
    const due = this.#probes.filter(({ probe }) => this.#isDue(probe.periodMs, tick.number));
    this.#previousTick = tick.number;
    const readings = await Promise.all(due.map((guarded) => guarded.read(this.#deadlineMs)));
    const errors: ProbeError[] = [];
    for (const [index, { error }] of readings.entries()) {
      const name = due[index]?.probe.name ?? '';
      this.#report(name, error);
      if (error !== undefined) errors.push({ probe: name, error });
    }
    return encodeSample({
      schema: SAMPLE_SCHEMA,
      resource: this.#options.resource,
      metrics: readings.flatMap(({ metrics }) => metrics),
      errors,
    });
  }

  /** A period has begun since the previous tick. Reckoned from the start, so that it can't drift. */
  #isDue(periodMs: number, number: number): boolean {
    if (periodMs === 0 || this.#previousTick === undefined) return true;
    const { intervalMs } = this.#options;
    const period = (tick: number): number => Math.floor((tick * intervalMs) / periodMs);
    return period(number) > period(this.#previousTick);
  }

  #report(probe: string, error: string | undefined): void {
    if (error === undefined) {
      if (this.#failing.delete(probe)) this.#options.onEvent({ type: 'probe_recovered', probe });
    } else if (!this.#failing.has(probe)) {
      this.#failing.add(probe);
      this.#options.onEvent({ type: 'probe_failed', probe, error });
    }
  }
}
