/** How a stream of bytes arrives: in one piece, byte by byte, or cut anywhere. */
import type { Random } from '#test/simulation/model/random.ts';

/** A stream that is longer than this is not cut into single bytes: that would only take time. */
const SINGLE_BYTES_MAX = 600;

export function chunksOf(bytes: Buffer, number: number, random: Random): Buffer[] {
  if (bytes.length === 0) return [];
  if (number === 0) return [bytes];
  if (bytes.length <= SINGLE_BYTES_MAX && random.chance(0.1)) return cut(bytes, () => 1);
  const most = random.pick([8, 40, 300, 65_536]);
  const atMost = Math.max(most, Math.ceil(bytes.length / 64));
  return cut(bytes, () => random.int(1, atMost));
}

function cut(bytes: Buffer, length: () => number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = at + length();
    chunks.push(bytes.subarray(at, next));
    at = next;
  }
  return chunks;
}
