/**
 * One probe under guard: it gets a deadline, and one that still runs is not started again. So a
 * probe that hangs costs its own values and nothing else, and nothing piles up behind it.
 *
 * Not here: what probes measure (`probes/`), and when they are due (`sampler.ts`).
 */
import type { Clock } from './clock.ts';
import type { Metric } from './sample.ts';

export interface Probe {
  /** Names the probe in a sample's errors. */
  readonly name: string;
  /** The least time between two readings, in milliseconds; 0: at every tick. */
  readonly periodMs: number;
  /** Rejects when there is nothing to tell; the message goes into the sample. */
  read(): Promise<readonly Metric[]>;
}

export interface Reading {
  readonly metrics: readonly Metric[];
  readonly error: string | undefined;
}

export class GuardedProbe {
  readonly probe: Probe;
  readonly #clock: Clock;
  #runningSinceMs: number | undefined;

  constructor(probe: Probe, clock: Clock) {
    this.probe = probe;
    this.#clock = clock;
  }

  /** Never rejects, and takes no longer than the deadline. A value that comes later is dropped. */
  read(deadlineMs: number): Promise<Reading> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#runningSinceMs !== undefined) {
      const seconds = Math.floor((nowMs - this.#runningSinceMs) / 1000);
      return Promise.resolve(failed(`started ${seconds} s ago and still hangs; not started again`));
    }
    this.#runningSinceMs = nowMs;
    return new Promise((resolve) => {
      const cancel = this.#clock.after(deadlineMs, () =>
        resolve(failed(`deadline of ${deadlineMs} ms passed`)),
      );
      const settle = (reading: Reading): void => {
        this.#runningSinceMs = undefined;
        cancel();
        resolve(reading);
      };
      this.probe.read().then(
        (metrics) => settle(onlyFinite(metrics)),
        (error) => settle(failed(error instanceof Error ? error.message : String(error))),
      );
    });
  }
}

function failed(error: string): Reading {
  return { metrics: [], error };
}

/** JSON has no NaN: such a value would arrive as null and be taken for one. */
function onlyFinite(metrics: readonly Metric[]): Reading {
  const finite = metrics.filter(({ value }) => Number.isFinite(value));
  const lost = metrics.filter(({ value }) => !Number.isFinite(value));
  if (lost.length === 0) return { metrics: finite, error: undefined };
  const names = [...new Set(lost.map(({ name }) => name))].join(', ');
  return { metrics: finite, error: `no number for ${names}` };
}
