/**
 * Retention: has the store remove what is too old or too much, again and again. What a removal is,
 * and which frames are the oldest, is the store's business.
 */
import type { PruneRequest, StoreError } from './store/store.ts';

/** Looking costs next to nothing, and a little at a time is what keeps commits fast. */
const EVERY_MS = 1_000;

export interface RetentionOptions {
  /** Frames that were received longer ago go; 0 keeps them. */
  readonly ageMs: number;
  /** The oldest go while the store takes more; 0 keeps them. */
  readonly bytes: number;
  /** Microseconds since 1970 UTC. */
  readonly wallTime: () => number;
  /** As `Store.prune`. */
  readonly prune: (request: PruneRequest) => Promise<{ pruned: number; more: boolean }>;
  readonly onPruned: (frames: number) => void;
}

export class Retention {
  readonly #options: RetentionOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** Begins at once, unless everything is to be kept. */
  constructor(options: RetentionOptions) {
    this.#options = options;
    if (options.ageMs > 0 || options.bytes > 0) void this.#round();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #round(): Promise<void> {
    try {
      await this.#pruneAll();
    } catch (error) {
      // The store tells by itself what ails it; while it can't write, this is tried again.
      if ((error as StoreError).retry !== 'later') return;
    }
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#round(), EVERY_MS);
    this.#timer.unref();
  }

  async #pruneAll(): Promise<void> {
    const { ageMs, bytes, wallTime, prune, onPruned } = this.#options;
    for (let more = true; more && !this.#stopped; ) {
      const outcome = await prune({
        receivedBefore: ageMs > 0 ? wallTime() - ageMs * 1_000 : undefined,
        keepBytes: bytes > 0 ? bytes : undefined,
      });
      if (outcome.pruned > 0) onPruned(outcome.pruned);
      more = outcome.more;
    }
  }
}
