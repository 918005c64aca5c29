/**
 * How long a zstd frame is (RFC 8878, 3.1.1), found by its block headers alone, without inflating.
 *
 * A decompressor stops where the frame ends and doesn't say that more was there; on the wire a body
 * with a byte too many is wrong. Whether the data within is right, the decompressor says.
 */

const MAGIC_AND_DESCRIPTOR_BYTES = 5;
const MAGIC = 0xfd2f_b528;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
/** By the two low bits of the descriptor. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
/** By the two high bits of the descriptor. */
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
/** A block of one byte that is repeated. */
const RLE = 1;

/** Where the zstd frame that begins these bytes ends; undefined when none does, or it isn't whole. */
export function endOfZstdFrame(bytes: Buffer): number | undefined {
  if (bytes.length < MAGIC_AND_DESCRIPTOR_BYTES || bytes.readUInt32LE(0) !== MAGIC) {
    return undefined;
  }
  const descriptor = bytes.readUInt8(MAGIC_AND_DESCRIPTOR_BYTES - 1);
  let at = MAGIC_AND_DESCRIPTOR_BYTES + headerRestBytes(descriptor);
  for (let isLast = false; !isLast; ) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return undefined;
    const header = bytes.readUIntLE(at, BLOCK_HEADER_BYTES);
    const isRle = ((header >> 1) & 3) === RLE;
    isLast = (header & 1) === 1;
    at += BLOCK_HEADER_BYTES + (isRle ? 1 : header >> 3);
  }
  const hasChecksum = (descriptor & 4) !== 0;
  at += hasChecksum ? CHECKSUM_BYTES : 0;
  return at <= bytes.length ? at : undefined;
}

/** What stands between the descriptor and the first block. */
function headerRestBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentSizeBytes = CONTENT_SIZE_BYTES[(descriptor >> 6) as 0 | 1 | 2 | 3];
  const dictionaryIdBytes = DICTIONARY_ID_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3];
  // A single segment has no window of its own; its size is there in any case.
  return (
    dictionaryIdBytes + (isSingleSegment ? Math.max(1, contentSizeBytes) : 1 + contentSizeBytes)
  );
}
