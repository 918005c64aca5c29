/**
 * The queue itself: appends, group commits, settlement, eviction, reading and upkeep, synchronous
 * over the file port. No thread, no timer, no clock and no randomness of its own, so that the same
 * code runs in the worker thread and in the simulation.
 *
 * Theory of operation
 * - `append` stages a frame in memory and gives it its seq; `commit` makes all that is staged
 *   durable with one write and one sync. Only then does anything here answer for the frame: it
 *   counts, it can be read, its seq is the epoch's highest.
 * - The epoch is minted at the first append after the opening, and a file is only written by the
 *   opening that made it. So no number is ever used twice, whatever became of older files.
 * - What is given up is declared first: gap records are durable before the frames' segment goes.
 *   A segment goes when nothing in it is needed any more, and only after the checkpoint remembers
 *   what of it was settled. Settled segments may be kept for a while (`kept-segments.ts`); they are
 *   the first to go when there is no room, and nobody has to be told.
 * - What was settled can be lost by the store. `reconcile` holds what is remembered against what the
 *   store answers: what is still on disk becomes pending again, what isn't is declared. It needs no
 *   note of its own: until a checkpoint without the lost seqs is written, which happens behind the
 *   gaps, the next opening remembers them as settled, and the next answer shows again that they
 *   are lost.
 *
 * - A full disk is no failure. What is staged and finds no room is given up, and durably cut off the
 *   file, before anything else is done: its seqs are given out again. Declaring and removing go on in
 *   the room of the reserve; where even that fails, they are put off until there is room.
 *
 * After any other failed write, and any failed sync, the queue is failed for good: no further byte
 * is written to any file of it, nothing is cut back and nothing retried. The next opening reads what
 * is really there. Reading goes on, so that what is durable can still be delivered.
 */
import { join } from 'node:path';
import { type Epoch, type Frame, uuidToBytes } from '#protocol/identity.ts';
import {
  countSeqs,
  type GapReason,
  type SeqRange,
  type SettledRange,
  SettledRanges,
} from '#protocol/settlement.ts';
import { framesOnDisk } from './accounting.ts';
import { Ages } from './ages.ts';
import { CHECKPOINT_NAME, encodeCheckpoint } from './checkpoint.ts';
import { EpochState, type Epochs } from './epochs.ts';
import { DiskFullError, QueueFailedError, QueueReadError } from './errors.ts';
import { type FilePort, NoSpaceError, replaceWhole } from './file-port.ts';
import type { Gaps } from './gaps.ts';
import { KeptSegments } from './kept-segments.ts';
import { type MissingFrames, PendingReader } from './pending-reader.ts';
import { recover } from './recovery.ts';
import { Replay } from './replay.ts';
import { Reserve } from './reserve.ts';
import { reasonOf, segmentName } from './segment.ts';
import { damageWhileOpen, framesIn, readSegmentFacts, type SegmentFacts } from './segment-facts.ts';
import type { Place, Segment } from './segment-index.ts';
import { SegmentLog, type WritingEpoch } from './segment-log.ts';
import { type Sending, saveSending } from './sending-file.ts';
import { type LostRange, lostRanges } from './store-loss.ts';
import type {
  Damage,
  Fate,
  Gap,
  HeldEpoch,
  QueuePosition,
  QueueStats,
  ReadLimits,
  RecoveryReport,
  StoreLoss,
  WhenFull,
} from './types.ts';

export interface CoreOptions {
  /** For messages only. */
  readonly path: string;
  readonly limitBytes: number;
  readonly whenFull: WhenFull;
  readonly segmentBytes: number;
  /** How much of what is settled is kept; none, when left out. */
  readonly keepSettledBytes?: number;
  readonly keepSettledMs?: number;
  /** Frames that were appended longer ago, in milliseconds, are given up; 0 or left out: none. */
  readonly maxAgeMs?: number;
  /** True: no segment is removed because all in it is settled, whatever the two above say. */
  readonly keepsSettled?: boolean;
  /** Makes a UUIDv7. */
  readonly mintEpoch: () => Epoch;
}

/** An active segment of which all is settled is removed from this part of its full size on. */
const DONE_ACTIVE_SHARE = 1 / 16;

/**
 * Settled ranges that are told of the epoch of which something was settled last, beside what is
 * pending. A store that an older copy has replaced lacks some of them; and an answer of 64 ranges
 * still has room for what was settled unheard, which a link that breaks early lives by.
 */
const TOLD_RANGES = 16;

const START: Place = { ordinal: 0, seq: 0 };

export class QueueCore {
  readonly recovery: RecoveryReport;
  readonly #files: FilePort;
  readonly #options: CoreOptions;
  readonly #epochs: Epochs;
  readonly #gaps: Gaps;
  readonly #log: SegmentLog;
  readonly #kept: KeptSegments;
  readonly #ages: Ages;
  readonly #reserve: Reserve;
  readonly #replay: Replay;
  readonly #reader: PendingReader;
  /** Looks for the oldest frame, without disturbing where reading goes on. */
  readonly #peeker: PendingReader;
  #writing: WritingEpoch | undefined;
  #storeId: string | undefined;
  /** Something was appended or settled that the checkpoint doesn't have. */
  #dirty = false;
  /** Something was settled or declared since segments were last looked through. */
  #looseEnds = true;
  #newGaps: Gap[] = [];
  #newDamage: Damage[] = [];
  /** Damaged segments of which the next opening would not hear yet. */
  #unnoted: Segment[] = [];
  #newLosses: StoreLoss[] = [];
  /** The epoch of which something was settled last; before this opening, most likely, the newest. */
  #lastSettled: EpochState | undefined;
  /** The owner's clock, as of the last upkeep. */
  #now = 0;
  #acked = 0;
  #evicted = 0;
  #damaged = 0;
  #oldest: { readonly position: QueuePosition; readonly capturedAt: number } | undefined;
  #failure: QueueFailedError | undefined;
  /** There was no room when something was last written. */
  #diskFull = false;
  /** Why staged frames were given up; whoever staged them was not told yet. */
  #discarded: NoSpaceError | undefined;

  /**
   * Opens what is on disk, repairs and declares what has to be.
   * @throws The port's own errors, or QueueFailedError with one; it can then be tried again.
   */
  constructor(files: FilePort, options: CoreOptions) {
    this.#files = files;
    this.#options = options;
    const { epochs, gaps, storeId, segments, nextSegment, missing, ...found } = recover(files);
    this.#epochs = epochs;
    this.#gaps = gaps;
    this.#storeId = storeId;
    this.#lastSettled = epochs.inOrder.findLast(({ settled }) => settled.length > 0);
    const { segmentBytes } = options;
    this.#log = new SegmentLog(files, { segmentBytes, segments, nextNumber: nextSegment });
    const { keepSettledBytes: bytes = 0, keepSettledMs: ms = 0 } = options;
    this.#kept = new KeptSegments({ bytes, ms });
    this.#ages = new Ages(options.maxAgeMs ?? 0);
    this.#ages.note(this.stats.highest, 0);
    this.#reader = new PendingReader(files, options.path);
    this.#peeker = new PendingReader(files, options.path);
    this.#reserve = new Reserve(files);
    this.#replay = new Replay({
      files,
      log: this.#log,
      epochs,
      peeker: this.#peeker,
      segmentBytes,
      makeRoom: (bytes) => this.#makeRoomKeeping(bytes),
      isDone: (segment) => this.#isDone(segment),
      remove: (done) => this.#remove(done),
      saveReopened: () => this.#saveReopened(),
    });
    if (missing.length > 0) this.#declareDamaged(missing);
    this.#whereRoom('remove settled segments', () => this.#removeDone(Number.POSITIVE_INFINITY));
    this.#findOldest();
    this.recovery = {
      segments: segments.length,
      frames: epochs.pendingFrames,
      tornBytes: found.tornBytes,
      damage: found.damage,
      gaps: this.takeNewGaps(),
    };
  }

  /** The reason why nothing more is accepted. */
  get failure(): QueueFailedError | undefined {
    return this.#failure;
  }

  /**
   * Stages a frame. Not durable, and not to be answered for, before `commit`.
   * @param payload At most PAYLOAD_BYTES_MAX bytes; copied.
   * @returns its identity, or `undefined` when the queue has no room for it.
   * @throws DiskFullError: neither it nor any other frame that is staged is accepted. Those up to
   * `stats.highest` are durable.
   */
  append(payload: Uint8Array, capturedAt: number): QueuePosition | undefined {
    return this.#answering('write frames', () => {
      if (!this.#makeRoom(payload.length)) return undefined;
      // A frame behind seqs that were declared must not outlive the gap.
      if (this.#gaps.anyUnwritten) this.#commit();
      this.#writing ??= this.#mintEpoch();
      const seq = this.#log.stageFrame(this.#writing, capturedAt, payload);
      const position = { epoch: this.#writing.state.epoch, seq };
      this.#oldest ??= { position, capturedAt };
      // How far the epoch goes has to stand outside its last segment, or damage to that one's end
      // looks like a write that never finished.
      this.#dirty = true;
      return position;
    });
  }

  /**
   * Returns when everything staged is durable.
   * @throws DiskFullError as `append`.
   */
  commit(): void {
    this.#answering('make frames durable', () => this.#commit());
  }

  /**
   * Gives out seqs for frames that were captured, found no room on the disk, and are lost: so they
   * are missed by number. Nothing may be staged. Written down once there is room.
   */
  declareLost(count: number): Gap {
    return this.#writes('declare lost frames', () => {
      this.#writing ??= this.#mintEpoch();
      const { state } = this.#writing;
      const range = this.#log.skip(this.#writing, count);
      this.#declare(state, range, 'disk_full');
      this.#dirty = true;
      this.#secureGapsWhereRoom();
      return { epoch: state.epoch, ...range, reason: 'disk_full' };
    });
  }

  /** True when there are dead letters that are to be sent again. */
  get replayAsked(): boolean {
    return this.#failure === undefined && this.#replay.asked;
  }

  /**
   * Puts frames of dead letters back among those that wait, as many as go at once; the others the
   * next time. Answers how many. On a full disk it is put off.
   */
  replay(): number {
    let count = 0;
    this.#whereRoom('put dead letters back', () => {
      count = this.#replay.take();
    });
    return count;
  }

  /** See `Queue.readPending`. */
  readPending(after: QueuePosition | undefined, limits: ReadLimits): Frame[] {
    const state = after && this.#epochs.get(after.epoch);
    const place = state && after ? { ordinal: state.ordinal, seq: after.seq } : START;
    for (;;) {
      const read = this.#reader.read(this.#log.segments, place, limits);
      const { frames, missing } = read;
      for (const segment of read.damaged) this.#onDamaged(segment);
      if (missing.length > 0) this.#declareDamaged(missing);
      if (missing.length === 0 || frames.length > 0) return frames;
    }
  }

  pendingGaps(): Gap[] {
    return this.#gaps.pending();
  }

  /** See `Queue.held`. */
  held(): HeldEpoch[] {
    const newest = this.#newest;
    return this.#epochs.inOrder.flatMap((state) => {
      const { epoch, highest, predecessor } = state;
      const isPending = state.lowestUnsettled <= highest;
      if (highest === 0 || (!isPending && !this.#epochs.isRemembered(state))) return [];
      const isLast = state === this.#lastSettled;
      const onlyRemembered = !isPending && state !== newest && !isLast;
      const settledRanges = onlyRemembered ? Number.POSITIVE_INFINITY : isLast ? TOLD_RANGES : 0;
      const lowest = state.lowestWith(settledRanges);
      return [{ epoch, lowest, highest, predecessor, onlyRemembered }];
    });
  }

  /**
   * Takes in what a store has settled. With the first word from another store than before, nothing
   * counts as settled any more: frames that are still here, kept ones too, are pending again, and
   * those that are gone are declared, as settled elsewhere.
   */
  settle(storeId: string, epoch: Epoch, ranges: readonly SettledRange[]): void {
    if (this.#storeId !== storeId) {
      if (this.#storeId !== undefined) this.#forgetSettled();
      this.#storeId = storeId;
      this.#dirty = true;
    }
    const state = this.#epochs.get(epoch);
    if (state === undefined) return;
    for (const range of ranges.flatMap((told) => concerning(state, told))) {
      const confirmed = range.state === 'stored' ? state.countUnstored(range) : 0;
      if (!state.settle(range)) continue;
      this.#acked += confirmed;
      this.#lastSettled = state;
      this.#dirty = true;
      this.#looseEnds = true;
    }
  }

  /**
   * Takes in *all* that a store has settled within [from, to] of an epoch. What it had settled there
   * before and doesn't name is lost: frames that are still here are pending again, those that are
   * gone are declared. Refused frames among `ranges` are not settled by this; they have to be kept
   * aside first.
   */
  reconcile(
    storeId: string,
    epoch: Epoch,
    { from, to }: SeqRange,
    ranges: readonly SettledRange[],
  ): void {
    this.settle(storeId, epoch, []);
    const state = this.#epochs.get(epoch);
    if (state === undefined) return;
    const lost = lostRanges(state.settledWithin(from, to), ranges);
    const settled = ranges.filter((range) => range.state !== 'rejected');
    this.settle(storeId, epoch, settled);
    if (lost.length === 0) return;
    this.#writes('declare what the store has lost', () => {
      this.#lose(state, lost, 'lost_after_ack');
      this.#secureGapsWhereRoom();
    });
  }

  /** Leaves word of how sending goes, for whoever looks at the queue from outside. */
  noteSending(sending: Sending): void {
    if (this.#failure === undefined) saveSending(this.#files, sending);
  }

  settled(epoch: Epoch): readonly SettledRange[] {
    return this.#epochs.get(epoch)?.settled ?? [];
  }

  /** See `Queue.fates`. */
  fate({ epoch, seq }: QueuePosition): Fate {
    const state = this.#epochs.get(epoch);
    if (state === undefined || seq > state.highest) return 'unknown';
    const range = state.fate(seq);
    return range === undefined ? 'pending' : { state: range.state, code: range.code };
  }

  /** See `Queue.pendingUpTo`. */
  pendingUpTo({ epoch, seq }: QueuePosition): number {
    const last = this.#epochs.get(epoch);
    if (last === undefined) return 0;
    const before = this.#epochs.inOrder.filter(({ ordinal }) => ordinal < last.ordinal);
    const open = last.open(1, Math.min(seq, last.highest));
    return before.reduce((sum, { pendingFrames }) => sum + pendingFrames, 0) + countSeqs(open);
  }

  /** Gaps declared since this was last asked, those of the opening apart. */
  takeNewGaps(): Gap[] {
    const gaps = this.#newGaps;
    this.#newGaps = [];
    return gaps;
  }

  /** Damage found since this was last asked, that of the opening apart. */
  takeNewDamage(): Damage[] {
    const damage = this.#newDamage;
    this.#newDamage = [];
    return damage;
  }

  /** What stores have lost, since this was last asked. */
  takeNewLosses(): StoreLoss[] {
    const losses = this.#newLosses;
    this.#newLosses = [];
    return losses;
  }

  get stats(): QueueStats {
    const newest = this.#newest;
    const frames = this.#epochs.pendingFrames;
    return {
      frames,
      bytes: this.#log.usedBytes,
      keptBytes: this.#kept.bytes,
      limitBytes: this.#options.limitBytes,
      oldestCapturedAt: frames > 0 ? this.#oldest?.capturedAt : undefined,
      highest: newest && { epoch: newest.epoch, seq: newest.highest },
      storeId: this.#storeId,
      acked: this.#acked,
      evicted: this.#evicted,
      damaged: this.#damaged,
      diskFull: this.#diskFull,
      failed: this.#failure !== undefined,
    };
  }

  /** True when `maintain` has something to do. */
  get maintenanceDue(): boolean {
    const isDue =
      this.#dirty ||
      this.#looseEnds ||
      this.#kept.any ||
      this.#ages.any ||
      this.#diskFull ||
      !this.#reserve.isWhole ||
      this.#gaps.anyUnwritten;
    return isDue && this.#failure === undefined;
  }

  /**
   * Saves how far epochs go and what was settled, and removes what isn't needed any more. To be
   * called about once a second while it is due: it syncs, so not after every append or ack.
   * @param now Monotonic milliseconds since the opening; left out, no time has passed.
   * @throws DiskFullError: not all of it could be done, and it is still due.
   */
  maintain(now = this.#now): void {
    this.#now = now;
    this.#answering('save the checkpoint', () => {
      // First what may free some room: all else may need it.
      this.#gaps.dropSettled();
      this.#expire();
      this.#looseEnds = false;
      this.#removeDone(this.#options.segmentBytes * DONE_ACTIVE_SHARE);
      while (this.#diskFull && this.#removeOldestKept());
      this.#commit();
      this.#noteDamaged();
      this.#saveCheckpoint();
      const isOnDisk = (state: EpochState): boolean =>
        this.#log.segments.some((segment) => segment.speaksOf(state));
      if (this.#epochs.dropSettled(isOnDisk)) this.#dirty = true;
      this.#reserve.refill();
      this.#diskFull = false;
      this.#ages.note(this.stats.highest, now);
    });
    this.#findOldest();
  }

  /**
   * Makes durable what is staged or settled, and lets go of the files.
   * @throws DiskFullError, QueueFailedError, having let go of them all the same.
   */
  close(): void {
    try {
      if (this.#failure === undefined) this.maintain();
    } finally {
      this.#reader.close();
      this.#peeker.close();
      this.#log.abandon();
    }
  }

  get #newest(): EpochState | undefined {
    return this.#epochs.inOrder.findLast(({ highest }) => highest > 0);
  }

  /** Runs what writes to files. Its first failure is the last; on a full disk it may be repeated. */
  #writes<T>(operation: string, work: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof NoSpaceError)) throw error;
        this.#giveWay(error);
        throw new DiskFullError(this.#options.path, error);
      }
    } catch (error) {
      if (error instanceof DiskFullError) throw error;
      this.#failure ??= new QueueFailedError(this.#options.path, operation, error);
      throw this.#failure;
    }
  }

  /** The same for what answers for staged frames: it throws, too, if they are not there any more. */
  #answering<T>(operation: string, work: () => T): T {
    try {
      return this.#writes(operation, () => {
        this.#checkStaged();
        const result = work();
        this.#checkStaged();
        return result;
      });
    } finally {
      this.#discarded = undefined;
    }
  }

  #checkStaged(): void {
    if (this.#discarded !== undefined) throw this.#discarded;
  }

  /** The same for what can be put off until there is room. */
  #whereRoom(operation: string, work: () => void): void {
    try {
      this.#writes(operation, work);
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
    }
  }

  /** There is no room: what is staged goes, durably, before anything else is done. */
  #giveWay(error: NoSpaceError): void {
    this.#diskFull = true;
    this.#looseEnds = true;
    if (this.#log.discard()) this.#discarded = error;
    const oldest = this.#oldest?.position;
    if (oldest && oldest.seq > (this.#epochs.get(oldest.epoch)?.highest ?? 0)) {
      this.#oldest = undefined;
    }
  }

  /** Makes durable everything staged, and all gaps. */
  #commit(): void {
    const { unwritten } = this.#gaps;
    const home = unwritten.length > 0 ? this.#log.stageGaps(unwritten) : undefined;
    this.#log.commit();
    if (home !== undefined) this.#gaps.onWritten(home);
  }

  /** Makes all gaps durable, on a full disk in the room of the reserve. */
  #secureGaps(): void {
    try {
      this.#commit();
    } catch (error) {
      if (!(error instanceof NoSpaceError)) throw error;
      this.#giveWay(error);
      if (!this.#gaps.anyUnwritten) return;
      const home = this.#log.putGaps(this.#gaps.unwritten, this.#reserve);
      if (home === undefined) throw error;
      this.#gaps.onWritten(home);
    }
  }

  /** Makes all gaps durable, or puts it off. */
  #secureGapsWhereRoom(): void {
    try {
      this.#secureGaps();
    } catch (error) {
      if (!(error instanceof NoSpaceError)) throw error;
    }
  }

  #mintEpoch(): WritingEpoch {
    const before = this.#newest;
    const state = new EpochState(this.#options.mintEpoch());
    state.predecessor = before && { epoch: before.epoch, lastSeq: before.highest };
    this.#epochs.add(state);
    return { state, bytes: uuidToBytes(state.epoch), firstStaged: 1, nextSeq: 1 };
  }

  /** Makes room for one more frame, by the rule for full queues; false when there is none. */
  #makeRoom(payloadBytes: number): boolean {
    const cost = this.#log.costOf(payloadBytes);
    const { limitBytes, whenFull } = this.#options;
    if (this.#log.usedBytes + cost <= limitBytes) return true;
    if (cost > limitBytes) return false;
    if (this.#looseEnds) this.#removeDone(0);
    while (this.#log.usedBytes + cost > limitBytes) {
      if (this.#removeOldestKept()) continue;
      if (whenFull === 'refuse' || !this.#evictOldest()) return false;
    }
    return true;
  }

  /** Makes room for so many bytes; nothing that waits is given up for it. False: there is none. */
  #makeRoomKeeping(bytes: number): boolean {
    const { limitBytes } = this.#options;
    while (this.#log.usedBytes + bytes > limitBytes && this.#removeOldestKept());
    return this.#log.usedBytes + bytes <= limitBytes;
  }

  /** Frames that were settled are pending again, and on disk. */
  #saveReopened(): void {
    this.#oldest = undefined;
    this.#dirty = true;
    this.#looseEnds = true;
    this.#secureCheckpoint();
  }

  /** Removes the oldest segment that is only kept. False when there is none. */
  #removeOldestKept(): boolean {
    const oldest = this.#kept.release();
    if (oldest !== undefined) this.#remove([oldest]);
    return oldest !== undefined;
  }

  /** Gives up what the oldest segment still holds. False when there is nothing to give up. */
  #evictOldest(): boolean {
    this.#commit();
    const active = this.#log.active;
    if (this.#log.closed.length === 0 && active !== undefined && active.runs.length > 0) {
      this.#log.closeActive();
    }
    const victim = this.#log.closed[0];
    if (victim === undefined) return false;
    for (const { state, from, to } of victim.runs) {
      for (const open of state.open(from, to)) this.#declare(state, open, 'evicted');
    }
    this.#remove([victim]);
    return true;
  }

  /**
   * Closes the active segment if all in it is settled and it has that many bytes. Of the closed ones
   * that nothing needs any more it removes those that are not to be kept.
   */
  #removeDone(activeBytesMin: number): void {
    if (this.#options.keepsSettled) return;
    const active = this.#log.active;
    if (active !== undefined && active.bytes > activeBytesMin && this.#isDone(active)) {
      this.#log.closeActive();
    }
    const done = this.#log.closed.filter((segment) => this.#isDone(segment));
    const isRemembered = ({ runs }: Segment): boolean =>
      runs.some(({ state }) => this.#epochs.isRemembered(state));
    this.#kept.update(done.filter(isRemembered), this.#now);
    const over = done.filter((segment) => !this.#kept.has(segment));
    if (over.length > 0) this.#remove(over);
  }

  /** True when nothing in it is pending. */
  #isDone(segment: Segment): boolean {
    return segment.isDone && this.#gaps.homedIn(segment.number).length === 0;
  }

  /** Gives up what is older than it may become. */
  #expire(): void {
    const last = this.#ages.takeExpired(this.#now);
    const newest = last && this.#epochs.get(last.epoch);
    if (last === undefined || newest === undefined) return;
    for (const state of this.#epochs.inOrder) {
      const to = state === newest ? last.seq : state.highest;
      if (state.ordinal > newest.ordinal) break;
      for (const open of state.open(1, to)) this.#declare(state, open, 'expired');
    }
  }

  /** Removes segments. */
  #remove(segments: readonly Segment[]): void {
    this.#saveFrom(segments);
    for (const segment of segments) {
      this.#reader.forget(segment);
      this.#peeker.forget(segment);
    }
    this.#log.remove(segments);
  }

  /** Makes durable elsewhere what segments say beside their frames: gaps, and how far epochs go. */
  #saveFrom(segments: readonly Segment[]): void {
    this.#gaps.dropSettled();
    for (const { number } of segments) {
      for (const { state, epoch, from, to, reason } of this.#gaps.homedIn(number)) {
        this.#record(state, { epoch, from, to, reason });
      }
    }
    this.#secureGaps();
    this.#secureCheckpoint();
  }

  #declareDamaged(missing: readonly MissingFrames[]): void {
    this.#writes('declare damaged frames', () => {
      for (const { state, from, to } of missing) {
        for (const open of state.open(from, to)) this.#declare(state, open, 'damaged');
      }
      this.#secureGapsWhereRoom();
    });
  }

  /**
   * Damage was met in a segment: all of it is looked at, once, and told. The file stays as it is,
   * for its good frames are still to be sent; it is set aside when they are, or by the next opening,
   * which reads it whole.
   */
  #onDamaged(segment: Segment): void {
    if (segment.isDamaged || this.#failure !== undefined) return;
    const facts = this.#readWhole(segment);
    segment.isDamaged = true;
    this.#newDamage.push(damageWhileOpen(facts));
    this.#unnoted.push(segment);
    this.#whereRoom('note a damaged segment', () => this.#noteDamaged());
    const here = framesIn(facts);
    this.#declareDamaged(
      segment.runs.flatMap(({ state, from, to }) => {
        const gone = here.get(state.epoch)?.unsettled(from, to) ?? [{ from, to }];
        return gone.map((run) => ({ state, ...run }));
      }),
    );
  }

  /**
   * Lets the next opening find the damage again. What the segments say beside their frames is
   * written anew first, for in them it may not read any more.
   */
  #noteDamaged(): void {
    if (this.#unnoted.length === 0) return;
    this.#dirty = true;
    this.#saveFrom(this.#unnoted);
    for (const segment of this.#unnoted) this.#log.dropIndex(segment);
    this.#unnoted = [];
  }

  #readWhole({ number, bytes }: Segment): SegmentFacts {
    try {
      return readSegmentFacts(this.#files, number, bytes);
    } catch (error) {
      throw new QueueReadError(join(this.#options.path, segmentName(number)), error);
    }
  }

  /** Gives up frames. Written down with the next commit. */
  #declare(state: EpochState, { from, to }: SeqRange, reason: GapReason): void {
    const gap = { epoch: state.epoch, from, to, reason };
    this.#record(state, gap);
    this.#newGaps.push(gap);
    if (reason === 'evicted') this.#evicted += to - from + 1;
    if (reason === 'damaged') this.#damaged += to - from + 1;
    this.#looseEnds = true;
  }

  /** Takes note of a gap to be written down, joined with what it touches. */
  #record(state: EpochState, gap: Gap): void {
    this.#gaps.add(state, this.#gaps.joined(state, gap));
  }

  /** Another store: what the old one has settled is either still here to be sent, or declared. */
  #forgetSettled(): void {
    this.#writes('declare frames as settled elsewhere', () => {
      this.#recallForgotten();
      for (const state of this.#epochs.inOrder) {
        this.#lose(state, lostRanges(state.settled, []), 'settled_elsewhere');
      }
      this.#secureGapsWhereRoom();
    });
  }

  /**
   * Makes pending what a store no longer has of an epoch: as frames where they are still on disk,
   * else as gaps, those that were gaps before for their old reason. What isn't here and has a lesser
   * fate in the store by now keeps that one. Durable after the next commit.
   */
  #lose(state: EpochState, lost: readonly LostRange[], reason: StoreLoss['reason']): void {
    if (lost.length === 0) return;
    const here = framesOnDisk(this.#log.segments).get(state) ?? new SettledRanges();
    for (const range of lost) state.reopen(range);
    this.#gaps.declareAgain(state);
    const { epoch } = state;
    let declared = 0;
    for (const { from, to, before, now } of lost) {
      for (const gone of here.unsettled(from, to)) {
        declared += gone.to - gone.from + 1;
        if (now !== undefined) state.settle({ ...now, ...gone });
        else if (before.state !== 'declared') this.#declare(state, gone, reason);
        else this.#record(state, { ...gone, epoch, reason: reasonOf(before.code) ?? reason });
      }
    }
    const ranges = lost.map(({ from, to }) => ({ from, to }));
    const seqs = countSeqs(ranges);
    this.#newLosses.push({ reason, epoch, ranges, resent: seqs - declared, declared });
    this.#oldest = undefined;
    this.#dirty = true;
    this.#looseEnds = true;
  }

  /**
   * The epoch before the oldest known one was forgotten because all of it was settled. The new store
   * hears of it as a predecessor and would miss it for ever, so it is declared with the others.
   */
  #recallForgotten(): void {
    const before = this.#epochs.inOrder[0]?.predecessor;
    if (before === undefined || before.lastSeq === 0) return;
    const state = new EpochState(before.epoch);
    state.reaches(before.lastSeq);
    state.settle({ from: 1, to: before.lastSeq, state: 'stored', code: 0 });
    this.#epochs.addOldest(state);
  }

  #saveCheckpoint(): void {
    if (!this.#dirty) return;
    replaceWhole(this.#files, CHECKPOINT_NAME, this.#checkpoint);
    this.#dirty = false;
  }

  /** Saves the checkpoint, on a full disk in the room of the reserve. */
  #secureCheckpoint(): void {
    try {
      this.#saveCheckpoint();
    } catch (error) {
      if (!(error instanceof NoSpaceError)) throw error;
      this.#diskFull = true;
      if (!this.#reserve.spend(CHECKPOINT_NAME, this.#checkpoint)) throw error;
      this.#dirty = false;
    }
  }

  get #checkpoint(): Buffer {
    const epochs = this.#epochs.inOrder.filter(({ highest }) => highest > 0);
    const nextSegment = this.#log.nextNumber;
    return encodeCheckpoint({ storeId: this.#storeId, nextSegment, epochs });
  }

  /** Looks for the capture time of the oldest pending frame, unless the last one still is it. */
  #findOldest(): void {
    const known = this.#oldest?.position;
    const state = known && this.#epochs.get(known.epoch);
    if (known && state && known.seq <= state.highest && !state.isClosed(known.seq)) return;
    this.#oldest = undefined;
    try {
      const limits = { frames: 1, bytes: 0 };
      const [frame] = this.#peeker.read(this.#log.segments, START, limits).frames;
      if (frame === undefined) return;
      const { epoch, seq, capturedAt } = frame;
      this.#oldest = { position: { epoch, seq }, capturedAt };
    } catch (error) {
      // Whoever reads frames is told; here it costs a figure in the statistics.
      if (!(error instanceof QueueReadError)) throw error;
    }
  }
}

/**
 * What the server's word means for this queue. A frame that is here is sent whatever was declared of
 * it, by a copy of this queue or while its file was set aside: stored beats declared.
 */
function concerning(state: EpochState, told: SettledRange): SettledRange[] {
  if (told.state !== 'declared') return [told];
  return state.closed(told.from, told.to).map(({ from, to }) => ({ ...told, from, to }));
}
