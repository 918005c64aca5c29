/** The end of a zstd frame, held against what the compressor makes. */
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { endOfZstdFrame } from '#protocol/zstd.ts';
import { seeded } from '../seed.ts';

/** Data that compresses in each of the ways that a block may be: raw, repeated, compressed. */
const data = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.nat(255), fc.nat(400_000)).map(([byte, length]) => Buffer.alloc(length, byte)),
    ),
    { maxLength: 4 },
  )
  .map((parts) => Buffer.concat(parts));

const options = fc
  .record({ checksum: fc.nat(1), contentSize: fc.nat(1), level: fc.constantFrom(1, 3, 12) })
  .map(({ checksum, contentSize, level }) => ({
    params: {
      [constants.ZSTD_c_checksumFlag]: checksum,
      [constants.ZSTD_c_contentSizeFlag]: contentSize,
      [constants.ZSTD_c_compressionLevel]: level,
    },
  }));

test('a frame ends where the compressor ended it, whatever follows', () => {
  fc.assert(
    fc.property(data, options, fc.uint8Array({ maxLength: 20 }), (plain, how, more) => {
      const packed = zstdCompressSync(plain, how);
      expect(endOfZstdFrame(packed)).toBe(packed.length);
      expect(endOfZstdFrame(Buffer.concat([packed, more]))).toBe(packed.length);
    }),
    seeded(),
  );
});

test('a frame that is cut short has no end, and other bytes are no frame', () => {
  const packed = zstdCompressSync(Buffer.alloc(300_000, 'some text, again and again; '));
  for (let length = 0; length < packed.length; length += 1) {
    expect(endOfZstdFrame(packed.subarray(0, length))).toBe(undefined);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      fc.pre(bytes[0] !== 0x28);
      expect(endOfZstdFrame(Buffer.from(bytes))).toBe(undefined);
    }),
    seeded(),
  );
});
