/**
 * Checks a store while it serves, step by step in the reader's thread: once after the start, and
 * then once a day. Between two steps it rests for a multiple of what the last one took, so that it
 * never takes more than a small part of a core and of the disk.
 */
import { type CheckOutcome, describeProblem, isStructural, outcomeOf } from './check.ts';
import type { CheckProgress } from './reader-worker.ts';
import type { StoreError } from './store.ts';

/** Of all the time, what a step may take. */
const SHARE = 0.15;
const REST_MS_MIN = 5;
const AGAIN_MS = 24 * 3_600_000;

export interface BackgroundCheckOptions {
  readonly step: () => Promise<CheckProgress>;
  readonly onDone: (outcome: CheckOutcome) => void;
  /** The structure is damaged, so that writing on would make it worse. In words. */
  readonly onDamage: (problems: readonly string[]) => void;
  readonly onError: (error: StoreError) => void;
}

export class BackgroundCheck {
  readonly #options: BackgroundCheckOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param readJustNow The store was read whole at its opening. */
  constructor(options: BackgroundCheckOptions, { readJustNow }: { readonly readJustNow: boolean }) {
    this.#options = options;
    this.#after(readJustNow ? AGAIN_MS : REST_MS_MIN);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #after(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#step(), ms);
    this.#timer.unref();
  }

  async #step(): Promise<void> {
    const startedAt = performance.now();
    let progress: CheckProgress;
    try {
      progress = await this.#options.step();
    } catch (error) {
      if (!this.#stopped) this.#options.onError(error as StoreError);
      return;
    }
    if (this.#stopped) return;
    const { done, frames, problems } = progress;
    const structural = problems.filter(isStructural);
    if (structural.length > 0) {
      this.#options.onDamage(structural.map(describeProblem));
    } else if (done) {
      this.#options.onDone(outcomeOf(frames, problems));
      this.#after(AGAIN_MS);
    } else {
      const tookMs = performance.now() - startedAt;
      this.#after(Math.max(REST_MS_MIN, tookMs / SHARE - tookMs));
    }
  }
}
