/**
 * Random payloads: the bytes of attempt n follow from the seed and n alone, whatever happened
 * before, so a run can be made again and a restarted source doesn't repeat itself.
 *
 * A payload of 16 bytes or more opens with its own id, seed and n, and so exists once. Shorter
 * ones can't carry one; they are told apart by their capture time.
 */

import { laneFrom } from '../random.ts';

/** "HFLD", seed u32, n u64: big-endian. */
const ID_BYTES = 16;
const ID_MAGIC = 0x48_46_4c_44;

/** One payload in this many has exactly the smallest or the largest size of its range. */
const EDGE_SHARE = 16;

const WORDS = Buffer.from('{"name":"system.cpu.utilization","unit":"1","value":0.125}, ');

/** Sizes from `min` to `max` bytes, drawn as often as `weight` says beside the other ranges. */
export interface SizeRange {
  readonly min: number;
  readonly max: number;
  readonly weight: number;
}

export interface PayloadMix {
  /** At least one. */
  readonly sizes: readonly SizeRange[];
  /** How many of 100 payloads no compressor gets smaller. */
  readonly incompressiblePercent: number;
}

export class Payloads {
  readonly #seed: number;
  readonly #mix: PayloadMix;
  readonly #weightTotal: number;

  /** `seed` is a u32. */
  constructor(seed: number, mix: PayloadMix) {
    this.#seed = seed;
    this.#mix = mix;
    this.#weightTotal = mix.sizes.reduce((sum, { weight }) => sum + weight, 0);
  }

  /** The payload of attempt n; a buffer of its own. */
  of(n: number): Buffer {
    const random = laneFrom(this.#seed, n);
    const bytes = this.#size(random);
    const plain = random() % 100 >= this.#mix.incompressiblePercent;
    const payload = plain ? Buffer.alloc(bytes, WORDS) : noise(bytes, random);
    if (bytes < ID_BYTES) return payload;
    payload.writeUInt32BE(ID_MAGIC, 0);
    payload.writeUInt32BE(this.#seed, 4);
    payload.writeBigUInt64BE(BigInt(n), 8);
    return payload;
  }

  #size(random: () => number): number {
    let left = random() % this.#weightTotal;
    for (const { min, max, weight } of this.#mix.sizes) {
      left -= weight;
      if (left >= 0) continue;
      const edge = random() % (2 * EDGE_SHARE);
      if (edge < 2) return edge === 0 ? min : max;
      return min + (random() % (max - min + 1));
    }
    throw new RangeError('a mix of payloads needs a range with a weight');
  }
}

function noise(bytes: number, random: () => number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let at = 0; at < words.length; at += 1) words[at] = random();
  return Buffer.from(words.buffer, 0, bytes);
}
