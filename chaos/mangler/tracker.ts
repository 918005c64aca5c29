/**
 * One direction of one connection, seen as messages: bytes in, spans out, each with the message
 * that it is part of. Reads no more than the envelope's head, and in HELLO the collector's id;
 * whatever isn't an envelope (TLS, say) passes as bytes without a message from there on.
 *
 * Holds back only what it needs to know a message by: its head, and HELLO's up to the id.
 */
import { OFFSETS } from '#protocol/envelope.ts';
import {
  BODY_BYTES_MAX,
  HEADER_BYTES,
  MAGIC,
  PROTOCOL_VERSION,
  TRAILER_BYTES,
} from '#protocol/limits.ts';
import { KINDS, type Kind } from '#protocol/messages.ts';

export interface MessageMark {
  /** Undefined for a number that the protocol doesn't have. */
  readonly kind: Kind | undefined;
  /** Of the whole message. */
  readonly length: number;
}

/** Bytes that follow each other in one message, or in none. */
export interface Span {
  readonly bytes: Buffer;
  /** Undefined where the stream isn't understood. */
  readonly message: MessageMark | undefined;
  /** Bytes of the message before it. */
  readonly from: number;
  /** Bytes of the stream before it. */
  readonly at: number;
}

const EMPTY = Buffer.alloc(0);
/** Magic and version: by them an envelope is told from anything else. */
const PREFIX = Buffer.alloc(OFFSETS.kind);
PREFIX.writeUInt16BE(MAGIC, OFFSETS.magic);
PREFIX.writeUInt16BE(PROTOCOL_VERSION, OFFSETS.version);
/** Up to here the length is known. */
const HEAD_BYTES = OFFSETS.counter;
/** HELLO's body begins with a version (u16) and the id, a text behind its length (u16). */
const ID_LENGTH_AT = HEADER_BYTES + 2;
const ID_AT = ID_LENGTH_AT + 2;
const ID_BYTES_MAX = 64;

const NAMES = new Map<number, Kind>(
  Object.entries(KINDS).map(([name, number]) => [number, name as Kind]),
);

export class Tracker {
  #held: Buffer = EMPTY;
  #message: MessageMark | undefined;
  /** Bytes of the message that have not come yet. */
  #left = 0;
  #at = 0;
  #opaque = false;
  #collector: string | undefined;

  /** Nothing in it can be told apart: it is secured, or no protocol of ours. */
  get opaque(): boolean {
    return this.#opaque;
  }

  /** As HELLO named it. */
  get collector(): string | undefined {
    return this.#collector;
  }

  push(chunk: Buffer): Span[] {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = EMPTY;
    const spans: Span[] = [];
    while (bytes.length > 0) {
      if (this.#left === 0 && !this.#opaque && !this.#open(bytes)) {
        this.#held = bytes;
        return spans;
      }
      const length = this.#opaque ? bytes.length : Math.min(this.#left, bytes.length);
      spans.push(this.#take(bytes.subarray(0, length)));
      bytes = bytes.subarray(length);
    }
    return spans;
  }

  /** What was held back, once nothing more comes. */
  flush(): Span[] {
    const held = this.#held;
    this.#held = EMPTY;
    if (held.length === 0) return [];
    this.#opaque = true;
    return [this.#take(held)];
  }

  #take(bytes: Buffer): Span {
    const message = this.#opaque ? undefined : this.#message;
    const from = message === undefined ? 0 : message.length - this.#left;
    const span = { bytes, message, from, at: this.#at };
    this.#at += bytes.length;
    if (message !== undefined) this.#left -= bytes.length;
    return span;
  }

  /** False while more bytes are needed to know the message that begins here. */
  #open(bytes: Buffer): boolean {
    const seen = Math.min(bytes.length, PREFIX.length);
    if (bytes.compare(PREFIX, 0, seen, 0, seen) !== 0) {
      this.#opaque = true;
      return true;
    }
    if (bytes.length < HEAD_BYTES) return false;
    const bodyLength = bytes.readUInt32BE(OFFSETS.bodyLength);
    if (bodyLength > BODY_BYTES_MAX) {
      this.#opaque = true;
      return true;
    }
    const kind = NAMES.get(bytes.readUInt8(OFFSETS.kind));
    const length = HEADER_BYTES + bodyLength + TRAILER_BYTES;
    if (kind === 'hello' && !this.#readId(bytes, length)) return false;
    this.#message = { kind, length };
    this.#left = length;
    return true;
  }

  #readId(bytes: Buffer, length: number): boolean {
    if (length < ID_AT) return true;
    if (bytes.length < ID_AT) return false;
    const idLength = bytes.readUInt16BE(ID_LENGTH_AT);
    const end = ID_AT + idLength;
    if (idLength > ID_BYTES_MAX || end > length) return true;
    if (bytes.length < end) return false;
    this.#collector = bytes.toString('utf8', ID_AT, end);
    return true;
  }
}
