/**
 * The layout of a segment file: the header, the three kinds of record, and their encoding. The
 * byte tables with their reasons are in docs/queue-format.md. Not here: walking through a file
 * (`scan.ts`), what a segment is known to hold (`segment-index.ts`), and all policy.
 *
 * All integers are big-endian.
 *
 * Header, 20 bytes: magic `HFQSEG` + format version u16 | segment number u64 | CRC-32 of these 16.
 * The first 20 bytes keep this meaning in every version, so that an older program can tell a newer
 * file from a damaged one.
 *
 * Record: magic u32 (`HFQ` + kind) | body length u32 | position u32 | CRC-32 of body u32 | body.
 * - epoch: epoch 16 | next seq u64 | predecessor epoch 16 | predecessor's last seq u64. At the
 *   head of each segment that gets frames, so that an epoch stays known while any of it is left.
 * - frame: epoch 16 | seq u64 | captured_at u64 | payload. The CRC of this body is the frame's CRC
 *   (`protocol/identity.ts`): made here once, carried to the wire and to the store unchanged.
 * - gap: epoch 16 | from u64 | to u64 | reason u8.
 *
 * Invariants:
 * - `position` is the record's own offset in its file, so bytes that merely look like a record
 *   (a payload that holds a copy of a segment) are never taken for one after damage.
 * - The kinds' bytes differ in at least four bits: no small flip turns one kind into another.
 * - A record never spans segments. Within a queue, frames in file order have ascending identity:
 *   an epoch's frames are together, and its seqs ascend.
 */
import { crc32 } from 'node:zlib';
import {
  EPOCH_BYTES,
  type Epoch,
  PAYLOAD_BYTES_MAX,
  type Predecessor,
  readUint64,
  uuidFromBytes,
  writeUint64,
} from '#protocol/identity.ts';
import { GAP_REASONS, type GapReason } from '#protocol/settlement.ts';
import type { Gap } from './types.ts';

const FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 20;
export const RECORD_HEADER_BYTES = 16;

const SEGMENT_MAGIC = Buffer.from('HFQSEG');
/** What all record magics begin with: the needle of a search for the next good record. */
export const RECORD_MAGIC_PREFIX = Buffer.from('HFQ');

export const RECORD_MAGIC = {
  frame: 0x48465117,
  epoch: 0x4846512b,
  gap: 0x484651e8,
} as const;
export type RecordKind = keyof typeof RECORD_MAGIC;

export const FRAME_IDENTITY_BYTES = EPOCH_BYTES + 16;
const EPOCH_BODY_BYTES = EPOCH_BYTES + 8 + EPOCH_BYTES + 8;
const GAP_BODY_BYTES = EPOCH_BYTES + 17;

export const EPOCH_RECORD_BYTES = RECORD_HEADER_BYTES + EPOCH_BODY_BYTES;
export const GAP_RECORD_BYTES = RECORD_HEADER_BYTES + GAP_BODY_BYTES;
export const RECORD_BYTES_MAX = RECORD_HEADER_BYTES + FRAME_IDENTITY_BYTES + PAYLOAD_BYTES_MAX;

/** At how many bytes a segment is closed, unless a queue is told otherwise. */
export const SEGMENT_BYTES_DEFAULT = 16_777_216;

const NO_EPOCH = '00000000-0000-0000-0000-000000000000';

/** An epoch as a segment's head names it: `nextSeq` is the first that this segment may hold. */
export interface EpochRecord {
  readonly epoch: Epoch;
  readonly nextSeq: number;
  readonly predecessor: Predecessor | undefined;
}

export function frameRecordBytes(payloadBytes: number): number {
  return RECORD_HEADER_BYTES + FRAME_IDENTITY_BYTES + payloadBytes;
}

/** The body lengths that a kind may have, as [least, most]. */
export function bodyBytes(kind: RecordKind): readonly [number, number] {
  if (kind === 'frame') return [FRAME_IDENTITY_BYTES, FRAME_IDENTITY_BYTES + PAYLOAD_BYTES_MAX];
  const exact = kind === 'epoch' ? EPOCH_BODY_BYTES : GAP_BODY_BYTES;
  return [exact, exact];
}

export function kindOf(magic: number): RecordKind | undefined {
  if (magic === RECORD_MAGIC.frame) return 'frame';
  if (magic === RECORD_MAGIC.gap) return 'gap';
  return magic === RECORD_MAGIC.epoch ? 'epoch' : undefined;
}

/** More than a queue can ever make, and far from where numbers stop being exact. */
const SEGMENT_NUMBER_MAX = 999_999_999_999;
const SEGMENT_NAME = /^segment-(\d{20})\.log$/;

export function segmentName(number: number): string {
  return `segment-${String(number).padStart(20, '0')}.log`;
}

/** The number in a segment's file name; `undefined` for any other name. */
export function segmentNumber(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  return number <= SEGMENT_NUMBER_MAX ? number : undefined;
}

export function encodeSegmentHeader(number: number): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  SEGMENT_MAGIC.copy(header);
  header.writeUInt16BE(FORMAT_VERSION, 6);
  writeUint64(header, number, 8);
  header.writeUInt32BE(crc32(header.subarray(0, 16)), 16);
  return header;
}

/** What a segment's first bytes say. */
export type SegmentHeader =
  | { readonly state: 'good'; readonly number: number }
  | { readonly state: 'newer'; readonly version: number }
  | { readonly state: 'bad' };

/** Reads a header; fewer bytes than a header has are `bad`. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader {
  if (bytes.length < SEGMENT_HEADER_BYTES) return { state: 'bad' };
  if (!bytes.subarray(0, 6).equals(SEGMENT_MAGIC)) return { state: 'bad' };
  if (crc32(bytes.subarray(0, 16)) !== bytes.readUInt32BE(16)) return { state: 'bad' };
  const version = bytes.readUInt16BE(6);
  if (version > FORMAT_VERSION) return { state: 'newer', version };
  return version === FORMAT_VERSION
    ? { state: 'good', number: readUint64(bytes, 8) }
    : { state: 'bad' };
}

/** Completes a record whose body already lies at `at + RECORD_HEADER_BYTES`. Answers its CRC. */
function seal(
  target: Buffer,
  at: number,
  kind: RecordKind,
  position: number,
  length: number,
): number {
  const start = at + RECORD_HEADER_BYTES;
  const crc = crc32(target.subarray(start, start + length));
  target.writeUInt32BE(RECORD_MAGIC[kind], at);
  target.writeUInt32BE(length, at + 4);
  target.writeUInt32BE(position, at + 8);
  target.writeUInt32BE(crc, at + 12);
  return crc;
}

/**
 * Encodes a frame's record at `at`.
 * @param epochBytes The epoch's 16 bytes.
 * @param position The record's offset in its file.
 */
export function encodeFrame(
  target: Buffer,
  at: number,
  position: number,
  frame: { epochBytes: Buffer; seq: number; capturedAt: number; payload: Uint8Array },
): void {
  const body = at + RECORD_HEADER_BYTES;
  frame.epochBytes.copy(target, body);
  writeUint64(target, frame.seq, body + EPOCH_BYTES);
  writeUint64(target, frame.capturedAt, body + EPOCH_BYTES + 8);
  target.set(frame.payload, body + FRAME_IDENTITY_BYTES);
  seal(target, at, 'frame', position, FRAME_IDENTITY_BYTES + frame.payload.length);
}

export function encodeEpoch(
  target: Buffer,
  at: number,
  position: number,
  record: EpochRecord,
): void {
  const body = at + RECORD_HEADER_BYTES;
  writeUuid(target, body, record.epoch);
  writeUint64(target, record.nextSeq, body + EPOCH_BYTES);
  writeUuid(target, body + EPOCH_BYTES + 8, record.predecessor?.epoch ?? NO_EPOCH);
  writeUint64(target, record.predecessor?.lastSeq ?? 0, body + 2 * EPOCH_BYTES + 8);
  seal(target, at, 'epoch', position, EPOCH_BODY_BYTES);
}

export function encodeGap(target: Buffer, at: number, position: number, gap: Gap): void {
  const body = at + RECORD_HEADER_BYTES;
  writeUuid(target, body, gap.epoch);
  writeUint64(target, gap.from, body + EPOCH_BYTES);
  writeUint64(target, gap.to, body + EPOCH_BYTES + 8);
  target.writeUInt8(GAP_REASONS[gap.reason], body + EPOCH_BYTES + 16);
  seal(target, at, 'gap', position, GAP_BODY_BYTES);
}

/** A whole segment that holds gaps alone, and names the epoch of the opening that makes it. */
export function encodeGapSegment(
  number: number,
  epoch: EpochRecord | undefined,
  gaps: readonly Gap[],
): Buffer {
  const gapsAt = SEGMENT_HEADER_BYTES + (epoch === undefined ? 0 : EPOCH_RECORD_BYTES);
  const content = Buffer.alloc(gapsAt + gaps.length * GAP_RECORD_BYTES);
  encodeSegmentHeader(number).copy(content);
  if (epoch !== undefined) encodeEpoch(content, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES, epoch);
  gaps.forEach((gap, i) => {
    const at = gapsAt + i * GAP_RECORD_BYTES;
    encodeGap(content, at, at, gap);
  });
  return content;
}

/** Reads an epoch record's body at `body`; `undefined` when its values can't be. */
export function decodeEpoch(source: Buffer, body: number): EpochRecord | undefined {
  const nextSeq = readUint64(source, body + EPOCH_BYTES);
  const before = uuidFromBytes(source, body + EPOCH_BYTES + 8);
  const lastSeq = readUint64(source, body + 2 * EPOCH_BYTES + 8);
  if (!isSeq(nextSeq) || !Number.isSafeInteger(lastSeq)) return undefined;
  const predecessor = before === NO_EPOCH ? undefined : { epoch: before, lastSeq };
  return { epoch: uuidFromBytes(source, body), nextSeq, predecessor };
}

/** Reads a gap record's body at `body`; `undefined` when its values can't be. */
export function decodeGap(source: Buffer, body: number): Gap | undefined {
  const from = readUint64(source, body + EPOCH_BYTES);
  const to = readUint64(source, body + EPOCH_BYTES + 8);
  const reason = reasonOf(source.readUInt8(body + EPOCH_BYTES + 16));
  if (!isSeq(from) || !isSeq(to) || from > to || reason === undefined) return undefined;
  return { epoch: uuidFromBytes(source, body), from, to, reason };
}

/** The name of a gap reason's number. */
export function reasonOf(code: number): GapReason | undefined {
  for (const [reason, number] of Object.entries(GAP_REASONS)) {
    if (number === code) return reason as GapReason;
  }
  return undefined;
}

export function isSeq(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function writeUuid(target: Buffer, at: number, uuid: string): void {
  target.write(uuid.replaceAll('-', ''), at, EPOCH_BYTES, 'hex');
}
