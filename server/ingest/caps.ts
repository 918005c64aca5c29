/**
 * What a connection may cost, in bytes, frames and time: the defaults of the settings, and what the
 * parts of the server are given. The reasons are in `server/config.ts`.
 */
import {
  BODY_BYTES_MAX,
  BODY_BYTES_MAX_BEFORE_PROOF,
  DECODED_BYTES_MAX,
} from '#protocol/limits.ts';

export interface Caps {
  /** From connect to a right HELLO, in milliseconds. */
  readonly helloMs: number;
  /** HELLO's body. */
  readonly helloBytesMax: number;
  /** Any later message's body, as it is on the wire. */
  readonly messageBytesMax: number;
  /** The frames of a message once inflated. */
  readonly decodedBytesMax: number;
  /** Payloads that are stored; larger ones are rejected for good. */
  readonly payloadBytesMax: number;
  /** Bytes of one connection on their way into the store. */
  readonly windowBytes: number;
  /** Frames, gaps and refusals of one connection on their way into the store. */
  readonly windowFrames: number;
  /** Without a byte in the middle of a message, in milliseconds. */
  readonly stallMs: number;
}

export const DEFAULT_CAPS: Caps = {
  helloMs: 60_000,
  helloBytesMax: BODY_BYTES_MAX_BEFORE_PROOF,
  messageBytesMax: BODY_BYTES_MAX,
  decodedBytesMax: DECODED_BYTES_MAX,
  payloadBytesMax: 1_048_576,
  windowBytes: 4_194_304,
  windowFrames: 32_768,
  stallMs: 10_000,
};
