/**
 * What is known of one time bucket of one collector: for each series the least, the greatest, the
 * mean, how many and how many late. In memory and as bytes. Pure.
 *
 * The bytes (docs/series.md): CRC-32 of what follows (u32, little endian); number of frames; where that
 * is 1, the frame's time behind the bucket's start in microseconds; then for each series, ascending by
 * number: its number minus the one before, count × 4 + 2 if all values are the same + 1 if any was
 * late, the late count if so, then the value, or least, greatest and mean. Whole numbers are LEB128;
 * values are a head byte (decimals, sign, bytes of magnitude) and their decimal digits as a little-endian
 * whole number, or 0xff and a double. Most measured values are short decimals.
 */
import { crc32 } from 'node:zlib';

/** One series within one bucket. */
export interface Summary {
  min: number;
  max: number;
  mean: number;
  count: number;
  /** How many of them reached the server late. */
  late: number;
}

export interface Bucket {
  frames: number;
  /** Of a lone frame: its capture time behind the bucket's start, in microseconds. */
  offsetUs: number;
  readonly series: Map<number, Summary>;
}

/** The bytes are not what was written. */
export class BucketDamage extends Error {
  override readonly name = 'BucketDamage';
}

const CRC_BYTES = 4;
const PLAIN_DOUBLE = 0xff;
const DECIMALS_MAX = 6;
const POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6] as const;
const SERIES_BYTES_MAX = 5 + 8 + 8 + 3 * 9;

export function mergeSummary(into: Summary, added: Summary): void {
  const count = into.count + added.count;
  if (added.min < into.min) into.min = added.min;
  if (added.max > into.max) into.max = added.max;
  // A weighted mean of the two: unlike a sum, it never leaves the range of doubles.
  const mean = into.mean * (into.count / count) + added.mean * (added.count / count);
  into.mean = Math.min(Math.max(mean, into.min), into.max);
  into.count = count;
  into.late += added.late;
}

/** Adds the summaries of more frames. */
export function mergeInto(bucket: Bucket, series: ReadonlyMap<number, Summary>): void {
  for (const [number, summary] of series) {
    const known = bucket.series.get(number);
    if (known === undefined) bucket.series.set(number, { ...summary });
    else mergeSummary(known, summary);
  }
}

export function encodeBucket({ frames, offsetUs, series }: Bucket): Uint8Array {
  const writer = new Writer(CRC_BYTES + 2 * 8 + series.size * SERIES_BYTES_MAX);
  writer.whole(frames);
  if (frames === 1) writer.whole(offsetUs);
  let before = 0;
  for (const number of [...series.keys()].sort((a, b) => a - b)) {
    const summary = series.get(number) as Summary;
    writer.whole(number - before);
    before = number;
    const same = summary.min === summary.max;
    writer.whole(summary.count * 4 + (same ? 2 : 0) + (summary.late > 0 ? 1 : 0));
    if (summary.late > 0) writer.whole(summary.late);
    writer.value(summary.min);
    if (same) continue;
    writer.value(summary.max);
    writer.value(summary.mean);
  }
  return writer.finish();
}

/** Throws {@link BucketDamage}. */
export function decodeBucket(bytes: Uint8Array): Bucket {
  const series = new Map<number, Summary>();
  const head = readBucket(bytes, undefined, (number, summary) => series.set(number, summary));
  return { ...head, series };
}

/**
 * Gives each of the wanted series that the bucket has, in their order; all when it is undefined.
 * Throws {@link BucketDamage}.
 */
export function readBucket(
  bytes: Uint8Array,
  wanted: { has(series: number): boolean } | undefined,
  each: (series: number, summary: Summary) => void,
): { frames: number; offsetUs: number } {
  const reader = new Reader(bytes);
  const frames = reader.whole();
  const offsetUs = frames === 1 ? reader.whole() : 0;
  let number = 0;
  while (!reader.atEnd) {
    number += reader.whole();
    const head = reader.whole();
    const late = head % 2 === 1 ? reader.whole() : 0;
    const same = Math.floor(head / 2) % 2 === 1;
    if (wanted?.has(number) === false) {
      for (let left = same ? 1 : 3; left > 0; left -= 1) reader.skipValue();
      continue;
    }
    const min = reader.value();
    const max = same ? min : reader.value();
    const mean = same ? min : reader.value();
    each(number, { min, max, mean, count: Math.floor(head / 4), late });
  }
  return { frames, offsetUs };
}

/** True for the bytes of a bucket with one frame; cheap, and checks nothing. */
export function isLone(bytes: Uint8Array): boolean {
  return bytes[CRC_BYTES] === 1;
}

class Writer {
  readonly #bytes: Buffer;
  #at = CRC_BYTES;

  constructor(bytesMax: number) {
    this.#bytes = Buffer.allocUnsafe(bytesMax);
  }

  whole(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 0x80) + 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#at++] = rest;
  }

  value(value: number): void {
    const size = Math.abs(value);
    for (let decimals = 0; decimals <= DECIMALS_MAX; decimals += 1) {
      const power = POWERS[decimals] ?? 1;
      const digits = Math.round(size * power);
      if (digits > Number.MAX_SAFE_INTEGER) break;
      if (digits / power === size) return this.#decimal(digits, decimals, value < 0);
    }
    this.#bytes[this.#at++] = PLAIN_DOUBLE;
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  finish(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#at);
    bytes.writeUInt32LE(crc32(bytes.subarray(CRC_BYTES)));
    return bytes;
  }

  #decimal(digits: number, decimals: number, negative: boolean): void {
    const head = this.#at++;
    for (let rest = digits; rest > 0; rest = Math.floor(rest / 0x100)) {
      this.#bytes[this.#at++] = rest % 0x100;
    }
    const length = this.#at - head - 1;
    this.#bytes[head] = length * 16 + (negative ? 8 : 0) + decimals;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = CRC_BYTES;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const whole =
      bytes.length > CRC_BYTES &&
      this.#view.getUint32(0, true) === crc32(bytes.subarray(CRC_BYTES));
    if (!whole) throw new BucketDamage('a bucket does not match its CRC');
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  whole(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#byte();
      if (byte < 0x80) return value + byte * scale;
      value += (byte - 0x80) * scale;
    }
  }

  value(): number {
    const head = this.#byte();
    if (head === PLAIN_DOUBLE) {
      const value = this.#view.getFloat64(this.#at, true);
      this.#at += 8;
      return value;
    }
    let digits = 0;
    let scale = 1;
    for (let left = head >> 4; left > 0; left -= 1) {
      digits += this.#byte() * scale;
      scale *= 0x100;
    }
    const size = digits / (POWERS[head & 7] ?? 1);
    return head & 8 ? -size : size;
  }

  skipValue(): void {
    const head = this.#byte();
    this.#at += head === PLAIN_DOUBLE ? 8 : head >> 4;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new BucketDamage('a bucket ends too soon');
    this.#at += 1;
    return byte;
  }
}
