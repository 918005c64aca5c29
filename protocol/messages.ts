/**
 * The messages of the wire as values. PROTOCOL.md says when each may be sent and what it means;
 * `codec.ts` turns them into bytes and back. Numbers are safe integers, times are what their names
 * say, byte fields are owned by the receiver of the value.
 */
import type { Epoch, Frame, Predecessor } from './identity.ts';
import type { GapReason, RejectCode, SeqRange, SettledRange } from './settlement.ts';

/** The numbers on the wire: append only. */
export const KINDS = {
  greeting: 1,
  hello: 2,
  welcome: 3,
  frames: 4,
  gap: 5,
  ack: 6,
  reject: 7,
  ping: 8,
  pong: 9,
  bye: 10,
  epochs: 11,
  settled: 12,
} as const;
export type Kind = keyof typeof KINDS;

/** Why a connection is ended in an orderly way. The numbers are on the wire: append only. */
export const BYE_REASONS = {
  /** The sender of the BYE stops. */
  shutdown: 1,
  /** Another instance of this collector is connected and makes progress. */
  in_use: 2,
  /** The MAC in HELLO doesn't match: wrong token. */
  unauthorized: 3,
  /** No common protocol version. */
  version: 4,
  /** The peer broke the protocol; the text says how. */
  protocol_error: 5,
  /** No progress within the sender's deadline. */
  timeout: 6,
  /** Too many connections or too much work; come back after the stated time. */
  overloaded: 7,
  /** A newer connection of the same instance has taken over. */
  superseded: 8,
  /** The store can't commit now; nothing that wasn't acknowledged was kept. */
  store_unavailable: 9,
  /** The collector id is not one that this server accepts. */
  bad_collector: 10,
  /** The connection has used up a bound of its own; connect anew at once. */
  renew: 11,
} as const;
export type ByeReason = keyof typeof BYE_REASONS;

/** An epoch of which the collector still holds something, or which is its newest. */
export interface EpochAnnouncement {
  readonly epoch: Epoch;
  /** All below it is settled, as far as the collector knows. */
  readonly lowest: number;
  /** The highest seq ever given out in this epoch so far. */
  readonly highest: number;
  readonly predecessor: Predecessor | undefined;
}

/** A settled range of the epoch that this connection announced as number `epochIndex`. */
export interface SettledEntry extends SettledRange {
  readonly epochIndex: number;
}

export interface GapEntry extends SeqRange {
  readonly epochIndex: number;
  readonly reason: GapReason;
}

export interface Greeting {
  readonly kind: 'greeting';
  /** Protocol versions that the server speaks, best first. */
  readonly versions: readonly number[];
  readonly nonce: Uint8Array;
  /** The identity of the server's store: a UUID that is made with the store. */
  readonly storeId: string;
}

export interface Hello {
  readonly kind: 'hello';
  readonly version: number;
  readonly collector: string;
  /** A UUID made anew by each process. */
  readonly instance: string;
  readonly nonce: Uint8Array;
  /** True when the collector holds further epochs, to be announced by EPOCHS. */
  readonly more: boolean;
  readonly epochs: readonly EpochAnnouncement[];
  readonly mac: Uint8Array;
}

/** What the server asks of this connection. */
export interface Terms {
  readonly heartbeatIntervalMs: number;
  /** The first dial after a loss waits a random time up to this. */
  readonly retrySpreadMs: number;
  /** The longest wait between dials. */
  readonly retryCapMs: number;
  /** Largest payload that the server takes. */
  readonly payloadBytesMax: number;
  /** Bytes of FRAMES bodies that may be unacknowledged at a time. */
  readonly windowBytesMax: number;
  /** True when FRAMES may be compressed with zstd. */
  readonly zstd: boolean;
}

export interface Welcome extends Terms {
  readonly kind: 'welcome';
  /** Oldest first, at most RANGES_PER_MESSAGE_MAX; what isn't named is unknown, so: send it. */
  readonly settled: readonly SettledEntry[];
  readonly mac: Uint8Array;
}

export interface Epochs {
  readonly kind: 'epochs';
  readonly more: boolean;
  readonly epochs: readonly EpochAnnouncement[];
}

/** The answer to one EPOCHS. */
export interface Settled {
  readonly kind: 'settled';
  /** The index of the first epoch of the EPOCHS that this answers. */
  readonly firstEpochIndex: number;
  readonly settled: readonly SettledEntry[];
}

/** A frame in a message: its epoch is the message's. */
export type WireFrame = Omit<Frame, 'epoch'>;

export interface Frames {
  readonly kind: 'frames';
  readonly epochIndex: number;
  /** Seqs ascend strictly. At least one, at most FRAMES_PER_MESSAGE_MAX. */
  readonly frames: readonly WireFrame[];
}

export interface GapMessage {
  readonly kind: 'gap';
  readonly gaps: readonly GapEntry[];
}

interface Ack {
  readonly kind: 'ack';
  readonly settled: readonly SettledEntry[];
}

export interface Reject {
  readonly kind: 'reject';
  readonly epochIndex: number;
  readonly seq: number;
  readonly code: RejectCode;
  /** For people; at most TEXT_BYTES_MAX bytes. */
  readonly text: string;
}

/** PING and PONG carry the same; a PONG repeats the PING's id. */
export interface Heartbeat {
  readonly kind: 'ping' | 'pong';
  readonly id: number;
  /** Bytes that the sender has received on this connection. */
  readonly bytesReceived: number;
  /** The collector's newest epoch and the highest seq accepted in it; the server sends none. */
  readonly highest: { readonly epochIndex: number; readonly seq: number } | undefined;
}

export interface Bye {
  readonly kind: 'bye';
  readonly reason: ByeReason;
  /** 0 = at the receiver's own pace. */
  readonly retryAfterMs: number;
  readonly text: string;
}

export type Message =
  | Greeting
  | Hello
  | Welcome
  | Epochs
  | Settled
  | Frames
  | GapMessage
  | Ack
  | Reject
  | Heartbeat
  | Bye;
