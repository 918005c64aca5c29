/**
 * Frames on their way from thread to thread: two buffers that are handed over, not copied.
 *
 * Why not send them as they are: a payload that came over the wire is a view of the buffer that the
 * socket filled, and cloning a view clones the whole buffer behind it, once for each frame; a
 * payload that comes from SQLite is a small buffer of its own, and thousands of those are slow to
 * clone and to free.
 */
import type { WireFrame } from '#protocol/messages.ts';
import type { StoredFrame } from './store.ts';

const NUMBERS_PER_FRAME = 5;

/** Frames of many batches, one behind the other. */
export interface PackedFrames {
  /** For each frame: seq, captured_at, CRC, payload offset, payload length. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly payloads: Uint8Array<ArrayBuffer>;
}

export function countOf({ numbers }: PackedFrames): number {
  return numbers.length / NUMBERS_PER_FRAME;
}

/** Puts frames of one batch after the other into memory of the size that they need. */
export class FramePacker {
  readonly #numbers: Float64Array<ArrayBuffer>;
  readonly #payloads: Uint8Array<ArrayBuffer>;
  #count = 0;
  #payloadBytes = 0;

  /** How many frames will be added, and the length of their payloads together. */
  constructor(frames: number, payloadBytes: number) {
    this.#numbers = new Float64Array(frames * NUMBERS_PER_FRAME);
    this.#payloads = new Uint8Array(payloadBytes);
  }

  /** Copies the frames; they need not be kept for this any more. */
  add(frames: readonly WireFrame[]): void {
    const numbers = this.#numbers;
    const payloads = this.#payloads;
    let at = this.#count * NUMBERS_PER_FRAME;
    let offset = this.#payloadBytes;
    for (const { seq, capturedAt, crc, payload } of frames) {
      numbers[at] = seq;
      numbers[at + 1] = capturedAt;
      numbers[at + 2] = crc;
      numbers[at + 3] = offset;
      numbers[at + 4] = payload.length;
      payloads.set(payload, offset);
      at += NUMBERS_PER_FRAME;
      offset += payload.length;
    }
    this.#count += frames.length;
    this.#payloadBytes = offset;
  }

  /** All of it, to be handed over; nothing may be added any more. */
  finish(): PackedFrames {
    return { numbers: this.#numbers, payloads: this.#payloads };
  }
}

/** Takes packed frames out again, in their order; payloads are views of what was packed. */
export class FrameUnpacker {
  readonly #packed: PackedFrames;
  #count = 0;

  constructor(packed: PackedFrames) {
    this.#packed = packed;
  }

  /** The next frames, so many. */
  take(count: number): WireFrame[] {
    const { numbers, payloads } = this.#packed;
    const frames: WireFrame[] = [];
    for (const end = this.#count + count; this.#count < end; this.#count += 1) {
      const at = this.#count * NUMBERS_PER_FRAME;
      const offset = numbers[at + 3] ?? 0;
      frames.push({
        seq: numbers[at] ?? 0,
        capturedAt: numbers[at + 1] ?? 0,
        crc: numbers[at + 2] ?? 0,
        payload: payloads.subarray(offset, offset + (numbers[at + 4] ?? 0)),
      });
    }
    return frames;
  }
}

/** Stored frames as they leave the reader: neighbours of one stream share its names. */
export interface PackedStored {
  readonly runs: readonly {
    readonly collector: string;
    readonly epoch: string;
    readonly count: number;
  }[];
  readonly packed: PackedFrames;
  readonly receivedAt: Float64Array<ArrayBuffer>;
}

export function packStored(frames: readonly StoredFrame[]): PackedStored {
  const runs: { collector: string; epoch: string; count: number }[] = [];
  for (const { collector, epoch } of frames) {
    const last = runs.at(-1);
    if (last?.collector === collector && last.epoch === epoch) last.count += 1;
    else runs.push({ collector, epoch, count: 1 });
  }
  const receivedAt = Float64Array.from(frames, (frame) => frame.receivedAt);
  const payloadBytes = frames.reduce((sum, { payload }) => sum + payload.length, 0);
  const packer = new FramePacker(frames.length, payloadBytes);
  packer.add(frames);
  return { runs, packed: packer.finish(), receivedAt };
}

export function unpackStored({ runs, packed, receivedAt }: PackedStored): StoredFrame[] {
  const frames: StoredFrame[] = [];
  const unpacker = new FrameUnpacker(packed);
  for (const { collector, epoch, count } of runs) {
    for (const frame of unpacker.take(count)) {
      frames.push({ ...frame, collector, epoch, receivedAt: receivedAt[frames.length] ?? 0 });
    }
  }
  return frames;
}

/** The buffers that can be handed over with a message. */
export function buffersOf({ packed, receivedAt }: PackedStored): ArrayBuffer[] {
  return [packed.numbers.buffer, packed.payloads.buffer, receivedAt.buffer];
}
