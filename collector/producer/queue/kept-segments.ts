/**
 * Segments that are kept after all in them was settled, so that a store that loses what it had can
 * be given it again. Here: how long each stays, and what they take. Not here: when a segment is
 * done, and its removal (`core.ts`).
 *
 * Whole segments are kept, and nothing is noted per frame: memory follows their number. Time is
 * the owner's monotonic clock; it begins anew with each opening of the queue, so a segment that was
 * kept by an earlier process stays up to that long once more.
 */
import { chargedBytes, type Segment } from './segment-index.ts';

interface KeepLimits {
  /** Disk that kept segments may take together, in bytes; 0 keeps none. */
  readonly bytes: number;
  /** How long each is kept after it was settled, in milliseconds; 0 keeps none. */
  readonly ms: number;
}

export class KeptSegments {
  readonly #limits: KeepLimits;
  /** Since when all in each is settled; oldest segment first. */
  #since = new Map<Segment, number>();

  constructor(limits: KeepLimits) {
    this.#limits = limits;
  }

  get any(): boolean {
    return this.#since.size > 0;
  }

  /** What they take on disk. */
  get bytes(): number {
    let sum = 0;
    for (const segment of this.#since.keys()) sum += chargedBytes(segment.bytes);
    return sum;
  }

  has(segment: Segment): boolean {
    return this.#since.has(segment);
  }

  /**
   * Takes in which segments hold nothing but what is settled, oldest first, and chooses anew which
   * are kept: those that aren't too old, of them the newest that fit.
   */
  update(settled: readonly Segment[], now: number): void {
    const kept: [Segment, number][] = [];
    let room = this.#limits.bytes;
    for (const segment of settled.toReversed()) {
      const since = this.#since.get(segment) ?? now;
      room -= chargedBytes(segment.bytes);
      if (room >= 0 && now - since < this.#limits.ms) kept.unshift([segment, since]);
    }
    this.#since = new Map(kept);
  }

  /** Lets go of the oldest one, for its room is needed. */
  release(): Segment | undefined {
    const [oldest] = this.#since.keys();
    if (oldest !== undefined) this.#since.delete(oldest);
    return oldest;
  }
}
