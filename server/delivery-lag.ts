/**
 * Delivery lag: how long after its capture a frame was committed. By collector over the last
 * minutes, as quantiles; over all of them since the start, as a histogram for Prometheus.
 *
 * Capture is told by the collector's clock and the commit by ours, so the lag has the difference
 * of the two in it; a frame from the future counts as 0.
 *
 * Invariants: memory is bounded by a number of collectors, and for each by a fixed number of
 * counters; a frame that came again is not counted.
 */
import { putLatest } from './latest.ts';

/** Four buckets for each doubling, from 1 ms to 2^36 ms (two years): a bound is 19 % above the next. */
const STEPS_PER_DOUBLING = 4;
const BUCKETS = 36 * STEPS_PER_DOUBLING + 1;
/** What is told reaches back by one to two of these. */
const WINDOW_US = 5 * 60 * 1_000_000;
/** Those heard of last; about 1 KB each. */
const COLLECTORS_MAX = 10_000;

/** Seconds: from a disk's sync on an idle machine to an outage over a long weekend. */
export const LAG_BOUNDS_S = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400,
  345_600,
] as const;

/** Times in microseconds since 1970 UTC, lags in milliseconds. */
export interface LagSummary {
  /** Frames are counted that were committed from then on. */
  readonly since: number;
  /** How many; the lags are 0 where there were none. */
  readonly frames: number;
  /** At most so long in half of them; up to 19 % too high. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export class DeliveryLag {
  /** By collector, the one heard of last at the end. */
  readonly #collectors = new Map<string, Windows>();
  readonly #counts = new Float64Array(LAG_BOUNDS_S.length + 1);
  #sumS = 0;

  /** Frames of a collector were committed just now, at `committedAt`. */
  onStored(collector: string, capturedAt: readonly number[], committedAt: number): void {
    if (capturedAt.length === 0) return;
    const windows = this.#windowsOf(collector, committedAt);
    for (const captured of capturedAt) {
      const lagMs = Math.max(0, committedAt - captured) / 1_000;
      windows.add(lagMs);
      this.#count(lagMs / 1_000);
    }
  }

  /** undefined for a collector of which nothing was committed since the start, or for long. */
  of(collector: string, now: number): LagSummary | undefined {
    const windows = this.#collectors.get(collector);
    windows?.turnTo(now);
    return windows?.summary();
  }

  /** Of all collectors since the start: how many frames fell into each bucket, and their sum. */
  get totals(): { readonly counts: readonly number[]; readonly sumS: number } {
    return { counts: [...this.#counts], sumS: this.#sumS };
  }

  #windowsOf(collector: string, now: number): Windows {
    const windows = this.#collectors.get(collector) ?? new Windows(now);
    putLatest(this.#collectors, collector, windows, COLLECTORS_MAX);
    windows.turnTo(now);
    return windows;
  }

  #count(lagS: number): void {
    let bucket = 0;
    while (bucket < LAG_BOUNDS_S.length && lagS > (LAG_BOUNDS_S[bucket] ?? 0)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumS += lagS;
  }
}

/** One window that is being filled, and the one before it. */
class Windows {
  #current: Window;
  #before: Window | undefined;

  constructor(now: number) {
    this.#current = new Window(now);
  }

  turnTo(now: number): void {
    const age = now - this.#current.since;
    if (age >= 0 && age < WINDOW_US) return;
    // A clock that was set back leaves nothing that could be compared.
    this.#before = age >= 0 && age < 2 * WINDOW_US ? this.#current : undefined;
    this.#current = new Window(this.#before ? this.#current.since + WINDOW_US : now);
  }

  add(lagMs: number): void {
    this.#current.add(lagMs);
  }

  summary(): LagSummary {
    const windows = this.#before ? [this.#before, this.#current] : [this.#current];
    const frames = windows.reduce((sum, window) => sum + window.frames, 0);
    const maxMs = Math.max(...windows.map((window) => window.maxMs));
    const quantile = (share: number): number => {
      let left = Math.ceil(frames * share);
      for (let bucket = 0; bucket < BUCKETS && left > 0; bucket += 1) {
        for (const { counts } of windows) left -= counts[bucket] ?? 0;
        if (left <= 0) return Math.min(maxMs, upperBoundMs(bucket));
      }
      return maxMs;
    };
    const [first] = windows;
    return {
      since: first?.since ?? 0,
      frames,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
      maxMs,
    };
  }
}

class Window {
  readonly since: number;
  readonly counts = new Uint32Array(BUCKETS);
  frames = 0;
  maxMs = 0;

  constructor(since: number) {
    this.since = since;
  }

  add(lagMs: number): void {
    const bucket = bucketOf(lagMs);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.frames += 1;
    if (lagMs > this.maxMs) this.maxMs = lagMs;
  }
}

function bucketOf(lagMs: number): number {
  if (lagMs <= 1) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(lagMs) * STEPS_PER_DOUBLING));
}

function upperBoundMs(bucket: number): number {
  return 2 ** (bucket / STEPS_PER_DOUBLING);
}
