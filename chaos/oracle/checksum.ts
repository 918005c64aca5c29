/**
 * The frame CRC of PROTOCOL.md, computed by the oracle's own hand: CRC-32 (the polynomial of zlib)
 * over epoch (16 bytes), seq (u64), captured_at (u64), big-endian, and payload. It tells whether a
 * stored frame still is what the collector sealed.
 */

const POLYNOMIAL = 0xedb8_8320;

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) {
    value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  }
  return value;
});

/** As 8 hex digits. An epoch that is no UUID gives the checksum of nothing that can be stored. */
export function frameChecksum(
  epoch: string,
  seq: number,
  capturedAt: number,
  payload: Uint8Array,
): string {
  const identity = Buffer.alloc(32);
  identity.write(epoch.replaceAll('-', ''), 0, 16, 'hex');
  if (Number.isSafeInteger(seq) && seq >= 0) identity.writeBigUInt64BE(BigInt(seq), 16);
  if (capturedAt >= 0) identity.writeBigUInt64BE(BigInt(capturedAt), 24);
  const crc = ~update(update(0xffff_ffff, identity), payload);
  return (crc >>> 0).toString(16).padStart(8, '0');
}

function update(start: number, bytes: Uint8Array): number {
  let crc = start;
  for (let at = 0; at < bytes.length; at += 1) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  }
  return crc;
}
