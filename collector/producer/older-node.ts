/**
 * What the packed library does in place of what came to Node.js after 22.15, the oldest release that
 * it runs on (before it there is no zstd). Node.js 26 has both of these itself.
 */
import crypto from 'node:crypto';
import { wallClock } from './wall-clock.ts';

/** A new UUID of version 7 (RFC 9562, 5.7): ordered by its millisecond, else random. */
export const randomUuidV7: () => string = crypto.randomUUIDv7 ?? madeUuidV7;

/**
 * The wall clock in microseconds since 1970 UTC; in whole milliseconds where there is no Temporal.
 */
export const wallTime: () => number =
  typeof Temporal === 'undefined'
    ? () => Date.now() * 1_000
    : wallClock({
        wallUs: () => Number(Temporal.Now.instant().epochNanoseconds / 1_000n),
        wallMs: Date.now,
        monotonicMs: () => performance.now(),
      });

/** For where Node.js makes none, and for the test that holds it to the layout. */
export function madeUuidV7(): string {
  const bytes = crypto.randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
