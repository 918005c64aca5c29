/**
 * A link that goes and comes: closed and opened by our own timers, each flip due at a moment that
 * is fixed from the start, so that nothing adds up. What came too late for its phase is left out
 * and counted, never caught up with: a flip is in time, or it isn't one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Link } from '#lab/link.ts';

export interface Rhythm {
  readonly periodMs: number;
  /** The share of each period in which the link is cut, which is its beginning. */
  readonly duty: number;
}

export interface Flips {
  /** Carried out and read back before the next one was due. */
  readonly inTime: number;
  readonly late: number;
  /** Toxiproxy did not do it, as while it is down. */
  readonly failed: number;
  readonly latestMs: number;
}

/** What it keeps time by. */
export interface Clock {
  now(): number;
  /** Resolves at that time, or when the signal is aborted. */
  until(timeMs: number, signal: AbortSignal): Promise<void>;
}

const REAL: Clock = {
  now: () => performance.now(),
  until: async (timeMs, signal) => {
    const ms = Math.max(0, timeMs - performance.now());
    await delay(ms, undefined, { signal }).catch(() => undefined);
  },
};

/** Milliseconds from the start; those with even numbers close the link, the others open it. */
export function dueMs(flip: number, { periodMs, duty }: Rhythm): number {
  const periods = Math.floor(flip / 2) * periodMs;
  return flip % 2 === 0 ? periods : periods + duty * periodMs;
}

export class Flapping {
  readonly #link: Pick<Link, 'cut' | 'open'>;
  readonly #rhythm: Rhythm;
  readonly #clock: Clock;
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;
  #inTime = 0;
  #late = 0;
  #failed = 0;
  #latestMs = 0;

  /** Begins at once, with a cut. */
  constructor(link: Pick<Link, 'cut' | 'open'>, rhythm: Rhythm, clock = REAL) {
    this.#link = link;
    this.#rhythm = rhythm;
    this.#clock = clock;
    this.#running = this.#run();
  }

  get flips(): Flips {
    return {
      inTime: this.#inTime,
      late: this.#late,
      failed: this.#failed,
      latestMs: this.#latestMs,
    };
  }

  /** Leaves the link open; rejects when that can't be done. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#running;
    await this.#link.open(this);
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    const beganMs = this.#clock.now();
    for (let flip = 0; !signal.aborted; flip += 1) {
      const dueAtMs = beganMs + dueMs(flip, this.#rhythm);
      const nextAtMs = beganMs + dueMs(flip + 1, this.#rhythm);
      await this.#clock.until(dueAtMs, signal);
      if (signal.aborted) return;
      if (this.#clock.now() >= nextAtMs) this.#late += 1;
      else await this.#flip(flip, dueAtMs, nextAtMs);
    }
  }

  async #flip(flip: number, dueAtMs: number, nextAtMs: number): Promise<void> {
    try {
      if (flip % 2 === 0) await this.#link.cut(this);
      else await this.#link.open(this);
    } catch {
      this.#failed += 1;
      return;
    }
    const nowMs = this.#clock.now();
    if (nowMs < nextAtMs) this.#inTime += 1;
    else this.#late += 1;
    this.#latestMs = Math.max(this.#latestMs, nowMs - dueAtMs);
  }
}
