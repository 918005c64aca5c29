/**
 * Puts frames of dead letters back into the queue, each under its own identity and in its own place:
 * from then on they are frames that wait, like all others. A person has moved their letters to
 * `replay/` (`./holdfast collector dead replay`), whether the queue was open or not.
 *
 * Theory of operation. Frames lie in the files in the order of their identities, and reading relies
 * on it. A refused frame whose segment is still there (kept after settlement) only has to be pending
 * again. One whose segment is gone gets a segment of its own between its neighbours': the number
 * that it had there was never used again, so one is free. What stands in the way all the same (an
 * earlier replay, or a segment in which this very frame is damaged) goes as soon as all in it is
 * settled; until then the letter stays where it is.
 *
 * A letter goes when its frame is durable among the segments and the checkpoint no longer calls it
 * settled. After a crash in between, it is taken again, and found to be there.
 */
import { type Epoch, type Frame, uuidToBytes } from '#protocol/identity.ts';
import { GAP_REASONS } from '#protocol/settlement.ts';
import { EpochState, type Epochs } from './epochs.ts';
import { QueueReadError } from './errors.ts';
import { createWhole, type FilePort, NoSpaceError } from './file-port.ts';
import { saveIndex } from './index-file.ts';
import { identityOf, letterNames, loadLetter, REPLAY } from './letter-file.ts';
import type { PendingReader } from './pending-reader.ts';
import {
  EPOCH_RECORD_BYTES,
  encodeEpoch,
  encodeFrame,
  encodeSegmentHeader,
  frameRecordBytes,
  SEGMENT_HEADER_BYTES,
  segmentName,
} from './segment.ts';
import { chargedBytes, isBefore, type Place, Segment } from './segment-index.ts';
import type { SegmentLog } from './segment-log.ts';

/** What of a queue is needed to put frames back into it. */
export interface ReplayQueue {
  readonly files: FilePort;
  readonly log: SegmentLog;
  readonly epochs: Epochs;
  /** Reads a frame without disturbing where reading goes on. */
  readonly peeker: PendingReader;
  readonly segmentBytes: number;
  /** Makes room for so many bytes without giving anything up; false when there is none. */
  readonly makeRoom: (bytes: number) => boolean;
  readonly isDone: (segment: Segment) => boolean;
  /** Removes segments in which all is settled. */
  readonly remove: (segments: readonly Segment[]) => void;
  /** Makes durable that seqs are pending again. */
  readonly saveReopened: () => void;
}

interface Returning {
  readonly name: string;
  readonly frame: Frame;
  readonly state: EpochState;
}

/** Between which segments a frame belongs, by their numbers, and what keeps it from there. */
interface Hole {
  readonly above: number;
  readonly below: number;
  readonly blockers: readonly Segment[];
}

export class Replay {
  readonly #queue: ReplayQueue;
  /** Letters that can't be used; `queue verify` names those that are damaged. */
  readonly #unusable = new Set<string>();

  constructor(queue: ReplayQueue) {
    this.#queue = queue;
  }

  /** True when letters wait to be taken. */
  get asked(): boolean {
    return this.#names().length > 0;
  }

  /**
   * Takes some of the letters; the others when called again. Answers how many frames are pending
   * again.
   * @throws The port's own errors. On NoSpaceError what is in the queue is as it was.
   */
  take(): number {
    const { saveReopened } = this.#queue;
    const letters = this.#load();
    const settled = letters.filter((letter) => hasBytes(letter));
    const there = letters.filter((one) => !settled.includes(one) && this.#isBack(one));
    const put = this.#put(letters.filter((one) => !settled.includes(one) && !there.includes(one)));
    const taken = [...settled, ...there, ...put];
    if (taken.length === 0) return 0;
    saveReopened();
    for (const { name } of taken) this.#forget(name);
    return there.length + put.length;
  }

  /** Whatever is wrong with that directory is no failure of the queue. */
  #names(): string[] {
    try {
      const names = letterNames(this.#queue.files, REPLAY);
      return names.filter((name) => !this.#unusable.has(name));
    } catch {
      return [];
    }
  }

  #forget(name: string): void {
    try {
      this.#queue.files.unlink(`${REPLAY}/${name}`);
    } catch {
      // Its frame waits; a later opening will find that, and try once more to remove the letter.
      this.#unusable.add(name);
    }
  }

  /** The newest letters, about a segment's worth, in the order of their frames. */
  #load(): Returning[] {
    const { files, segmentBytes } = this.#queue;
    const names = this.#names();
    this.#knowEpochs(names);
    const letters: Returning[] = [];
    let bytes = 0;
    for (const name of names.reverse()) {
      const frame = frameOf(files, name);
      const state = frame && this.#queue.epochs.get(frame.epoch);
      if (frame === undefined || state === undefined || frame.seq > state.highest) {
        this.#unusable.add(name);
        continue;
      }
      bytes += frameRecordBytes(frame.payload.length);
      if (letters.length > 0 && bytes > segmentBytes) break;
      letters.push({ name, frame, state });
    }
    return letters.sort((a, b) => (isBefore(placeOf(a), placeOf(b)) ? -1 : 1));
  }

  /**
   * An epoch that was forgotten, because all of it was settled long ago, is known again: as far as
   * the letters show. What is below them counts as settled by the least that can be said; what the
   * server says stands above that.
   */
  #knowEpochs(names: readonly string[]): void {
    const { epochs } = this.#queue;
    const highest = new Map<Epoch, number>();
    for (const name of names) {
      const { epoch, seq } = identityOf(name) ?? { epoch: '', seq: 0 };
      if (epochs.get(epoch) === undefined) {
        highest.set(epoch, Math.max(seq, highest.get(epoch) ?? 0));
      }
    }
    for (const [epoch, seq] of [...highest].sort().reverse()) {
      const state = new EpochState(epoch);
      state.reaches(seq);
      state.settle({ from: 1, to: seq, state: 'declared', code: GAP_REASONS.damaged });
      epochs.addOldest(state);
    }
  }

  /** Makes a frame pending again that is still on disk, or is already; false when it isn't there. */
  #isBack({ frame: { seq }, state }: Returning): boolean {
    const { log, peeker } = this.#queue;
    const segment = log.segments.find(({ runs }) =>
      runs.some((run) => run.state === state && run.from <= seq && run.to >= seq),
    );
    if (segment === undefined) return false;
    const before = state.settledWithin(seq, seq)[0];
    if (before !== undefined) state.reopen({ from: seq, to: seq });
    const place = { ordinal: state.ordinal, seq: seq - 1 };
    const reads = doesRead(peeker, segment, place);
    if (!reads && before !== undefined) state.settle(before);
    return reads;
  }

  /** Puts those into a segment that belong between the same two. */
  #put(letters: readonly Returning[]): readonly Returning[] {
    for (let last = letters.length; last > 0; last -= 1) {
      const newest = letters[last - 1];
      if (newest === undefined) break;
      const hole = this.#freeHole(placeOf(newest));
      if (hole === undefined) continue;
      const together = letters.slice(0, last).filter((letter) => {
        const { above, below } = this.#holeFor(placeOf(letter));
        return above === hole.above && below === hole.below;
      });
      return this.#write(hole.number, together) ? together : [];
    }
    return [];
  }

  /** A hole with a free number in it, once what is settled is out of the way. */
  #freeHole(place: Place): { above: number; below: number; number: number } | undefined {
    const { isDone, remove, log } = this.#queue;
    const free = this.#numberIn(this.#holeFor(place));
    if (free !== undefined) return free;
    const { blockers } = this.#holeFor(place);
    const done = blockers.filter((segment) => isDone(segment));
    if (done.length === 0) return undefined;
    if (done.some((segment) => segment === log.active)) log.closeActive();
    remove(done);
    return this.#numberIn(this.#holeFor(place));
  }

  #holeFor(place: Place): Hole {
    const { log } = this.#queue;
    const withFrames = log.segments.filter(({ runs }) => runs.length > 0);
    const next = withFrames.findIndex((segment) => !isBefore(lastOf(segment), place));
    const after = next < 0 ? undefined : withFrames[next];
    const before = next < 0 ? withFrames.at(-1) : withFrames[next - 1];
    const above = before?.number ?? 0;
    const below = after?.number ?? log.active?.number ?? log.nextNumber;
    const isWithin = after !== undefined && !isBefore(place, firstOf(after));
    const neighbours = [before, after].filter((segment) => segment !== undefined);
    return isWithin
      ? { above, below: above + 1, blockers: [after] }
      : { above, below, blockers: neighbours };
  }

  /** The highest free number: so there is room for what belongs before. */
  #numberIn({ above, below }: Hole): { above: number; below: number; number: number } | undefined {
    for (let number = below - 1; number > above; number -= 1) {
      if (this.#queue.files.size(segmentName(number)) === undefined)
        return { above, below, number };
    }
    return undefined;
  }

  /** False when the queue has no room for them now. */
  #write(number: number, letters: readonly Returning[]): boolean {
    const { files, log, makeRoom } = this.#queue;
    const { content, segment } = encode(number, letters);
    if (!makeRoom(chargedBytes(content.length))) return false;
    const name = segmentName(number);
    createWhole(files, `${name}.tmp`, content);
    try {
      files.rename(`${name}.tmp`, name);
    } catch (error) {
      if (error instanceof NoSpaceError) files.unlink(`${name}.tmp`);
      throw error;
    }
    files.syncDirectory('');
    log.insert(segment);
    for (const { state, frame } of letters) state.reopen({ from: frame.seq, to: frame.seq });
    saveIndex(files, factsOf(segment));
    return true;
  }
}

/** The frame of a letter; undefined for one that can't be used, or read, or that is gone. */
function frameOf(files: FilePort, name: string): Frame | undefined {
  try {
    const loaded = loadLetter(files, `${REPLAY}/${name}`);
    return loaded.state === 'loaded' ? loaded.letter.frame : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the frame right behind a place reads, given that it is pending. */
function doesRead(peeker: PendingReader, segment: Segment, place: Place): boolean {
  try {
    const [frame] = peeker.read([segment], place, { frames: 1, bytes: 0 }).frames;
    return frame?.seq === place.seq + 1;
  } catch (error) {
    if (error instanceof QueueReadError) return false;
    throw error;
  }
}

/** The store has this very frame, or had it: there is nothing to be sent. */
function hasBytes({ state, frame }: Returning): boolean {
  const fate = state.settledWithin(frame.seq, frame.seq)[0]?.state;
  return fate === 'stored' || fate === 'pruned';
}

function placeOf({ state, frame }: Returning): Place {
  return { ordinal: state.ordinal, seq: frame.seq };
}

function firstOf({ runs }: Segment): Place {
  const first = runs[0];
  return { ordinal: first?.state.ordinal ?? 0, seq: first?.from ?? 0 };
}

function lastOf({ runs }: Segment): Place {
  const last = runs.at(-1);
  return { ordinal: last?.state.ordinal ?? 0, seq: last?.to ?? 0 };
}

/** A whole segment of these frames, each epoch named before its first. */
function encode(
  number: number,
  letters: readonly Returning[],
): { content: Buffer; segment: Segment } {
  const epochs = new Set(letters.map(({ state }) => state));
  const bytes = letters.reduce((sum, { frame }) => sum + frameRecordBytes(frame.payload.length), 0);
  const content = Buffer.alloc(SEGMENT_HEADER_BYTES + epochs.size * EPOCH_RECORD_BYTES + bytes);
  encodeSegmentHeader(number).copy(content);
  const segment = new Segment(number, content.length);
  let at = SEGMENT_HEADER_BYTES;
  for (const { state, frame } of letters) {
    const { epoch, predecessor } = state;
    if (epochs.delete(state)) {
      encodeEpoch(content, at, at, { epoch, nextSeq: frame.seq, predecessor });
      at += EPOCH_RECORD_BYTES;
    }
    encodeFrame(content, at, at, { ...frame, epochBytes: uuidToBytes(epoch) });
    segment.note(state, frame.seq, at);
    segment.addFrames(state, frame.seq, frame.seq);
    at += frameRecordBytes(frame.payload.length);
  }
  return { content, segment };
}

function factsOf({ number, bytes, runs, places }: Segment): Parameters<typeof saveIndex>[1] {
  const epochs = new Map(
    runs.map(({ state, from }) => [state, from]).reverse() as [EpochState, number][],
  );
  return {
    number,
    bytes,
    runs: runs.map(({ state, from, to }) => ({ epoch: state.epoch, from, to })),
    places: places.map(({ state, seq, offset }) => ({ epoch: state.epoch, seq, offset })),
    epochs: [...epochs]
      .reverse()
      .map(([{ epoch, predecessor }, nextSeq]) => ({ epoch, nextSeq, predecessor })),
    gaps: [],
  };
}
