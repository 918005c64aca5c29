/**
 * Whether the next message with frames is worth compressing. A pure decision; zstd itself is
 * `#protocol/frames.ts`.
 *
 * Compressing buys bytes with processor time, so it is done only where bytes are what is short: when
 * the link holds frames back and is slower than the processor would be at compressing, or where
 * connections break after few bytes. And only while it pays: frames that don't get smaller are left
 * alone, and tried again after a while that doubles.
 */

/**
 * A link of this many bytes a millisecond or more is never the limit: zstd's quickest level does
 * some hundreds of MB/s, syncing rows to a disk a tenth of it.
 */
const FAST_BYTES_PER_MS = 4_000;
/** Compressed to more than this part it doesn't pay: the server has to inflate it as well. */
const PAYS_BELOW = 0.9;
/** Messages that are left alone after one that did not pay. */
const SKIPS_MAX = 64;
/** No message is taken to shrink by more; a guess that is too high makes messages too long. */
const RATIO_MAX = 16;

export class Compression {
  readonly #allowed: boolean;
  #ratio = 1;
  #skips = 0;
  #nextSkips = 1;

  /** `allowed`: both ends want it. */
  constructor(allowed: boolean) {
    this.#allowed = allowed;
  }

  /** True when the next message should be compressed. */
  wanted(linkIsShort: boolean, linkBytesPerMs: number): boolean {
    if (!this.#allowed || !linkIsShort || linkBytesPerMs >= FAST_BYTES_PER_MS) return false;
    return this.#skips === 0;
  }

  /** How many bytes of frames go into one on the wire, as far as is known; 1 or more. */
  get ratio(): number {
    return this.#ratio;
  }

  /** What became of a message that was meant to be compressed. */
  onCompressed(frameBytes: number, wireBytes: number): void {
    if (wireBytes < frameBytes * PAYS_BELOW) {
      this.#ratio = Math.min(frameBytes / wireBytes, RATIO_MAX);
      this.#nextSkips = 1;
    } else {
      this.#ratio = 1;
      this.#skips = this.#nextSkips;
      this.#nextSkips = Math.min(this.#nextSkips * 2, SKIPS_MAX);
    }
  }

  /** A message left as it is. */
  onPlain(): void {
    if (this.#skips > 0) this.#skips -= 1;
  }
}
