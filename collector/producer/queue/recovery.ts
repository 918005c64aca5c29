/**
 * Opens what an earlier process left on disk: reads what it says, cuts what was never confirmed,
 * repairs what is damaged, and accounts for every seq of every known epoch.
 *
 * A closed segment is taken by its index file; the last of a process, and any without an index to
 * believe, is read whole, and then gets one. So what an opening reads does not grow with the queue.
 * Damage inside a segment taken by its index is left for reading to find (`core.ts`).
 *
 * Theory of operation. Evidence of how far an epoch goes comes from its frames, from gaps, from the
 * epoch records at the heads of segments, from its successor's record and from the checkpoint.
 * Every seq up to there must be settled, declared or on disk; what is none of these is missing,
 * and the core declares it. So nothing depends on remembering what an interrupted recovery found:
 * the next one finds it again. When the checkpoint is lost, settled frames whose segments are gone
 * can't be told from lost ones; they are declared too, which harms nothing (stored beats declared).
 *
 * Nothing that can't be read is deleted: it is moved to `set-aside/`. The one exception is the torn
 * tail of the last segment, behind the last whole record, as long as nothing says that a frame in
 * it was ever confirmed.
 */

import { SettledRanges } from '#protocol/settlement.ts';
import { CHECKPOINT_NAME, type Checkpoint, loadCheckpoint } from './checkpoint.ts';
import { epochsInOrder } from './epoch-order.ts';
import type { EpochState, Epochs } from './epochs.ts';
import type { FilePort } from './file-port.ts';
import { Gaps } from './gaps.ts';
import { indexNumber, loadIndexedFacts, removeIndex, saveIndex } from './index-file.ts';
import type { MissingFrames } from './pending-reader.ts';
import { finishRepair, repair, setAside } from './repair.ts';
import { SEGMENT_HEADER_BYTES, segmentName, segmentNumber } from './segment.ts';
import { damagedBytes, isEmpty, readSegmentFacts, type SegmentFacts } from './segment-facts.ts';
import { Segment } from './segment-index.ts';
import type { Damage } from './types.ts';

export interface Recovered {
  /** In ascending order. All of them are closed for writing. */
  readonly segments: readonly Segment[];
  readonly epochs: Epochs;
  readonly gaps: Gaps;
  readonly storeId: string | undefined;
  /** The number of the next segment; none was ever used with this number or a higher one. */
  readonly nextSegment: number;
  /** Frames that should be there and aren't; to be declared. */
  readonly missing: readonly MissingFrames[];
  readonly damage: readonly Damage[];
  readonly tornBytes: number;
}

/** Throws only the port's own errors; may be called again after any of them. */
export function recover(files: FilePort): Recovered {
  return new Recovery(files).run();
}

class Recovery {
  readonly #files: FilePort;
  readonly #damage: Damage[] = [];
  readonly #kept: SegmentFacts[] = [];
  /** Those of them that were read whole. */
  readonly #unindexed: SegmentFacts[] = [];
  /** The last seq that was found of each epoch, in file order. */
  readonly #lastSeqs = new Map<string, number>();
  #tornBytes = 0;

  constructor(files: FilePort) {
    this.#files = files;
  }

  run(): Recovered {
    this.#tidy();
    const checkpoint = this.#loadCheckpoint();
    const numbers = this.#files
      .list('')
      .map(segmentNumber)
      .filter((number) => number !== undefined)
      .sort((a, b) => a - b);
    const setAsideNumbers = this.#files.list('set-aside').map((name) => asideNumber(name));
    for (const number of numbers) {
      this.#takeIn(number, number === numbers.at(-1), checkpoint);
    }
    this.#syncLast();
    this.#tidyIndexes();
    const epochs = epochsInOrder(checkpoint, this.#kept);
    const segments = this.#kept.map((facts) => toSegment(facts, epochs));
    const onDisk = framesOnDisk(segments);
    takeBack(epochs, onDisk);
    const gaps = gapsOf(this.#kept, epochs, onDisk);
    const missing = missingFrames(epochs, onDisk);
    if (missing.length > 0 && this.#damage.length === 0) this.#damage.push(VANISHED);
    return {
      segments,
      epochs,
      gaps,
      storeId: checkpoint?.storeId,
      nextSegment: Math.max(0, ...numbers, ...setAsideNumbers) + 1,
      missing,
      damage: this.#damage,
      tornBytes: this.#tornBytes,
    };
  }

  /** Clears away what an interrupted save left, and completes an interrupted repair. */
  #tidy(): void {
    for (const name of this.#files.list('')) {
      if (name.endsWith('.tmp')) this.#files.unlink(name);
      finishRepair(this.#files, name);
    }
  }

  #loadCheckpoint(): Checkpoint | undefined {
    const loaded = loadCheckpoint(this.#files);
    if (loaded.state === 'loaded') return loaded.checkpoint;
    if (loaded.state === 'unreadable') {
      this.#damage.push({
        file: CHECKPOINT_NAME,
        kind: 'unreadable',
        setAsideAs: setAside(this.#files, CHECKPOINT_NAME),
        framesSaved: 0,
        bytesLost: 0,
        message:
          `the checkpoint can't be used: ${loaded.why}. Frames that are still here are sent ` +
          'again, which the server notices. Frames confirmed earlier, whose files are gone, are ' +
          'declared damaged; what the server has of them stays stored. Nothing to do',
      });
    }
    return undefined;
  }

  #takeIn(number: number, isLast: boolean, checkpoint: Checkpoint | undefined): void {
    const indexed = loadIndexedFacts(this.#files, number);
    const facts = indexed ?? readSegmentFacts(this.#files, number);
    if (facts.header.state === 'newer') {
      this.#setAside(facts, 'newer', `was written in format version ${facts.header.version}`);
    } else if (facts.header.state === 'good' && facts.header.number !== number) {
      this.#setAside(facts, 'foreign', `calls itself segment ${facts.header.number}`);
    } else if (isLast && facts.bytes <= SEGMENT_HEADER_BYTES && facts.header.state === 'bad') {
      this.#tornBytes += facts.bytes;
      this.#files.unlink(segmentName(number));
    } else if (isLast && isTorn(facts) && !this.#lacksConfirmed(facts, checkpoint)) {
      this.#cut(facts);
    } else if (isEmpty(facts) && (facts.header.state === 'bad' || facts.damage.length > 0)) {
      const kind = facts.header.state === 'bad' ? 'foreign' : 'damaged';
      this.#setAside(facts, kind, 'holds no record that can be read');
    } else if (!this.#follows(facts)) {
      this.#setAside(facts, 'foreign', 'holds frames that other segments hold, too');
    } else if (facts.header.state === 'bad' || facts.damage.length > 0) {
      this.#repair(facts);
    } else {
      this.#keep(facts, indexed !== undefined);
    }
  }

  #keep(facts: SegmentFacts, isIndexed = false): void {
    this.#kept.push(facts);
    if (!isIndexed) this.#unindexed.push(facts);
    for (const { epoch, to } of facts.runs) this.#lastSeqs.set(epoch, to);
  }

  #setAside(facts: SegmentFacts, kind: 'foreign' | 'newer' | 'damaged', what: string): void {
    const file = segmentName(facts.number);
    const setAsideAs = setAside(this.#files, file);
    const message =
      `${file} ${what}; it was moved to ${setAsideAs} as it is. Frames of this queue that no ` +
      'other file holds are declared damaged. ' +
      (kind === 'newer'
        ? 'A newer version of this program can read it'
        : 'Look at it, or remove it');
    this.#damage.push({
      file,
      kind,
      setAsideAs,
      framesSaved: 0,
      bytesLost: facts.bytes,
      message,
    });
  }

  #repair(facts: SegmentFacts): void {
    const file = segmentName(facts.number);
    const setAsideAs = repair(this.#files, facts.number);
    this.#damage.push({
      file,
      kind: 'damaged',
      setAsideAs,
      framesSaved: facts.frames,
      bytesLost: damagedBytes(facts),
      message:
        `${file} is damaged: its header, or ${damagedBytes(facts)} bytes, can't be read. Its ` +
        `${facts.frames} good frames are kept, those that are gone are declared damaged, and the ` +
        `damaged file is in ${setAsideAs}. Check the disk; remove that file when you have seen it`,
    });
    this.#keep(readSegmentFacts(this.#files, facts.number));
  }

  /** Cuts the bytes behind the last whole record; no append was confirmed for them. */
  #cut(facts: SegmentFacts): void {
    const end = facts.damage[0]?.offset ?? facts.bytes;
    this.#tornBytes += facts.bytes - end;
    this.#files.truncate(segmentName(facts.number), end);
    this.#keep({ ...facts, bytes: end, damage: [] });
  }

  /** True when its frames come behind those of the segments before it. */
  #follows(facts: SegmentFacts): boolean {
    const lastEpoch = [...this.#lastSeqs.keys()].at(-1);
    return facts.runs.every(({ epoch, from }, i) => {
      const lastSeq = this.#lastSeqs.get(epoch);
      if (lastSeq === undefined) return true;
      const earlierInFile = facts.runs.slice(0, i).every((run) => run.epoch === epoch);
      return epoch === lastEpoch && earlierInFile && from > lastSeq;
    });
  }

  /** True when the checkpoint knows of a confirmed frame that should be here and isn't. */
  #lacksConfirmed(facts: SegmentFacts, checkpoint: Checkpoint | undefined): boolean {
    const newest = checkpoint?.epochs.at(-1);
    if (newest === undefined) return false;
    const accounted = new SettledRanges(newest.settled);
    for (const { epoch, from, to } of [...this.#kept, facts].flatMap(({ gaps }) => gaps)) {
      if (epoch === newest.epoch) accounted.add({ from, to, state: 'declared', code: 0 });
    }
    const here = facts.runs.findLast(({ epoch }) => epoch === newest.epoch)?.to;
    const found = here ?? this.#lastSeqs.get(newest.epoch) ?? 0;
    return newest.highest > found && accounted.unsettled(found + 1, newest.highest).length > 0;
  }

  /**
   * What was read may so far be in the operating system's memory alone. New frames will name it as
   * what came before them, so it is made durable first.
   */
  #syncLast(): void {
    const last = this.#kept.at(-1);
    if (last !== undefined) {
      const handle = this.#files.open(segmentName(last.number));
      try {
        this.#files.sync(handle);
      } finally {
        this.#files.close(handle);
      }
    }
    this.#files.syncDirectory('');
  }

  /** Gives each segment an index, and removes those whose segments are gone. */
  #tidyIndexes(): void {
    for (const facts of this.#unindexed) saveIndex(this.#files, facts);
    const kept = new Set(this.#kept.map(({ number }) => number));
    for (const name of this.#files.list('')) {
      const number = indexNumber(name);
      if (number !== undefined && !kept.has(number)) removeIndex(this.#files, number);
    }
  }
}

const VANISHED: Damage = {
  file: '',
  kind: 'missing',
  setAsideAs: undefined,
  framesSaved: 0,
  bytesLost: 0,
  message:
    'the queue knows of frames that no file holds: a segment file is gone, or an older copy of ' +
    'the directory was put in place. They are declared damaged; what the server has of them ' +
    'stays stored. Find out who removed files from the queue directory',
};

/** The number of a segment that was set aside, whatever was added to its name; 0 for others. */
function asideNumber(name: string): number {
  return segmentNumber(name.replace(/\.log\.\d+$/, '.log')) ?? 0;
}

/**
 * True when nothing but the end of the file is no good record, and the disk gives it back: what it
 * refuses may have been whole, confirmed records.
 */
function isTorn(facts: SegmentFacts): boolean {
  const [first, ...others] = facts.damage;
  return (
    facts.header.state === 'good' &&
    first?.refused === false &&
    others.length === 0 &&
    first.end === facts.bytes
  );
}

function toSegment(facts: SegmentFacts, epochs: Epochs): Segment {
  const segment = new Segment(facts.number, facts.bytes);
  for (const { epoch, from, to } of facts.runs) {
    const state = epochs.get(epoch);
    if (state !== undefined) segment.addFrames(state, from, to);
  }
  for (const { epoch } of facts.gaps) {
    const state = epochs.get(epoch);
    if (state !== undefined) segment.addGap(state);
  }
  for (const { epoch, seq, offset } of facts.places) {
    const state = epochs.get(epoch);
    if (state !== undefined) segment.note(state, seq, offset);
  }
  return segment;
}

/** Frames by epoch, whatever became of them. */
type FramesOnDisk = ReadonlyMap<EpochState, SettledRanges>;

/**
 * Frames that were declared and are here are to be sent all the same, as stored beats declared: their
 * file was set aside or missing and is back in its place, or it was to be removed when the process
 * ended.
 */
function takeBack(epochs: Epochs, onDisk: FramesOnDisk): void {
  for (const state of epochs.inOrder) {
    const declared = state.settled.filter((range) => range.state === 'declared');
    for (const { from, to } of declared) {
      for (const here of onDisk.get(state)?.within(from, to) ?? []) state.reopen(here);
    }
  }
}

/** The gaps that are written down, without the frames that are here. */
function gapsOf(kept: readonly SegmentFacts[], epochs: Epochs, onDisk: FramesOnDisk): Gaps {
  const gaps = new Gaps();
  for (const facts of kept) {
    for (const gap of facts.gaps) {
      const state = epochs.get(gap.epoch);
      if (state === undefined) continue;
      const here = onDisk.get(state) ?? new SettledRanges();
      for (const gone of here.unsettled(gap.from, gap.to)) {
        gaps.add(state, { ...gap, ...gone }, facts.number);
      }
    }
  }
  gaps.dropSettled();
  return gaps;
}

/** Per epoch: what is neither settled nor declared nor on disk. */
function missingFrames(epochs: Epochs, onDisk: FramesOnDisk): MissingFrames[] {
  return epochs.inOrder.flatMap((state) => {
    const found = onDisk.get(state) ?? new SettledRanges();
    return state
      .open(1, state.highest)
      .flatMap(({ from, to }) => found.unsettled(from, to))
      .map(({ from, to }) => ({ state, from, to }));
  });
}

/** Which frames the segments hold, settled or not. */
export function framesOnDisk(segments: readonly Segment[]): Map<EpochState, SettledRanges> {
  const found = new Map<EpochState, SettledRanges>();
  for (const { state, from, to } of segments.flatMap(({ runs }) => runs)) {
    const ranges = found.get(state) ?? new SettledRanges();
    ranges.add({ from, to, state: 'stored', code: 0 });
    found.set(state, ranges);
  }
  return found;
}
