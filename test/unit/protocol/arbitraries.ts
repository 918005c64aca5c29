/** Random right messages for fast-check, of every kind; nothing of tests themselves. */
import fc from 'fast-check';
import { CAPTURED_AT_MAX, SEQ_MAX } from '#protocol/identity.ts';
import { BYE_REASONS, type Message, type WireFrame } from '#protocol/messages.ts';
import { GAP_REASONS, REJECT_CODES, SETTLED_STATES } from '#protocol/settlement.ts';

const seq = fc.integer({ min: 1, max: SEQ_MAX });
const count = fc.integer({ min: 0, max: SEQ_MAX });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const uuid = fc.uuid().filter((text) => !text.startsWith('00000000'));
const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
const keyOf = <Key extends string>(table: Readonly<Record<Key, number>>) =>
  fc.constantFrom(...(Object.keys(table) as Key[]));
const range = fc.tuple(seq, seq).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));

const predecessor = fc.option(fc.record({ epoch: uuid, lastSeq: count }), { nil: undefined });
const announcement = fc
  .record({ epoch: uuid, bounds: fc.tuple(count, count), predecessor })
  .filter(({ epoch, predecessor: before }) => before?.epoch !== epoch)
  .map(({ epoch, bounds: [a, b], predecessor: before }) => ({
    epoch,
    lowest: Math.max(1, Math.min(a, b)),
    highest: Math.max(a, b),
    predecessor: before,
  }));
const announcements = fc.array(announcement, { maxLength: 64 });
const settled = fc.array(
  fc
    .record({
      epochIndex: count,
      range,
      state: fc.constantFrom(...SETTLED_STATES),
      code: fc.integer({ min: 0, max: 255 }),
    })
    .map(({ range: { from, to }, ...rest }) => ({ ...rest, from, to })),
  { maxLength: 64 },
);

export const wireFrames: fc.Arbitrary<WireFrame[]> = fc
  .uniqueArray(
    fc.record({
      seq,
      capturedAt: fc.integer({ min: 0, max: CAPTURED_AT_MAX }),
      crc: uint32,
      payload: fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
    }),
    { selector: (frame) => frame.seq, minLength: 1, maxLength: 40 },
  )
  .map((frames) => frames.sort((a, b) => a.seq - b.seq));

const heartbeat = {
  id: count,
  bytesReceived: count,
  highest: fc.option(fc.record({ epochIndex: count, seq: count }), { nil: undefined }),
};
const text = fc.string({ unit: 'grapheme', maxLength: 60 });

/** Every kind of message, within every limit. */
export const messages: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: fc.constant('greeting' as const),
    versions: fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 255 }),
    nonce: bytes(32),
    storeId: uuid,
  }),
  fc.record({
    kind: fc.constant('hello' as const),
    version: fc.integer({ min: 0, max: 0xffff }),
    collector: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,63}$/),
    instance: uuid,
    nonce: bytes(32),
    more: fc.boolean(),
    epochs: announcements,
    mac: bytes(32),
  }),
  fc.record({
    kind: fc.constant('welcome' as const),
    heartbeatIntervalMs: uint32,
    retrySpreadMs: uint32,
    retryCapMs: uint32,
    payloadBytesMax: uint32,
    windowBytesMax: uint32,
    zstd: fc.boolean(),
    settled,
    mac: bytes(32),
  }),
  fc.record({ kind: fc.constant('epochs' as const), more: fc.boolean(), epochs: announcements }),
  fc.record({ kind: fc.constant('settled' as const), firstEpochIndex: uint32, settled }),
  fc.record({ kind: fc.constant('frames' as const), epochIndex: uint32, frames: wireFrames }),
  fc.record({
    kind: fc.constant('gap' as const),
    gaps: fc.array(
      fc
        .record({ epochIndex: count, range, reason: keyOf(GAP_REASONS) })
        .map(({ range: { from, to }, ...rest }) => ({ ...rest, from, to })),
      { maxLength: 64 },
    ),
  }),
  fc.record({ kind: fc.constant('ack' as const), settled }),
  fc.record({
    kind: fc.constant('reject' as const),
    epochIndex: count,
    seq,
    code: keyOf(REJECT_CODES),
    text,
  }),
  fc.record({ kind: fc.constant('ping' as const), ...heartbeat }),
  fc.record({ kind: fc.constant('pong' as const), ...heartbeat }),
  fc.record({
    kind: fc.constant('bye' as const),
    reason: keyOf(BYE_REASONS),
    retryAfterMs: uint32,
    text,
  }),
);
