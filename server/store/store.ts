/**
 * The store's port: what the server needs of a place that keeps frames. `sqlite-store.ts` is the
 * implementation; the contract suite in `test/unit/server/store-contract.ts` is what any other one
 * is held to.
 *
 * Invariants: what `commit`, `announce` and `prune` answer is on disk; a row, once stored, never
 * changes until it is pruned; (collector, epoch, seq) names one row at most; what is settled changes
 * in the same transaction as the rows. All times are microseconds since 1970 UTC.
 */
import type { Epoch, Frame } from '#protocol/identity.ts';
import type { EpochAnnouncement, WireFrame } from '#protocol/messages.ts';
import type { GapReason, RejectCode, SeqRange, SettledRange } from '#protocol/settlement.ts';

/** The store's number for one epoch of one collector; the same for the store's life. */
export type StreamId = number;

export interface Announcement {
  readonly collector: string;
  /** The UUID of the collector's process. */
  readonly instance: string;
  /** Names this connection; the same for all its announcements and for no other's. */
  readonly connection: string;
  readonly at: number;
  /** Oldest first. */
  readonly epochs: readonly EpochAnnouncement[];
  /** Nothing further will be announced: what this connection hasn't named is no longer held. */
  readonly complete: boolean;
}

export interface AnnounceAnswer {
  /** One for each epoch announced, in its order. */
  readonly streams: readonly StreamId[];
  /**
   * For each epoch announced what is settled within its [lowest, highest], lowest first, at most
   * RANGES_PER_MESSAGE_MAX ranges; fewer are all that there is. Seqs of which a frame was refused as
   * a conflict are rejected ones here, although a row is stored.
   */
  readonly settled: readonly (readonly SettledRange[])[];
  /** How many collectors the store has ever heard of, this one included. */
  readonly collectorsKnown: number;
}

export interface RejectedSeq {
  readonly seq: number;
  readonly code: Exclude<RejectCode, 'conflict'>;
}

export interface GapRange extends SeqRange {
  readonly reason: GapReason;
}

/** Facts about one stream that are to be committed together. */
export interface StreamBatch {
  /** Whose it is: what one collector brings keeps its order, and shares with what others bring. */
  readonly collector: string;
  readonly stream: StreamId;
  readonly receivedAt: number;
  /** Seqs ascend strictly; CRCs have been checked. */
  readonly frames: readonly WireFrame[];
  readonly gaps: readonly GapRange[];
  readonly rejects: readonly RejectedSeq[];
}

export interface CommitOutcome {
  /** What holds for every seq of the batch, conflicts left out; not merged, not sorted. */
  readonly settled: readonly SettledRange[];
  /** Seqs under which other bytes are stored. The stored row stands. */
  readonly conflicts: readonly number[];
  /** Frames that were stored (or pruned) before, with the same bytes. */
  readonly duplicates: number;
}

/** A sign of life. */
export interface Heard {
  readonly collector: string;
  readonly at: number;
  readonly highest?: { readonly stream: StreamId; readonly seq: number } | undefined;
}

export interface NewestFrame {
  readonly epoch: Epoch;
  readonly seq: number;
  readonly capturedAt: number;
  readonly receivedAt: number;
}

export interface KnownCollector {
  readonly collector: string;
  /** The process that was heard last. */
  readonly instance: string;
  readonly lastHeardAt: number;
  /** The stored frame with the highest seq of the newest epoch that has any. */
  readonly newest: NewestFrame | undefined;
}

/** A run of seqs and, where the state has one, the reason. */
export interface AuditRange extends SeqRange {
  readonly reason?: string;
}

export interface EpochAudit {
  readonly epoch: Epoch;
  /** 1, or 0 in an epoch of which no seq is known. */
  readonly first: number;
  readonly last: number;
  /** How many. */
  readonly stored: number;
  readonly declared: readonly AuditRange[];
  readonly rejected: readonly AuditRange[];
  readonly pruned: readonly AuditRange[];
  /** Announced, not settled, and still held by the collector. */
  readonly pending: readonly AuditRange[];
  /** Not settled, and nobody has them. */
  readonly missing: readonly AuditRange[];
  /** Frames that came again with the same bytes. */
  readonly duplicatesRefused: number;
  /** Seqs for which a frame with other bytes was refused. */
  readonly conflictsRefused: number;
}

export interface CollectorAudit {
  readonly collector: string;
  readonly lastHeardAt: number;
  /** Oldest first. */
  readonly epochs: readonly EpochAudit[];
}

/** Which of what is not stored; times as capture times. */
export interface GapQuery {
  readonly collector: string;
  /** Only what may have been captured at this time or later. */
  readonly capturedFrom?: number | undefined;
  /** Only what may have been captured before this time. */
  readonly capturedBefore?: number | undefined;
}

/** A run of seqs of one fate that are not stored, and where it lies in time as far as that is known. */
export interface PlacedGap extends SeqRange {
  readonly epoch: Epoch;
  readonly kind: 'declared' | 'rejected' | 'pruned' | 'pending' | 'missing';
  /** Of what was declared or rejected. */
  readonly reason: string | undefined;
  /**
   * Capture times of the stored frames next to it, by seq and then by epoch: undefined where the
   * collector has none on that side. With a clock that was set back the first can be the later one.
   */
  readonly capturedAfter: number | undefined;
  readonly capturedBefore: number | undefined;
}

export interface PlacedGaps {
  /** Newest first: by epoch and seq, descending. */
  readonly gaps: readonly PlacedGap[];
  /** False when there may be more of them, older than these. */
  readonly complete: boolean;
}

/** How many frames have which fate. */
export interface AuditTotals {
  readonly stored: number;
  readonly declared: number;
  readonly rejected: number;
  readonly pruned: number;
  readonly pending: number;
  readonly missing: number;
  readonly duplicatesRefused: number;
  readonly conflictsRefused: number;
}

/** The whole store in a few numbers. */
export interface StoreSummary {
  readonly totals: AuditTotals;
  readonly collectors: number;
  /** How many of them were heard last before each of the times that were asked for. */
  readonly silent: readonly number[];
  /** What the rows take on disk, with room that is free among them; without the write-ahead log. */
  readonly bytes: number;
}

export interface StoredFrame extends Frame {
  readonly collector: string;
  readonly receivedAt: number;
}

/** A place in the order of {@link Store.frames}. */
export interface FramePosition {
  readonly collector: string;
  readonly epoch: Epoch;
  readonly capturedAt: number;
  readonly seq: number;
}

/** Which frames; what is left out narrows nothing. */
export interface FrameFilter {
  readonly collector?: string | undefined;
  readonly epoch?: Epoch | undefined;
  /** Captured at this time or later. */
  readonly capturedFrom?: number | undefined;
  /** Captured before this time. */
  readonly capturedBefore?: number | undefined;
}

export interface FrameQuery extends FrameFilter {
  /** By collector, epoch, capture time and seq: ascending, or all of them descending. */
  readonly order: 'oldest' | 'newest';
  readonly limit: number;
  /** Only what comes after this place. */
  readonly after?: FramePosition | undefined;
}

export interface FramePage {
  readonly frames: readonly StoredFrame[];
  /** True when there is nothing after these. */
  readonly last: boolean;
}

/** What is to go: the frames that arrived first, for either reason. Times and bytes as given. */
export interface PruneRequest {
  /** Those that arrived before the first one received at this time or later. */
  readonly receivedBefore?: number | undefined;
  /** As many as it takes for the store to be no larger than this, as it counts bytes. */
  readonly keepBytes?: number | undefined;
}

export interface PruneOutcome {
  /** How many went. */
  readonly pruned: number;
  /** There are more to go: ask again. */
  readonly more: boolean;
}

/** Whether commits succeed, as of the last one. */
export type StoreStatus =
  | { readonly writable: true }
  | { readonly writable: false; readonly reason: string };

export interface Store {
  /** A UUID made with the store. */
  readonly storeId: string;
  readonly status: StoreStatus;
  /** Resolves when the store can't be used any more: end the process, a restart verifies anew. */
  readonly failed: Promise<StoreError>;
  /** Resolves when it is on disk. Rejects with StoreError. */
  announce(announcement: Announcement): Promise<AnnounceAnswer>;
  /**
   * Resolves when it is on disk, together with whatever else was waiting. A frame that can't be
   * taken is an outcome. Rejects with StoreError: then nothing of the batch may be acknowledged.
   */
  commit(batch: StreamBatch): Promise<CommitOutcome>;
  /** Kept soon, at the latest with the next commit or after a second. */
  heard(heard: Heard): void;
  /** By name. */
  collectors(): Promise<readonly KnownCollector[]>;
  /** Of all collectors, or of one; empty when it isn't known. */
  audit(collector?: string): Promise<readonly CollectorAudit[]>;
  /** What is not stored, as the audit has it; a bounded number. None when the collector isn't known. */
  gaps(query: GapQuery): Promise<PlacedGaps>;
  summary(silentSince: readonly number[]): Promise<StoreSummary>;
  frames(query: FrameQuery): Promise<FramePage>;
  /**
   * Everything that matches behind a place, by collector, epoch, capture time and seq, in chunks of
   * bounded size. Nothing of the store is held while a chunk is worked on.
   */
  export(filter: FrameFilter, after?: FramePosition): AsyncIterable<readonly StoredFrame[]>;
  /**
   * Removes the frames that arrived first, in the order of arrival; the newest of all stays. A bounded
   * number, so that commits don't wait for it. Pruned seqs stay settled, and never return: a frame
   * that comes again is a duplicate, whatever its bytes. Resolves when it is on disk.
   */
  prune(request: PruneRequest): Promise<PruneOutcome>;
  /** Commits what waits, then closes. */
  close(): Promise<void>;
}

export type StoreErrorCode =
  /** Another process holds the store's lock. */
  | 'busy'
  /** No room on the disk. */
  | 'full'
  /** The disk failed: what it holds is not known until a restart has read it. */
  | 'io'
  /** The store's files are damaged. */
  | 'corrupt'
  /** The file at the store's place is not a store. */
  | 'foreign'
  /** A newer Holdfast made this store. */
  | 'newer'
  /** The store's directory can't be made or used. */
  | 'path'
  /** The store was closed. */
  | 'closed'
  /** A bug of ours. */
  | 'internal';

/** The store can't do what was asked; `retry` says whether waiting helps. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  readonly retry: 'later' | 'never';

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retry = code === 'busy' || code === 'full' ? 'later' : 'never';
  }
}
