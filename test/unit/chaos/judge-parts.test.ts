/** The judge's own time, checksum and intervals, held against the product's and the golden vectors. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameChecksum } from '#chaos/oracle/checksum.ts';
import { intervals } from '#chaos/oracle/intervals.ts';
import { formatTime, parseTime } from '#chaos/oracle/time.ts';
import { frameCrc, formatTime as productTime } from '#protocol/identity.ts';
import vectors from '#protocol/vectors/frame-crc.json' with { type: 'json' };
import { seeded } from '../seed.ts';

const timesUs = fc.integer({ min: 0, max: 8_000_000_000_000_000 });

test('a time reads as it was written, to the microsecond, by either hand', () => {
  fc.assert(
    fc.property(timesUs, (timeUs) => {
      expect(parseTime(productTime(timeUs))).toBe(timeUs);
      expect(formatTime(timeUs)).toBe(productTime(timeUs));
    }),
    seeded(),
  );
});

test.each([
  '2026-02-30T00:00:00.000000Z',
  '2026-13-01T00:00:00Z',
  '2026-01-01T24:00:00Z',
  '2026-01-01T00:00:75Z',
  '2026-01-01T00:00:00.0000001Z',
  '2026-01-01T00:00:00+00:00',
  '2026-01-01 00:00:00Z',
  '1795248000',
  '',
])('%j is no time', (text) => {
  expect(parseTime(text)).toBeNaN();
});

test('a leap day reads', () => {
  expect(formatTime(parseTime('2028-02-29T23:59:59.999999Z'))).toBe('2028-02-29T23:59:59.999999Z');
});

test.each(vectors.frames)('the checksum is the golden one: $crc', (frame) => {
  const payload = Buffer.from(frame.payload, 'hex');
  expect(frameChecksum(frame.epoch, frame.seq, frame.capturedAt, payload)).toBe(frame.crc);
});

test('the checksum is the one that the collector makes', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.maxSafeNat(), timesUs, fc.uint8Array(), (epoch, seq, at, payload) => {
      const crc = frameCrc({ epoch, seq, capturedAt: at, payload });
      expect(frameChecksum(epoch, seq, at, payload)).toBe(crc.toString(16).padStart(8, '0'));
    }),
    seeded(),
  );
});

test('sets of numbers are told as runs', () => {
  expect(intervals([])).toBe('#{}');
  expect(intervals([5, 3, 4, 4, 9, 1])).toBe('#{1 3..5 9}');
});
