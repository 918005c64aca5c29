/**
 * The queue's vocabulary: its settings, what it answers and what it tells. Shared by the client on
 * the main thread, the worker and the core; no behaviour lives here.
 */
import type { Epoch, Predecessor } from '#protocol/identity.ts';
import type { GapReason, SeqRange, SettledRange } from '#protocol/settlement.ts';
import type { QueueFailedError } from './errors.ts';

/** What a queue does at its limit. */
export type WhenFull = 'drop-oldest' | 'refuse';

export interface QueueOptions {
  /** The queue's own directory; made (0700) when it isn't there. */
  readonly path: string;
  /** What the segments may take on disk, in bytes, at least 64 KiB. Default 1 GiB. */
  readonly limitBytes?: number;
  /** At the limit: give up the oldest frames and declare them (default), or refuse new ones. */
  readonly whenFull?: WhenFull;
  /**
   * Frames that wait for longer, in milliseconds, are given up and declared as expired; 0 (default):
   * never. By monotonic time since the append, or since the opening for what an earlier process
   * left; up to a second late, or 1/64 of the age.
   */
  readonly maxAgeMs?: number;
  /**
   * Settled frames stay on disk for a while, in whole segments, to be sent again should the store
   * lose them: at most so many bytes (default 64 MiB) for at most so long (default 1 h; from the
   * opening on for what an earlier process kept). They count against `limitBytes` and are the first
   * to go when room is needed. 0 keeps none.
   */
  readonly keepSettledBytes?: number;
  readonly keepSettledMs?: number;
  /** A segment is closed at this size. Default 16 MiB; never more than a quarter of the limit. */
  readonly segmentBytes?: number;
  /** Payload bytes on their way to the disk at most; further appends wait. Default 8 MiB. */
  readonly unsyncedBytesMax?: number;
}

/** A place in the queue: right after this frame. */
export interface QueuePosition {
  readonly epoch: Epoch;
  readonly seq: number;
}

/**
 * What became of a frame: settled or given up, and how; still to be sent; or nothing is known of it,
 * because its epoch was settled as a whole so long ago that it is forgotten, or is none of this queue.
 */
export type Fate = Pick<SettledRange, 'state' | 'code'> | 'pending' | 'unknown';

/** An epoch as the server is told of it. */
export interface HeldEpoch {
  readonly epoch: Epoch;
  /** All below it is settled: the lowest that is pending, or lower. */
  readonly lowest: number;
  /** The highest seq ever accepted in it. */
  readonly highest: number;
  readonly predecessor: Predecessor | undefined;
  /**
   * Nothing of it is pending, and it is neither the newest nor the one of which something was
   * settled last: it is told only to see whether the store still has it.
   */
  readonly onlyRemembered: boolean;
}

/** What a store no longer has of one epoch that had been settled, and what becomes of it. */
export interface StoreLoss {
  /** The store that had settled it doesn't know of it any more; or it is another store by now. */
  readonly reason: 'lost_after_ack' | 'settled_elsewhere';
  readonly epoch: Epoch;
  /** Ascending. */
  readonly ranges: readonly SeqRange[];
  /** How many of these are still here as frames, and pending again. */
  readonly resent: number;
  /** How many are gone here, too: they are declared. */
  readonly declared: number;
}

/** Seqs that the queue has given up, and why. */
export interface Gap extends SeqRange {
  readonly epoch: Epoch;
  readonly reason: GapReason;
}

export interface ReadLimits {
  /** Frames at most, 1 or more. */
  readonly frames: number;
  /** Payload bytes at most; a single larger frame is given all the same. */
  readonly bytes: number;
}

export interface QueueStats {
  /** Pending frames: on disk, not settled. */
  readonly frames: number;
  /** What the segments take on disk, counted against `limitBytes`. */
  readonly bytes: number;
  /** What of these bytes is settled and kept only in case the store loses it. */
  readonly keptBytes: number;
  readonly limitBytes: number;
  /** Microseconds since 1970 UTC, of the oldest pending frame; up to a second behind. */
  readonly oldestCapturedAt: number | undefined;
  /** The newest durable frame. */
  readonly highest: QueuePosition | undefined;
  /** The store that confirmed what is settled, once one has. */
  readonly storeId: string | undefined;
  /** Frames that were confirmed as stored since the queue was opened; again after a loss. */
  readonly acked: number;
  /** Frames given up to keep the limit, since the queue was opened. */
  readonly evicted: number;
  /** Frames given up because their bytes were damaged or gone, found in this opening or since. */
  readonly damaged: number;
  /** There was no room on the disk when something was last to be written; it is tried again. */
  readonly diskFull: boolean;
  readonly failed: boolean;
}

/** What the owner must hear without asking. */
export type QueueEvent =
  /** Frames up to here are durable; once per group commit. */
  | { readonly type: 'appended'; readonly epoch: Epoch; readonly seq: number }
  /** Frames were given up just now. What the opening found is in the recovery report. */
  | { readonly type: 'gap'; readonly gap: Gap }
  /** The disk has no room: appends fail with DiskFullError until the next such event. */
  | { readonly type: 'disk_full'; readonly full: boolean }
  /** Damage was found just now. What the opening found is in the recovery report. */
  | { readonly type: 'damage'; readonly damage: Damage }
  /** A store has lost what it had settled; it is pending again. */
  | { readonly type: 'store_lost'; readonly loss: StoreLoss }
  /** Frames of dead letters are pending again: they are to be sent once more. */
  | { readonly type: 'replayed'; readonly frames: number }
  /** Nothing more is accepted. */
  | { readonly type: 'failed'; readonly error: QueueFailedError };

/** Something in the directory that was not as the queue left it. */
export interface Damage {
  readonly file: string;
  /**
   * `damaged`: bytes in it don't match their checksums. `foreign`: not a segment of this queue.
   * `newer`: written by a later format version. `missing`: frames are known that no file holds.
   * `unreadable`: the checkpoint can't be used.
   */
  readonly kind: 'damaged' | 'foreign' | 'newer' | 'missing' | 'unreadable';
  /**
   * Where the file is now, for whoever wants to look; relative to the queue's directory. None for
   * what was never set aside, or not yet: a segment in which reading found damage.
   */
  readonly setAsideAs: string | undefined;
  /** Frames that still read and were kept under their own identity. */
  readonly framesSaved: number;
  /** Bytes that could not be made sense of. */
  readonly bytesLost: number;
  /** One sentence for people: what was found, what it means, what to do. */
  readonly message: string;
}

/** What the opening found. */
export interface RecoveryReport {
  readonly segments: number;
  /** Pending frames. */
  readonly frames: number;
  /** Bytes behind the last whole record that no append was confirmed for; cut off. */
  readonly tornBytes: number;
  readonly damage: readonly Damage[];
  /** Newly declared because of the damage. */
  readonly gaps: readonly Gap[];
}
