/** Where to bite, from a seed alone: the same seed, connection and direction give the same places. */
import type { Direction } from './rules.ts';

export class Places {
  readonly #everyBytes: number;
  #state: number;

  /** `connection` counts the connections that the rule has met, in their order. */
  constructor(seed: number, connection: number, direction: Direction, everyBytes: number) {
    this.#everyBytes = everyBytes;
    const lane = 2 * connection + (direction === 'upstream' ? 0 : 1);
    this.#state = (Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(lane, 0xc2b2_ae35)) >>> 0;
  }

  /** Bytes to the next place: 1 to twice the mean, less one. */
  gap(): number {
    return 1 + (this.#next() % (2 * this.#everyBytes - 1));
  }

  /** One of the eight bits of a byte, as its value. */
  bit(): number {
    return 1 << (this.#next() & 7);
  }

  /** A u32 (mulberry32). */
  #next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
