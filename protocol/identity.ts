/**
 * What a frame is: (collector, epoch, seq) for life, with its capture time, its bytes and the
 * CRC-32 that binds them.
 *
 * Lives here: the types, ranges and text forms of the parts of an identity, and the frame's CRC.
 * Not here: how a frame lies on disk (`collector/producer/segment.ts`) or on the wire
 * (`frames.ts`); both carry this CRC unchanged.
 */
import { crc32 } from 'node:zlib';

/** An epoch's length on disk and on the wire, in bytes (a UUID). */
export const EPOCH_BYTES = 16;
/** The highest seq and the latest capture time: what a JS number holds exactly. */
export const SEQ_MAX = Number.MAX_SAFE_INTEGER;
export const CAPTURED_AT_MAX = Number.MAX_SAFE_INTEGER;
/** A frame's payload, in bytes. One MiB keeps the memory of a connection small and known. */
export const PAYLOAD_BYTES_MAX = 1_048_576;

/**
 * One opening of a queue by a writer: a UUIDv7 in its canonical lower-case text form
 * (36 characters). As text it is a map key and goes into JSON as it is.
 */
export type Epoch = string;

/** A frame as every room sees it. Nothing in it changes after `append` has made it. */
export interface Frame {
  readonly epoch: Epoch;
  /** 1, 2, 3 … within the epoch. */
  readonly seq: number;
  /** Microseconds since 1970-01-01 UTC, 0 to 2^53 − 1 (the year 2255). */
  readonly capturedAt: number;
  /** CRC-32 over epoch, seq, captured_at and payload; see {@link frameCrc}. */
  readonly crc: number;
  /** 0 to PAYLOAD_BYTES_MAX opaque bytes. */
  readonly payload: Uint8Array;
}

/** The epoch that wrote to the same queue before, and its last seq. */
export interface Predecessor {
  readonly epoch: Epoch;
  readonly lastSeq: number;
}

export const COLLECTOR_ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The rule for collector ids, in words for messages. */
export const COLLECTOR_ID_RULE =
  '1 to 64 of a-z, 0-9, ".", "_" and "-", beginning with a letter or a digit';

export function isCollectorId(text: string): boolean {
  return COLLECTOR_ID.test(text);
}

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The 16 bytes of a UUID in canonical text form. */
export function uuidToBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** The canonical text form of the 16 bytes at `offset`. */
export function uuidFromBytes(bytes: Uint8Array, offset = 0): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset + offset, EPOCH_BYTES).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * Makes frame CRCs for one epoch, without an allocation per frame.
 *
 * The CRC-32 (zlib's polynomial) runs over: epoch (16 bytes), seq (u64), captured_at (u64), all
 * big-endian, then the payload.
 */
export class FrameCrc {
  readonly #crcOfEpoch: number;

  constructor(epoch: Epoch) {
    this.#crcOfEpoch = crc32(uuidToBytes(epoch));
  }

  of(seq: number, capturedAt: number, payload: Uint8Array): number {
    const register = crcOver64(crcOver64(~this.#crcOfEpoch, seq), capturedAt);
    return crc32(payload, ~register >>> 0);
  }
}

/** The CRC-32 register after each single byte. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let register = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    register = (register >>> 1) ^ ((register & 1) === 0 ? 0 : 0xedb8_8320);
  }
  return register;
});

/**
 * The CRC-32 register after the eight bytes of a big-endian u64. By hand, because a call into zlib
 * costs many times what these few bytes do.
 */
function crcOver64(register: number, value: number): number {
  const high = Math.floor(value / 0x1_0000_0000);
  return crcOver32(crcOver32(register, high), value - high * 0x1_0000_0000);
}

function crcOver32(register: number, value: number): number {
  let crc = register;
  for (let shift = 24; shift >= 0; shift -= 8) {
    crc = (CRC_TABLE[(crc ^ (value >>> shift)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return crc;
}

/** The CRC of a single frame; for many of one epoch use {@link FrameCrc}. */
export function frameCrc(frame: Omit<Frame, 'crc'>): number {
  return new FrameCrc(frame.epoch).of(frame.seq, frame.capturedAt, frame.payload);
}

/** Writes a safe integer ≥ 0 as a big-endian u64. */
export function writeUint64(target: Buffer, value: number, offset: number): number {
  const high = Math.floor(value / 0x1_0000_0000);
  target.writeUInt32BE(high, offset);
  return target.writeUInt32BE(value - high * 0x1_0000_0000, offset + 4);
}

/** Reads a big-endian u64; above 2^53 − 1 the result is not a safe integer, which callers check. */
export function readUint64(source: Buffer, offset: number): number {
  return source.readUInt32BE(offset) * 0x1_0000_0000 + source.readUInt32BE(offset + 4);
}

/** RFC 3339 in UTC with microseconds, e.g. `2026-11-21T08:12:17.000123Z`. */
export function formatTime(timeUs: number): string {
  const wholeMs = Math.floor(timeUs / 1000);
  const restUs = String(timeUs - wholeMs * 1000).padStart(3, '0');
  return new Date(wholeMs).toISOString().replace('Z', `${restUs}Z`);
}

/** A CRC-32 as eight hexadecimal digits. */
export function formatCrc(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
