/** Identities and their text forms. */
import { expect, test } from 'vitest';
import {
  formatTime,
  frameCrc,
  isCollectorId,
  isUuid,
  uuidFromBytes,
  uuidToBytes,
} from '#protocol/identity.ts';

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

test('collector ids are plain', () => {
  expect(['a', '7', 'press-7.hall_b', 'a'.repeat(64)].every(isCollectorId)).toBe(true);
  expect(['', '.a', '-a', 'A', 'a b', 'a/b', 'a'.repeat(65)].some(isCollectorId)).toBe(false);
});
