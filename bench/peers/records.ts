/**
 * The records that every peer is given: printable, so that each takes them as they are, their number
 * and capture time in front, and behind that letters without a pattern.
 *
 * A record follows from its number and its capture time alone.
 */
import { randomOf } from '../random.ts';
import { machineMs } from '../source/commands.ts';
import { RECORD_BYTES } from './peer.ts';

export interface RecordHead {
  readonly number: number;
  /** By {@link machineMs}. */
  readonly capturedAtMs: number;
}

const SEED = 2_026;
const NUMBER_DIGITS = 10;
const ZERO = 0x30;
/** Of microseconds. */
const TIME_DIGITS = 16;
const HEAD_BYTES = NUMBER_DIGITS + 1 + TIME_DIGITS + 1;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** No compressor of a peer looks back as far as this. */
const NOISE_BYTES = 1 << 20;
/** Between where two records in a row begin in the noise; shares no factor with its length. */
const NOISE_STEP = 104_729;
const NOISE = noiseOf(randomOf(SEED), NOISE_BYTES + RECORD_BYTES);

/** A buffer of its own. */
export function recordOf({ number, capturedAtMs }: RecordHead): Buffer {
  const record = Buffer.allocUnsafe(RECORD_BYTES);
  const capturedAtUs = Math.round(capturedAtMs * 1_000);
  const digits = [
    String(number).padStart(NUMBER_DIGITS, '0'),
    String(capturedAtUs).padStart(TIME_DIGITS, '0'),
  ];
  record.write(`${digits.join(' ')} `, 'latin1');
  const from = (number * NOISE_STEP) % NOISE_BYTES;
  NOISE.copy(record, HEAD_BYTES, from, from + RECORD_BYTES - HEAD_BYTES);
  return record;
}

/** A record captured now. */
export function recordNow(number: number): Buffer {
  return recordOf({ number, capturedAtMs: machineMs() });
}

/**
 * The number that a record says it has, without a look at the rest: cheap enough for each as it
 * arrives. NaN where the length or a digit of it is no record's.
 */
export function numberOf(bytes: Buffer): number {
  if (bytes.length !== RECORD_BYTES) return Number.NaN;
  let number = 0;
  for (let i = 0; i < NUMBER_DIGITS; i += 1) {
    const digit = (bytes[i] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    number = number * 10 + digit;
  }
  return number;
}

/** Undefined where the bytes are no record, changed on the way, or cut short. */
export function headOf(bytes: Buffer): RecordHead | undefined {
  if (bytes.length !== RECORD_BYTES) return undefined;
  const head = /^(\d{10}) (\d{16}) $/.exec(bytes.toString('latin1', 0, HEAD_BYTES));
  if (head === null) return undefined;
  const number = Number(head[1]);
  const from = (number * NOISE_STEP) % NOISE_BYTES;
  const noise = NOISE.subarray(from, from + RECORD_BYTES - HEAD_BYTES);
  if (bytes.compare(noise, 0, noise.length, HEAD_BYTES) !== 0) return undefined;
  return { number, capturedAtMs: Number(head[2]) / 1_000 };
}

function noiseOf(random: () => number, length: number): Buffer {
  const letters = Buffer.from(LETTERS, 'latin1');
  const noise = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i += 1) {
    noise[i] = letters[Math.floor(random() * letters.length)] ?? 0;
  }
  return noise;
}
