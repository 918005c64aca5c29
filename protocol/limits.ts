/**
 * Every bound that both ends of the wire share, each with its reason. PROTOCOL.md refers to them
 * by name. Not here: what one side alone decides (timeouts, backoff, windows); those are settings
 * of that side.
 */
import { PAYLOAD_BYTES_MAX } from './identity.ts';

/** The course that Holdfast grew out of used 1234; kept, so that a capture is told at a glance. */
export const MAGIC = 1234;
export const PROTOCOL_VERSION = 2;

/** magic u16, version u16, kind u8, flags u8, body length u32, counter u32. */
export const HEADER_BYTES = 14;
/** The CRC-32 behind the body. */
export const TRAILER_BYTES = 4;

/**
 * A message's body. Room for one frame of the largest payload, or for many small ones; the
 * receiver's memory per connection is a small multiple of this.
 */
export const BODY_BYTES_MAX = PAYLOAD_BYTES_MAX + 65_536;
/** A body before the sender has proven that it holds the token: HELLO with 64 epochs fits. */
export const BODY_BYTES_MAX_BEFORE_PROOF = 8_192;
/** What a compressed FRAMES body may inflate to: no more than a plain one may hold. */
export const DECODED_BYTES_MAX = PAYLOAD_BYTES_MAX + 65_536;
/**
 * The window of a compressed body, as a power of two: 8 MiB, which every zstd decoder is asked to
 * take (RFC 8878, 3.1.1.1.2). Larger ones cost memory that no body of ours can need.
 */
export const ZSTD_WINDOW_LOG_MAX = 23;

/** Frames in one message; bounds the work done for one message and its ack. */
export const FRAMES_PER_MESSAGE_MAX = 4_096;
/** Epochs in one HELLO or EPOCHS message. */
export const EPOCHS_PER_MESSAGE_MAX = 64;
/** Epochs that one connection may announce in all; past it the collector connects anew. */
export const EPOCHS_PER_CONNECTION_MAX = 4_096;
/** Settled ranges in one WELCOME, SETTLED or ACK. */
export const RANGES_PER_MESSAGE_MAX = 64;
/** Gaps in one GAP message. */
export const GAPS_PER_MESSAGE_MAX = 64;
/** Bytes of human-readable text in REJECT and BYE, in UTF-8. */
export const TEXT_BYTES_MAX = 512;

/**
 * While acks come there is no need of PINGs; but what they alone tell, how many bytes have come and
 * how far the collector is, is never older than so many heartbeat intervals. Of the collector's they
 * are fewer than the three of silence after which a server closes; a server's acks are no silence.
 */
export const PING_INTERVALS_MAX = { collector: 2, server: 5 } as const;

export const NONCE_BYTES = 32;
/** HMAC-SHA-256. */
export const MAC_BYTES = 32;
/** What a token becomes before a MAC is made with it. */
export const MAC_KEY_BYTES = 32;
/** A token of fewer bytes can be guessed; both ends refuse to start with one. */
export const TOKEN_BYTES_MIN = 16;
