/**
 * A stream of bytes into whole messages, whatever the chunks: push bytes, then take messages until
 * there are none. Checks the envelope (magic, version, length, CRC, counter), not the body.
 *
 * Invariants: no more memory than the chunk at hand and one message of the limit in force; each
 * byte is copied at most once; the first error sticks, and nothing after it is ever read.
 */
import { crc32 } from 'node:zlib';
import { nextCounter, OFFSETS } from './envelope.ts';
import { ProtocolError } from './errors.ts';
import {
  BODY_BYTES_MAX,
  BODY_BYTES_MAX_BEFORE_PROOF,
  HEADER_BYTES,
  MAGIC,
  PROTOCOL_VERSION,
  TRAILER_BYTES,
} from './limits.ts';

/** A message whose envelope is right; the body is for `decodeBody`. */
export interface RawMessage {
  readonly kind: number;
  readonly flags: number;
  /** Owned by the taker; never written again. */
  readonly body: Buffer;
}

/** The first bytes of a TLS handshake: the most likely mistake of all. */
const TLS_HANDSHAKE = 0x1603;

const EMPTY = Buffer.alloc(0);

export class Framer {
  readonly #bodyBytesMaxAfterProof: number;
  #bodyBytesMax: number;
  #counter = 0;
  /** Bytes pushed and not yet looked at. */
  #chunk: Buffer = EMPTY;
  /** A message of which only a part has come: its bytes so far, in a buffer of the size needed. */
  #partial: Buffer | undefined;
  #partialLength = 0;
  #error: ProtocolError | undefined;

  /** The protocol's limits, or lower ones of this side. */
  constructor(limits: { readonly beforeProof?: number; readonly afterProof?: number } = {}) {
    const { beforeProof = BODY_BYTES_MAX_BEFORE_PROOF, afterProof = BODY_BYTES_MAX } = limits;
    this.#bodyBytesMax = beforeProof;
    this.#bodyBytesMaxAfterProof = afterProof;
  }

  /** Bytes that have come and were not taken as messages yet. */
  get bufferedBytes(): number {
    return this.#chunk.length + this.#partialLength;
  }

  /** True while a message has begun and not ended. */
  get midMessage(): boolean {
    return this.#partial !== undefined || this.#chunk.length > 0;
  }

  /** From here on bodies may be as long as the limit after the proof allows. */
  liftLimit(): void {
    this.#bodyBytesMax = this.#bodyBytesMaxAfterProof;
  }

  /** Takes what the stream gave. All messages of earlier chunks must have been taken before. */
  push(bytes: Buffer): void {
    this.#chunk = this.#chunk.length === 0 ? bytes : Buffer.concat([this.#chunk, bytes]);
  }

  /** The next whole message, or undefined when more bytes are needed. Throws ProtocolError. */
  next(): RawMessage | undefined {
    if (this.#error !== undefined) throw this.#error;
    try {
      const bytes = this.#nextBytes();
      return bytes === undefined ? undefined : this.#open(bytes);
    } catch (error) {
      if (error instanceof ProtocolError) this.#error = error;
      this.#chunk = EMPTY;
      this.#partial = undefined;
      this.#partialLength = 0;
      throw error;
    }
  }

  /** The bytes of the next message, without a copy when the chunk holds it whole. */
  #nextBytes(): Buffer | undefined {
    if (this.#partial === undefined) {
      const whole = this.#chunk.length >= HEADER_BYTES ? this.#lengthOf(this.#chunk) : undefined;
      if (whole !== undefined && this.#chunk.length >= whole) return this.#cut(whole);
      if (this.#chunk.length === 0) return undefined;
      this.#partial = Buffer.allocUnsafe(whole ?? HEADER_BYTES);
      this.#partialLength = 0;
    }
    return this.#fill(this.#partial);
  }

  #fill(partial: Buffer): Buffer | undefined {
    this.#partialLength += this.#cut(partial.length - this.#partialLength).copy(
      partial,
      this.#partialLength,
    );
    if (this.#partialLength < partial.length) return undefined;
    const whole = this.#lengthOf(partial);
    if (partial.length === whole) {
      this.#partial = undefined;
      this.#partialLength = 0;
      return partial;
    }
    const grown = Buffer.allocUnsafe(whole);
    partial.copy(grown);
    this.#partial = grown;
    return this.#fill(grown);
  }

  #cut(length: number): Buffer {
    const bytes = this.#chunk.subarray(0, length);
    // An empty rest would keep the memory of the whole chunk.
    this.#chunk = length < this.#chunk.length ? this.#chunk.subarray(length) : EMPTY;
    return bytes;
  }

  /** The length of the whole message whose header begins these bytes, once the header is right. */
  #lengthOf(bytes: Buffer): number {
    const magic = bytes.readUInt16BE(OFFSETS.magic);
    if (magic !== MAGIC) {
      const hint =
        magic === TLS_HANDSHAKE ? ': the other side speaks TLS, and this one does not' : '';
      throw new ProtocolError('magic', `a message begins with ${magic}, not ${MAGIC}${hint}`);
    }
    const version = bytes.readUInt16BE(OFFSETS.version);
    if (version !== PROTOCOL_VERSION) {
      throw new ProtocolError('version', `version ${version}, not ${PROTOCOL_VERSION}`);
    }
    const bodyLength = bytes.readUInt32BE(OFFSETS.bodyLength);
    if (bodyLength > this.#bodyBytesMax) {
      throw new ProtocolError('size', `a body of ${bodyLength} bytes, over ${this.#bodyBytesMax}`);
    }
    return HEADER_BYTES + bodyLength + TRAILER_BYTES;
  }

  #open(bytes: Buffer): RawMessage {
    const sealed = bytes.length - TRAILER_BYTES;
    const crc = bytes.readUInt32BE(sealed);
    if (crc32(bytes.subarray(0, sealed)) !== crc) {
      throw new ProtocolError('crc', 'a message was changed on the way');
    }
    const counter = bytes.readUInt32BE(OFFSETS.counter);
    if (counter !== this.#counter) {
      throw new ProtocolError('counter', `message ${counter} came, ${this.#counter} was due`);
    }
    this.#counter = nextCounter(counter);
    return {
      kind: bytes.readUInt8(OFFSETS.kind),
      flags: bytes.readUInt8(OFFSETS.flags),
      body: bytes.subarray(HEADER_BYTES, sealed),
    };
  }
}
