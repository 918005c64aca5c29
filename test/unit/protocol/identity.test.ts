/** Identities and their text forms. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatTime,
  frameCrc,
  isCollectorId,
  isUuid,
  uuidFromBytes,
  uuidToBytes,
} from '#protocol/identity.ts';
import { seeded } from '#test/unit/seed.ts';

const EPOCH = '01938c5e-8a00-7000-8000-000000000001';
const frame = {
  epoch: EPOCH,
  seq: 5,
  capturedAt: 1_764_000_000_000_001,
  payload: Buffer.from('x'),
};

test('a UUID survives the way to bytes and back, at any offset', () => {
  expect(uuidFromBytes(uuidToBytes(EPOCH))).toBe(EPOCH);
  expect(uuidFromBytes(Buffer.concat([Buffer.alloc(3), uuidToBytes(EPOCH)]), 3)).toBe(EPOCH);
  expect(isUuid(EPOCH)).toBe(true);
  expect(isUuid(EPOCH.toUpperCase())).toBe(false);
});

test('times keep their microseconds', () => {
  expect(formatTime(1_764_000_000_000_001)).toBe('2025-11-24T16:00:00.000001Z');
  expect(formatTime(0)).toBe('1970-01-01T00:00:00.000000Z');
  expect(formatTime(Number.MAX_SAFE_INTEGER)).toBe('2255-06-05T23:47:34.740991Z');
});

test("a frame's CRC covers each part of it", () => {
  const crc = frameCrc(frame);
  expect(frameCrc({ ...frame, seq: 6 })).not.toBe(crc);
  expect(frameCrc({ ...frame, capturedAt: frame.capturedAt + 1 })).not.toBe(crc);
  expect(frameCrc({ ...frame, payload: Buffer.from('y') })).not.toBe(crc);
  expect(frameCrc({ ...frame, epoch: EPOCH.replace('1', '2') })).not.toBe(crc);
});

test("a frame's CRC is zlib's over its parts, one behind the other", () => {
  const number = fc.maxSafeNat();
  fc.assert(
    fc.property(fc.uuid(), number, number, fc.uint8Array(), (epoch, seq, capturedAt, payload) => {
      const numbers = Buffer.alloc(16);
      numbers.writeBigUInt64BE(BigInt(seq), 0);
      numbers.writeBigUInt64BE(BigInt(capturedAt), 8);
      const whole = crc32(Buffer.concat([uuidToBytes(epoch), numbers, payload]));
      expect(frameCrc({ epoch, seq, capturedAt, payload })).toBe(whole);
    }),
    seeded(),
  );
});

test('collector ids are plain', () => {
  expect(['a', '7', 'press-7.hall_b', 'a'.repeat(64)].every(isCollectorId)).toBe(true);
  expect(['', '.a', '-a', 'A', 'a b', 'a/b', 'a'.repeat(65)].some(isCollectorId)).toBe(false);
});
