/**
 * The envelope around every message: magic, version, kind, flags, length, counter, body, CRC-32.
 * Lives here: making it, and the layout that `framer.ts` reads. One writer per connection and
 * direction, for it owns the counter.
 */
import { crc32 } from 'node:zlib';
import { encodeBody } from './codec.ts';
import { HEADER_BYTES, MAGIC, PROTOCOL_VERSION, TRAILER_BYTES } from './limits.ts';
import { KINDS, type Message } from './messages.ts';

export const OFFSETS = {
  magic: 0,
  version: 2,
  kind: 4,
  flags: 5,
  bodyLength: 6,
  counter: 10,
} as const;

/** The counter runs 0, 1, 2 … and from 2^32 − 1 back to 0. */
export function nextCounter(counter: number): number {
  return (counter + 1) >>> 0;
}

/** Turns messages into the bytes of one direction of one connection. */
export class MessageWriter {
  #counter = 0;

  /** The whole message as one buffer, and its body. `compress` concerns FRAMES alone. */
  write(message: Message, compress = false): { bytes: Buffer; body: Buffer } {
    const { kind, flags, body } = encodeBody(message, compress);
    const bytes = sealEnvelope(KINDS[kind], flags, this.#counter, body);
    this.#counter = nextCounter(this.#counter);
    return { bytes, body };
  }
}

/** An envelope with any field values; {@link MessageWriter} is the way to make right ones. */
export function sealEnvelope(kind: number, flags: number, counter: number, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + body.length + TRAILER_BYTES);
  bytes.writeUInt16BE(MAGIC, OFFSETS.magic);
  bytes.writeUInt16BE(PROTOCOL_VERSION, OFFSETS.version);
  bytes.writeUInt8(kind, OFFSETS.kind);
  bytes.writeUInt8(flags, OFFSETS.flags);
  bytes.writeUInt32BE(body.length, OFFSETS.bodyLength);
  bytes.writeUInt32BE(counter, OFFSETS.counter);
  body.copy(bytes, HEADER_BYTES);
  const sealed = HEADER_BYTES + body.length;
  bytes.writeUInt32BE(crc32(bytes.subarray(0, sealed)), sealed);
  return bytes;
}
