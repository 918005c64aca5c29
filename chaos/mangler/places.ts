/** Where to bite, from a seed alone: the same seed, connection and direction give the same places. */
import { laneFrom } from '../random.ts';
import type { Direction } from './rules.ts';

export class Places {
  readonly #everyBytes: number;
  readonly #next: () => number;

  /** `connection` counts the connections that the rule has met, in their order. */
  constructor(seed: number, connection: number, direction: Direction, everyBytes: number) {
    this.#everyBytes = everyBytes;
    const lane = 2 * connection + (direction === 'upstream' ? 0 : 1);
    this.#next = laneFrom(seed, lane);
  }

  /** Bytes to the next place: 1 to twice the mean, less one. */
  gap(): number {
    return 1 + (this.#next() % (2 * this.#everyBytes - 1));
  }

  /** One of the eight bits of a byte, as its value. */
  bit(): number {
    return 1 << (this.#next() & 7);
  }
}
