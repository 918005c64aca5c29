/**
 * The queue's segment files in a row: closed ones, which only shrink in number, and the one that is
 * being written. Knows which bytes are durable, how much disk is in use, and when a new file is
 * due. Not here: what may be removed and what has to be declared before (`core.ts`).
 */
import { strict as assert } from 'node:assert';
import type { Epoch } from '#protocol/identity.ts';
import type { SeqRange } from '#protocol/settlement.ts';
import type { EpochState } from './epochs.ts';
import type { FilePort } from './file-port.ts';
import { removeIndex, saveIndex } from './index-file.ts';
import { setAside } from './repair.ts';
import type { Reserve } from './reserve.ts';
import {
  EPOCH_RECORD_BYTES,
  type EpochRecord,
  encodeGapSegment,
  frameRecordBytes,
  SEGMENT_HEADER_BYTES,
  segmentName,
} from './segment.ts';
import { chargedBytes, Segment } from './segment-index.ts';
import { SegmentWriter, Staging } from './segment-writer.ts';
import type { Gap } from './types.ts';

/** The epoch of this opening, as frames are written into it. */
export interface WritingEpoch {
  readonly state: EpochState;
  /** The epoch's 16 bytes. */
  readonly bytes: Buffer;
  /** The first seq that is staged and not durable. */
  firstStaged: number;
  nextSeq: number;
}

/** A gap, and the state of its epoch. */
type StatedGap = Gap & { readonly state: EpochState };

interface Active {
  readonly segment: Segment;
  readonly writer: SegmentWriter;
  /** The records in it, frames apart; behind those that are durable, those that are staged. */
  readonly epochs: Recorded<EpochRecord>;
  readonly gaps: Recorded<Gap>;
  /** The epoch that this segment's head names. */
  named: Epoch | undefined;
}

/** Records of one kind in a segment, in their order. */
class Recorded<T> {
  readonly #records: T[] = [];
  #durable = 0;

  get durable(): readonly T[] {
    return this.#records.slice(0, this.#durable);
  }

  stage(record: T): void {
    this.#records.push(record);
  }

  onCommitted(): void {
    this.#durable = this.#records.length;
  }

  /** What was staged is cut off the file. */
  discard(): void {
    this.#records.length = this.#durable;
  }
}

export class SegmentLog {
  readonly #files: FilePort;
  readonly #segmentBytes: number;
  readonly #staging = new Staging();
  #segments: Segment[];
  #active: Active | undefined;
  #writing: WritingEpoch | undefined;
  #nextNumber: number;
  #closedBytes = 0;

  constructor(
    files: FilePort,
    start: {
      readonly segmentBytes: number;
      readonly segments: readonly Segment[];
      readonly nextNumber: number;
    },
  ) {
    this.#files = files;
    this.#segmentBytes = start.segmentBytes;
    this.#segments = [...start.segments];
    this.#nextNumber = start.nextNumber;
    this.#countClosedBytes();
  }

  /** All segments in ascending order, the active one at the end. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Those that are not being written any more. */
  get closed(): readonly Segment[] {
    return this.#active === undefined ? this.#segments : this.#segments.slice(0, -1);
  }

  get active(): Segment | undefined {
    return this.#active?.segment;
  }

  /** What the segments take on disk, staged records included. */
  get usedBytes(): number {
    return this.#closedBytes + (this.#active ? chargedBytes(this.#active.writer.bytes) : 0);
  }

  /** What one more frame adds to `usedBytes` at most. */
  costOf(payloadBytes: number): number {
    return frameRecordBytes(payloadBytes) + EPOCH_RECORD_BYTES + chargedBytes(SEGMENT_HEADER_BYTES);
  }

  /** Stages the next frame of the epoch of this opening. Answers its seq. */
  stageFrame(writing: WritingEpoch, capturedAt: number, payload: Uint8Array): number {
    this.#writing = writing;
    const active = this.#activeFor(frameRecordBytes(payload.length));
    this.#name(active, writing);
    const seq = writing.nextSeq;
    const offset = active.writer.stageFrame(writing.bytes, seq, capturedAt, payload);
    active.segment.note(writing.state, seq, offset);
    writing.nextSeq += 1;
    return seq;
  }

  /**
   * Gives out `count` seqs of the epoch of this opening without frames; nothing may be staged. What
   * becomes of them is to be recorded in gaps.
   */
  skip(writing: WritingEpoch, count: number): SeqRange {
    assert(writing.nextSeq === writing.firstStaged, 'frames are staged before those to be skipped');
    this.#writing = writing;
    const from = writing.nextSeq;
    writing.nextSeq += count;
    writing.firstStaged = writing.nextSeq;
    writing.state.reaches(writing.nextSeq - 1);
    return { from, to: writing.nextSeq - 1 };
  }

  /**
   * Stages gaps. Answers the number of the segment that they are in. The epoch of this opening is
   * named behind them: its record tells how far the epoch goes, and must not outlive gaps up to there.
   */
  stageGaps(gaps: readonly StatedGap[]): number {
    const active = this.#active ?? this.#start();
    for (const gap of gaps) {
      active.writer.stageGap(gap);
      active.gaps.stage(gap);
      active.segment.addGap(gap.state);
    }
    const writing = this.#writing;
    if (writing && gaps.some(({ state }) => state === writing.state)) this.#name(active, writing);
    return active.segment.number;
  }

  /** Makes everything staged durable, and only then known as frames of its segment. */
  commit(): void {
    if (this.#active === undefined || !this.#active.writer.hasUnsynced) return;
    const { segment, writer, epochs, gaps } = this.#active;
    writer.sync();
    segment.bytes = writer.bytes;
    epochs.onCommitted();
    gaps.onCommitted();
    const writing = this.#writing;
    if (writing === undefined || writing.firstStaged === writing.nextSeq) return;
    segment.addFrames(writing.state, writing.firstStaged, writing.nextSeq - 1);
    writing.state.reaches(writing.nextSeq - 1);
    writing.firstStaged = writing.nextSeq;
  }

  /**
   * Gives up what is staged, and what of it was written: there was no room. Their seqs will be given
   * out again. Answers whether frames were among it.
   */
  discard(): boolean {
    if (this.#active !== undefined) {
      const { segment, writer, epochs, gaps } = this.#active;
      writer.cutBack();
      segment.forgetNotesFrom(writer.bytes);
      epochs.discard();
      gaps.discard();
      this.#active.named = undefined;
    }
    const writing = this.#writing;
    if (writing === undefined || writing.nextSeq === writing.firstStaged) return false;
    writing.nextSeq = writing.firstStaged;
    return true;
  }

  /**
   * Makes a segment of gaps alone in the room of the reserve; nothing may be staged. Answers its
   * number; `undefined` when the reserve has no room for it.
   */
  putGaps(gaps: readonly StatedGap[], reserve: Reserve): number | undefined {
    this.closeActive();
    const number = this.#nextNumber;
    const content = encodeGapSegment(number, this.#epochRecord, gaps);
    if (!reserve.spend(segmentName(number), content)) return undefined;
    this.#nextNumber += 1;
    const segment = new Segment(number, content.length);
    for (const { state } of gaps) segment.addGap(state);
    this.#segments.push(segment);
    this.#countClosedBytes();
    return number;
  }

  /** Ends the active segment, which gets its index; the next record starts a new one. */
  closeActive(): void {
    this.commit();
    if (this.#active !== undefined) {
      this.#active.writer.close();
      if (!this.#active.segment.isDamaged) saveIndex(this.#files, factsOf(this.#active));
    }
    this.#active = undefined;
    this.#countClosedBytes();
  }

  /** The number of the next segment; none was ever used with this number or a higher one. */
  get nextNumber(): number {
    return this.#nextNumber;
  }

  /** Takes in a closed segment that was made beside the others; its number is free. */
  insert(segment: Segment): void {
    this.#segments = [...this.#segments, segment].sort((a, b) => a.number - b.number);
    this.#countClosedBytes();
  }

  /** Lets the next opening read a segment whole; durable on return. */
  dropIndex({ number }: Segment): void {
    removeIndex(this.#files, number);
    this.#files.syncDirectory('');
  }

  /** Lets go of the active file without another write. */
  abandon(): void {
    this.#active?.writer.close();
    this.#active = undefined;
  }

  /**
   * Removes closed segments' files, durably: the checkpoint may then forget what was in them.
   * Damaged ones are set aside.
   * @throws NoSpaceError: those in front of the one that could not be set aside are removed.
   */
  remove(segments: readonly Segment[]): void {
    for (const segment of segments) {
      const name = segmentName(segment.number);
      if (segment.isDamaged) setAside(this.#files, name);
      else this.#files.unlink(name);
      this.#segments = this.#segments.filter((kept) => kept !== segment);
      this.#countClosedBytes();
      removeIndex(this.#files, segment.number);
    }
    this.#files.syncDirectory('');
  }

  #activeFor(recordBytes: number): Active {
    const bytes = this.#active?.writer.bytes ?? 0;
    const isBegun = bytes > SEGMENT_HEADER_BYTES + EPOCH_RECORD_BYTES;
    if (isBegun && bytes + recordBytes > this.#segmentBytes) this.closeActive();
    return this.#active ?? this.#start();
  }

  /** What the epoch of this opening is to be known by in a segment. */
  get #epochRecord(): EpochRecord | undefined {
    if (this.#writing === undefined) return undefined;
    const { state, nextSeq } = this.#writing;
    return { epoch: state.epoch, nextSeq, predecessor: state.predecessor };
  }

  /** Lets a segment name the epoch before anything of it is there. */
  #name(active: Active, { state }: WritingEpoch): void {
    const record = this.#epochRecord;
    if (active.named === state.epoch || record === undefined) return;
    active.writer.stageEpoch(record);
    active.epochs.stage(record);
    active.named = state.epoch;
  }

  #start(): Active {
    const number = this.#nextNumber;
    const writer = new SegmentWriter(this.#files, number, this.#staging);
    this.#nextNumber += 1;
    const segment = new Segment(number, writer.bytes);
    this.#segments.push(segment);
    this.#active = {
      segment,
      writer,
      epochs: new Recorded(),
      gaps: new Recorded(),
      named: undefined,
    };
    return this.#active;
  }

  #countClosedBytes(): void {
    this.#closedBytes = this.closed.reduce((sum, { bytes }) => sum + chargedBytes(bytes), 0);
  }
}

/** What a segment says whose records are all durable. */
function factsOf({ segment, epochs, gaps }: Active): Parameters<typeof saveIndex>[1] {
  const { number, bytes } = segment;
  const runs = segment.runs.map(({ state, from, to }) => ({ epoch: state.epoch, from, to }));
  const places = segment.places.map(({ state, seq, offset }) => ({
    epoch: state.epoch,
    seq,
    offset,
  }));
  return { number, bytes, runs, places, epochs: epochs.durable, gaps: gaps.durable };
}
