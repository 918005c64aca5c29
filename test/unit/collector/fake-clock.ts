/** A clock that stands still until a test moves it; timers fire in order as it passes them. */
import type { Clock } from '#collector/sampler/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  nowMs = 0;
  /** Added to the monotonic time to make the wall time; tests may let it jump. */
  wallOffsetUs = 1_000_000_000_000_000;
  #timers: Timer[] = [];

  monotonicMs(): number {
    return this.nowMs;
  }

  wallUs(): number {
    return this.wallOffsetUs + Math.round(this.nowMs * 1000);
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Passes each timer on the way, and lets promises run after each. */
  async advanceTo(targetMs: number): Promise<void> {
    for (let timer = this.#next(targetMs); timer; timer = this.#next(targetMs)) {
      this.#timers = this.#timers.filter((other) => other !== timer);
      this.nowMs = Math.max(this.nowMs, timer.atMs);
      timer.callback();
      await promisesRan();
    }
    this.nowMs = targetMs;
    await promisesRan();
  }

  /** The process stood still: time has passed and no timer has fired yet. */
  freezeUntil(targetMs: number): void {
    this.nowMs = targetMs;
  }

  #next(targetMs: number): Timer | undefined {
    return this.#timers
      .filter(({ atMs }) => atMs <= targetMs)
      .reduce<Timer | undefined>((a, b) => (a === undefined || b.atMs < a.atMs ? b : a), undefined);
  }
}

/** Everything that waits on nothing but promises has run when this resolves. */
export function promisesRan(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
