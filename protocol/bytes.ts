/**
 * Reading and writing the primitive fields of PROTOCOL.md: big-endian integers, varints, UUIDs,
 * texts. Knows nothing of messages. A reader never runs past its bytes and turns everything that
 * is not as prescribed into a ProtocolError of code `decode`.
 */
import { ProtocolError } from './errors.ts';
import { EPOCH_BYTES, readUint64, uuidFromBytes, uuidToBytes, writeUint64 } from './identity.ts';

/** What a varint takes at most. */
export const VARINT_BYTES_MAX = 8;

function decodeError(what: string): ProtocolError {
  return new ProtocolError('decode', what);
}

/** Takes fields off the front of a body. `end` must be called last. */
export class ByteReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  uint64(): number {
    const value = readUint64(this.#bytes, this.#take(8));
    if (!Number.isSafeInteger(value)) throw decodeError('a 64-bit integer is over 2^53 - 1');
    return value;
  }

  /** 0 or 1; nothing else is a flag. */
  flag(): boolean {
    const value = this.uint8();
    if (value > 1) throw decodeError(`a flag is ${value}, not 0 or 1`);
    return value === 1;
  }

  /** An unsigned LEB128 integer up to 2^53 − 1, in its shortest form. */
  varint(): number {
    return this.#leb128(this.uint8(), 7);
  }

  /**
   * A varint of zigzag form: 0, −1, 1, −2, 2 …, from −2^53 to 2^53 − 1. The sign is taken off the
   * first byte before the rest is added up, because the doubled value isn't a safe integer.
   */
  zigzag(): number {
    const first = this.uint8();
    const magnitude = this.#leb128((first & 0x80) | ((first & 0x7f) >> 1), 6);
    return (first & 1) === 0 ? magnitude : -magnitude - 1;
  }

  /** The rest of a varint whose first byte brought so many bits. */
  #leb128(first: number, bits: number): number {
    let byte = first;
    let value = byte & 0x7f;
    let scale = 2 ** bits;
    for (let count = 1; (byte & 0x80) !== 0; count += 1) {
      if (count === VARINT_BYTES_MAX) {
        throw decodeError(`a varint is longer than ${VARINT_BYTES_MAX} bytes`);
      }
      byte = this.uint8();
      if (byte === 0) throw decodeError('a varint is not in its shortest form');
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
    }
    if (!Number.isSafeInteger(value)) throw decodeError('a varint is over 2^53 - 1');
    return value;
  }

  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  uuid(): string {
    return uuidFromBytes(this.#bytes, this.#take(EPOCH_BYTES));
  }

  /** UTF-8 behind a length of 16 bits; at most `bytesMax` bytes. */
  text(bytesMax: number): string {
    const length = this.uint16();
    if (length > bytesMax) throw decodeError(`a text of ${length} bytes is over ${bytesMax}`);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes(length));
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      throw decodeError('a text is not UTF-8');
    }
  }

  /** Everything that is left. */
  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  /** The body ends here; more bytes mean that the two ends read different formats. */
  end(): void {
    if (this.remaining > 0) throw decodeError(`${this.remaining} bytes are left over`);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.remaining) {
      throw decodeError(`a field of ${length} bytes has only ${this.remaining} left`);
    }
    this.#offset = start + length;
    return start;
  }
}

/** Puts fields behind one another; grows as needed. */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** The bytes written so far, without a copy; the writer must not be used after. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  uint8(value: number): this {
    const start = this.#grow(1);
    this.#bytes.writeUInt8(value, start);
    return this;
  }

  uint16(value: number): this {
    const start = this.#grow(2);
    this.#bytes.writeUInt16BE(value, start);
    return this;
  }

  uint32(value: number): this {
    const start = this.#grow(4);
    this.#bytes.writeUInt32BE(value, start);
    return this;
  }

  uint64(value: number): this {
    const start = this.#grow(8);
    writeUint64(this.#bytes, value, start);
    return this;
  }

  flag(value: boolean): this {
    return this.uint8(value ? 1 : 0);
  }

  varint(value: number): this {
    return this.direct(VARINT_BYTES_MAX, (target, start) => writeVarint(target, value, start));
  }

  zigzag(value: number): this {
    return this.direct(VARINT_BYTES_MAX, (target, start) => writeZigzag(target, value, start));
  }

  bytes(value: Uint8Array): this {
    const start = this.#grow(value.length);
    this.#bytes.set(value, start);
    return this;
  }

  uuid(value: string): this {
    return this.bytes(uuidToBytes(value));
  }

  /** UTF-8 behind a length of 16 bits, cut at a character so that it fits `bytesMax`. */
  text(value: string, bytesMax: number): this {
    const target = new Uint8Array(bytesMax);
    const { written } = new TextEncoder().encodeInto(value, target);
    return this.uint16(written).bytes(target.subarray(0, written));
  }

  /** Leaves bytes for the caller to fill in the finished buffer. */
  skip(length: number): this {
    this.#grow(length);
    return this;
  }

  /**
   * Lets `write` put up to `lengthMax` bytes straight into the memory behind `start`; it answers
   * where they end. For many fields at once, whose bounds are then checked once.
   */
  direct(lengthMax: number, write: (target: Buffer, start: number) => number): this {
    const start = this.#grow(lengthMax);
    this.#length = write(this.#bytes, start);
    return this;
  }

  /** Makes room and answers where it starts. Call it before touching #bytes: it may replace it. */
  #grow(length: number): number {
    const start = this.#length;
    const needed = start + length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, start);
      this.#bytes = grown;
    }
    this.#length = needed;
    return start;
  }
}

/** Writes a safe integer ≥ 0 as a varint; answers where it ends. */
export function writeVarint(target: Buffer, value: number, start: number): number {
  const low = value % 0x80;
  return writeLeb128(target, low, (value - low) / 0x80, start);
}

/** Writes a safe integer as a varint of zigzag form; answers where it ends. */
export function writeZigzag(target: Buffer, value: number, start: number): number {
  const magnitude = value >= 0 ? value : -value - 1;
  const low = magnitude % 0x40;
  return writeLeb128(target, low * 2 + (value >= 0 ? 0 : 1), (magnitude - low) / 0x40, start);
}

/** Seven bits first, then the rest, seven bits a byte. */
function writeLeb128(target: Buffer, first: number, more: number, start: number): number {
  let offset = start;
  let low = first;
  let rest = more;
  while (rest > 0) {
    target[offset] = low | 0x80;
    offset += 1;
    low = rest % 0x80;
    rest = (rest - low) / 0x80;
  }
  target[offset] = low;
  return offset + 1;
}
