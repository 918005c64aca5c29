/**
 * The FRAMES body: many frames of one epoch in few bytes.
 *
 * Seqs and capture times are written as differences to the frame before, as varints: a frame of a
 * steady source costs 8 to 10 bytes beside its payload, which is what thin links are measured by.
 * The frame's own CRC travels with it, unchanged since `append`.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { ByteReader, ByteWriter, VARINT_BYTES_MAX, writeVarint, writeZigzag } from './bytes.ts';
import { ProtocolError } from './errors.ts';
import { CAPTURED_AT_MAX, PAYLOAD_BYTES_MAX } from './identity.ts';
import { FRAMES_PER_MESSAGE_MAX, ZSTD_WINDOW_LOG_MAX } from './limits.ts';
import type { Frames, WireFrame } from './messages.ts';
import { endOfZstdFrame } from './zstd.ts';

/** The frames of this body are compressed with zstd. */
const FLAG_ZSTD = 1;

/** The most that one frame costs beside its payload: three varints and the CRC. */
const FRAME_OVERHEAD_BYTES_MAX = 3 * VARINT_BYTES_MAX + 4;

/** The decoded length, in front of the frames. */
const LENGTH_BYTES = 4;

/** Level 1: on the links where compression matters the link is slow, not the CPU. */
const ZSTD_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** A decoder takes as much memory as a frame's window says; by itself up to 128 MiB. */
const UNZSTD_OPTIONS = {
  params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
};

/** Puts the body behind what the writer holds, and answers the flags that go with it. */
export function writeFrames(writer: ByteWriter, message: Frames, compress: boolean): number {
  const { epochIndex, frames } = message;
  writer.uint32(epochIndex).uint32(frames.length);
  const lengthMax = frameDataLengthMax(frames);
  if (compress) {
    const plain = new ByteWriter(lengthMax);
    const data = plain.direct(lengthMax, (to, at) => writeFrameData(to, at, frames)).finish();
    const packed = zstdCompressSync(data, ZSTD_OPTIONS);
    const smaller = packed.length < data.length;
    writer.uint32(data.length).bytes(smaller ? packed : data);
    return smaller ? FLAG_ZSTD : 0;
  }
  writer.direct(LENGTH_BYTES + lengthMax, (target, start) => {
    const end = writeFrameData(target, start + LENGTH_BYTES, frames);
    target.writeUInt32BE(end - start - LENGTH_BYTES, start);
    return end;
  });
  return 0;
}

function frameDataLengthMax(frames: readonly WireFrame[]): number {
  let bytes = frames.length * FRAME_OVERHEAD_BYTES_MAX;
  for (const { payload } of frames) bytes += payload.length;
  return bytes;
}

/** Field by field into memory that is long enough: this is where a drain spends its time. */
function writeFrameData(target: Buffer, start: number, frames: readonly WireFrame[]): number {
  let at = start;
  let seq = 0;
  let capturedAt = 0;
  for (const frame of frames) {
    const { crc, payload } = frame;
    at = writeVarint(target, frame.seq - seq, at);
    at = writeZigzag(target, frame.capturedAt - capturedAt, at);
    at = writeVarint(target, payload.length, at);
    at = target.writeUInt32BE(crc, at);
    target.set(payload, at);
    at += payload.length;
    seq = frame.seq;
    capturedAt = frame.capturedAt;
  }
  return at;
}

/** Throws ProtocolError `flags`, `decode`, `size` or `compression`. Payloads are views. */
export function decodeFrames(flags: number, body: Buffer, decodedBytesMax: number): Frames {
  if ((flags & ~FLAG_ZSTD) !== 0) throw new ProtocolError('flags', `flags ${flags} on FRAMES`);
  const head = new ByteReader(body);
  const epochIndex = head.uint32();
  const count = head.uint32();
  const decodedLength = head.uint32();
  if (count < 1 || count > FRAMES_PER_MESSAGE_MAX) {
    throw new ProtocolError('decode', `${count} frames, not 1 to ${FRAMES_PER_MESSAGE_MAX}`);
  }
  if (decodedLength > decodedBytesMax) {
    throw new ProtocolError('size', `${decodedLength} decoded bytes, over ${decodedBytesMax}`);
  }
  const packed = head.rest();
  const data = (flags & FLAG_ZSTD) === 0 ? packed : inflate(packed, decodedLength);
  if (data.length !== decodedLength) {
    throw new ProtocolError('decode', `${data.length} bytes of frames, not ${decodedLength}`);
  }
  return { kind: 'frames', epochIndex, frames: decodeFrameData(data, count) };
}

/** The data of one zstd frame that is the whole of what is packed. */
function inflate(packed: Buffer, decodedLength: number): Buffer {
  if (endOfZstdFrame(packed) !== packed.length) {
    throw new ProtocolError(
      'compression',
      'a compressed body is not one zstd frame, and all of it',
    );
  }
  try {
    const maxOutputLength = Math.max(1, decodedLength);
    return zstdDecompressSync(packed, { ...UNZSTD_OPTIONS, maxOutputLength });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProtocolError('compression', `zstd: ${reason}`);
  }
}

function decodeFrameData(data: Buffer, count: number): WireFrame[] {
  const reader = new ByteReader(data);
  const frames: WireFrame[] = [];
  let seq = 0;
  let capturedAt = 0;
  for (let i = 0; i < count; i += 1) {
    const step = reader.varint();
    seq += step;
    if (step < 1 || !Number.isSafeInteger(seq)) {
      throw new ProtocolError('decode', `seq ${seq} does not ascend`);
    }
    capturedAt += reader.zigzag();
    if (capturedAt < 0 || capturedAt > CAPTURED_AT_MAX) {
      throw new ProtocolError('decode', `captured_at ${capturedAt} is out of range`);
    }
    const length = reader.varint();
    if (length > PAYLOAD_BYTES_MAX) {
      throw new ProtocolError('size', `a payload of ${length} bytes, over ${PAYLOAD_BYTES_MAX}`);
    }
    const crc = reader.uint32();
    frames.push({ seq, capturedAt, crc, payload: reader.bytes(length) });
  }
  reader.end();
  return frames;
}
