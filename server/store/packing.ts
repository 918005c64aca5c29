/**
 * Frames on their way to the writer's thread: two buffers that are handed over, not copied.
 *
 * Why not send them as they are: a payload is a view of the buffer that the socket filled, and
 * cloning a view clones the whole buffer behind it, once for each frame.
 */
import type { WireFrame } from '#protocol/messages.ts';

const NUMBERS_PER_FRAME = 5;

/** Frames of many batches, one behind the other. */
export interface PackedFrames {
  /** For each frame: seq, captured_at, CRC, payload offset, payload length. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly payloads: Uint8Array<ArrayBuffer>;
}

/** Which frames of a {@link PackedFrames}. */
export interface PackedSlice {
  readonly start: number;
  readonly count: number;
}

export function packFrames(batches: readonly (readonly WireFrame[])[]): PackedFrames {
  let count = 0;
  let payloadBytes = 0;
  for (const frames of batches) {
    count += frames.length;
    for (const frame of frames) payloadBytes += frame.payload.length;
  }
  const numbers = new Float64Array(count * NUMBERS_PER_FRAME);
  const payloads = new Uint8Array(payloadBytes);
  let at = 0;
  let offset = 0;
  for (const frames of batches) {
    for (const { seq, capturedAt, crc, payload } of frames) {
      numbers.set([seq, capturedAt, crc, offset, payload.length], at);
      payloads.set(payload, offset);
      at += NUMBERS_PER_FRAME;
      offset += payload.length;
    }
  }
  return { numbers, payloads };
}

export function unpackFrames(packed: PackedFrames, slice: PackedSlice): WireFrame[] {
  const frames: WireFrame[] = [];
  for (let index = slice.start; index < slice.start + slice.count; index += 1) {
    const at = index * NUMBERS_PER_FRAME;
    const [seq = 0, capturedAt = 0, crc = 0, offset = 0, length = 0] = packed.numbers.subarray(
      at,
      at + NUMBERS_PER_FRAME,
    );
    const payload = packed.payloads.subarray(offset, offset + length);
    frames.push({ seq, capturedAt, crc, payload });
  }
  return frames;
}
