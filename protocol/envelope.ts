/**
 * The envelope around every message: magic, version, kind, flags, length, counter, body, CRC-32.
 * Lives here: making it, and the layout that `framer.ts` reads. One writer per connection and
 * direction, for it owns the counter.
 */
import { crc32 } from 'node:zlib';
import { ByteWriter } from './bytes.ts';
import { writeMessage } from './codec.ts';
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
    const writer = new ByteWriter().skip(HEADER_BYTES);
    const flags = writeMessage(writer, message, compress);
    const bytes = seal(writer, KINDS[message.kind], flags, this.#counter);
    this.#counter = nextCounter(this.#counter);
    return { bytes, body: bytes.subarray(HEADER_BYTES, bytes.length - TRAILER_BYTES) };
  }
}

/** An envelope with any field values; {@link MessageWriter} is the way to make right ones. */
export function sealEnvelope(kind: number, flags: number, counter: number, body: Buffer): Buffer {
  const writer = new ByteWriter(HEADER_BYTES + body.length + TRAILER_BYTES);
  return seal(writer.skip(HEADER_BYTES).bytes(body), kind, flags, counter);
}

/** Fills the header that was left free in front of a body, and puts the CRC behind it. */
function seal(writer: ByteWriter, kind: number, flags: number, counter: number): Buffer {
  const sealed = writer.length;
  const bytes = writer.skip(TRAILER_BYTES).finish();
  bytes.writeUInt16BE(MAGIC, OFFSETS.magic);
  bytes.writeUInt16BE(PROTOCOL_VERSION, OFFSETS.version);
  bytes.writeUInt8(kind, OFFSETS.kind);
  bytes.writeUInt8(flags, OFFSETS.flags);
  bytes.writeUInt32BE(sealed - HEADER_BYTES, OFFSETS.bodyLength);
  bytes.writeUInt32BE(counter, OFFSETS.counter);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, sealed)), sealed);
  return bytes;
}
