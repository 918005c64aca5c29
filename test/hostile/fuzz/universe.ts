/**
 * What an honest collector of the fuzzer holds: three epochs, and for each seq of them one frame,
 * always the same. So whatever reaches a store can be told from what was made up on the way.
 */
import { FrameCrc } from '#protocol/identity.ts';
import type { EpochAnnouncement, WireFrame } from '#protocol/messages.ts';

export const EPOCHS = [
  '01938c5e-8a00-7000-8000-000000000001',
  '01938c5e-8a00-7000-8000-000000000002',
  '01938c5e-8a00-7000-8000-000000000003',
] as const;

/** Frames from here on are carried by messages that are broken alone: none of them may be stored. */
export const POISON_FROM = 100_000;
/** Frames from here on are made up, with a right CRC: a right message with them is right. */
export const MADE_UP_FROM = 200_000;

const CAPTURED_AT = 1_764_000_000_000_000;
const PAYLOAD_BYTES_MAX = 24;

const crcs = EPOCHS.map((epoch) => new FrameCrc(epoch));
const made = EPOCHS.map(() => new Map<number, WireFrame>());

/** The frame of an epoch's seq. */
export function frameAt(epochIndex: number, seq: number): WireFrame {
  const known = made[epochIndex]?.get(seq);
  if (known !== undefined) return known;
  const payload = Buffer.alloc(seq % PAYLOAD_BYTES_MAX, `${epochIndex}/${seq} `);
  const frame = signed(epochIndex, { seq, capturedAt: CAPTURED_AT + seq * 1_000, payload });
  if (seq < POISON_FROM) made[epochIndex]?.set(seq, frame);
  return frame;
}

export function framesFrom(epochIndex: number, seq: number, count: number): WireFrame[] {
  return Array.from({ length: count }, (_, i) => frameAt(epochIndex, seq + i));
}

/** A frame with any values and the CRC that is right for them. */
export function signed(epochIndex: number, frame: Omit<WireFrame, 'crc'>): WireFrame {
  const { seq, capturedAt, payload } = frame;
  return { ...frame, crc: crcs[epochIndex]?.of(seq, capturedAt, payload) ?? 0 };
}

/** True for a frame that is, bit for bit, what the honest collector has under this identity. */
export function isHonest(epoch: string, frame: WireFrame): boolean {
  const epochIndex = EPOCHS.indexOf(epoch as (typeof EPOCHS)[number]);
  if (epochIndex < 0 || frame.seq >= POISON_FROM) return false;
  const honest = frameAt(epochIndex, frame.seq);
  return (
    honest.crc === frame.crc &&
    honest.capturedAt === frame.capturedAt &&
    Buffer.compare(honest.payload, frame.payload) === 0
  );
}

export function announcementOf(epochIndex: number): EpochAnnouncement {
  const epoch = EPOCHS[epochIndex] ?? EPOCHS[0];
  const before = EPOCHS[epochIndex - 1];
  const predecessor = before === undefined ? undefined : { epoch: before, lastSeq: 40 };
  return { epoch, lowest: 1, highest: 40, predecessor };
}
