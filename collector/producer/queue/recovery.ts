/**
 * Opens what an earlier process left on disk: reads what it says, cuts what was never confirmed,
 * repairs what is damaged, and accounts for every seq of every known epoch.
 *
 * A closed segment is taken by its index file; the last of a process, and any without an index to
 * believe, is read whole, and then gets one. So what an opening reads does not grow with the queue.
 * Damage inside a segment taken by its index is left for reading to find (`core.ts`).
 *
 * Here: what is done to the files. What each deserves is judged in `verdict.ts`, what follows from
 * it all for epochs, gaps and missing frames in `accounting.ts`.
 *
 * Nothing that can't be read is deleted: it is moved to `set-aside/`. The one exception is the torn
 * tail of the last segment, behind the last whole record, as long as nothing says that a frame in
 * it was ever confirmed. A full disk stops none of it: what there is no room for stays in place.
 */
import { assertNever } from '#protocol/errors.ts';
import { type Account, accountFor } from './accounting.ts';
import { CHECKPOINT_NAME, type Checkpoint, loadCheckpoint } from './checkpoint.ts';
import { type FilePort, NoSpaceError } from './file-port.ts';
import { indexNumber, loadIndexedFacts, removeIndex, saveIndex } from './index-file.ts';
import { finishRepair, repair, SET_ASIDE, setAside, undoRepair } from './repair.ts';
import { segmentName, segmentNumber } from './segment.ts';
import { damagedBytes, readSegmentFacts, type SegmentFacts } from './segment-facts.ts';
import type { Damage } from './types.ts';
import { Judge, type Verdict } from './verdict.ts';

/** All segments are closed for writing; the missing frames are to be declared. */
export interface Recovered extends Account {
  readonly storeId: string | undefined;
  /** The number of the next segment; none was ever used with this number or a higher one. */
  readonly nextSegment: number;
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
  /** Those that were read whole. */
  readonly #unindexed: SegmentFacts[] = [];
  /** Damaged segments that stay in place, because there was no room to repair them. */
  readonly #unrepaired = new Set<number>();
  #tornBytes = 0;

  constructor(files: FilePort) {
    this.#files = files;
  }

  run(): Recovered {
    this.#tidy();
    const checkpoint = this.#loadCheckpoint();
    const judge = new Judge(checkpoint);
    const numbers = segmentNumbers(this.#files.list(''));
    const setAsideNumbers = this.#files.list(SET_ASIDE).map((name) => asideNumber(name));
    for (const number of numbers) {
      const indexed = loadIndexedFacts(this.#files, number);
      const facts = indexed ?? readSegmentFacts(this.#files, number);
      const kept = this.#carryOut(judge.judge(facts, number === numbers.at(-1)), facts);
      if (kept === undefined) continue;
      judge.keep(kept);
      if (indexed === undefined) this.#unindexed.push(kept);
    }
    this.#syncLast(judge.kept.at(-1));
    this.#tidyIndexes(judge.kept);
    const account = accountFor(checkpoint, judge.kept);
    for (const segment of account.segments) {
      segment.isDamaged = this.#unrepaired.has(segment.number);
    }
    if (account.missing.length > 0 && this.#damage.length === 0) this.#damage.push(VANISHED);
    return {
      ...account,
      storeId: checkpoint?.storeId,
      nextSegment: Math.max(
        1 + Math.max(0, ...numbers, ...setAsideNumbers),
        checkpoint?.nextSegment ?? 0,
      ),
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
        setAsideAs: this.#setAside(CHECKPOINT_NAME),
        framesSaved: 0,
        bytesLost: 0,
        message: unreadableCheckpoint(loaded.why),
      });
    }
    return undefined;
  }

  /** Answers what the segment says from now on; nothing when it is gone. */
  #carryOut(verdict: Verdict, facts: SegmentFacts): SegmentFacts | undefined {
    switch (verdict.kind) {
      case 'keep':
        return facts;
      case 'remove':
        this.#tornBytes += facts.bytes;
        this.#files.unlink(segmentName(facts.number));
        return undefined;
      case 'cut':
        this.#tornBytes += facts.bytes - verdict.end;
        this.#files.truncate(segmentName(facts.number), verdict.end);
        return { ...facts, bytes: verdict.end, damage: [] };
      case 'set-aside':
        this.#setSegmentAside(facts, verdict);
        return undefined;
      case 'repair':
        return this.#repair(facts);
      default:
        return assertNever(verdict);
    }
  }

  #setSegmentAside(
    facts: SegmentFacts,
    { why, what }: Extract<Verdict, { kind: 'set-aside' }>,
  ): void {
    const file = segmentName(facts.number);
    const setAsideAs = this.#setAside(file);
    const whereTo =
      setAsideAs === undefined
        ? 'the disk has no room to move it, so it stays in place and is not read'
        : `it was moved to ${setAsideAs} as it is`;
    const message =
      `${file} ${what}; ${whereTo}. Frames of this queue that no other file holds are declared ` +
      `damaged. ${why === 'newer' ? 'A newer version of this program can read it' : 'Look at it, or remove it'}`;
    this.#damage.push({
      file,
      kind: why,
      setAsideAs,
      framesSaved: 0,
      bytesLost: facts.bytes,
      message,
    });
  }

  #repair(facts: SegmentFacts): SegmentFacts {
    const { number } = facts;
    const file = segmentName(number);
    const setAsideAs = whereRoom(() => repair(this.#files, number));
    if (setAsideAs === undefined) {
      undoRepair(this.#files, number);
      this.#unrepaired.add(number);
    }
    const whereIs =
      setAsideAs === undefined
        ? 'the file stays in place, for the disk has no room for a repaired one. Free some, and check the disk'
        : `the damaged file is in ${setAsideAs}. Check the disk; remove that file when you have seen it`;
    this.#damage.push({
      file,
      kind: 'damaged',
      setAsideAs,
      framesSaved: facts.frames,
      bytesLost: damagedBytes(facts),
      message:
        `${file} is damaged: its header, or ${damagedBytes(facts)} bytes, can't be read. Its ` +
        `${facts.frames} good frames are kept, those that are gone are declared damaged, and ${whereIs}`,
    });
    return setAsideAs === undefined ? facts : readSegmentFacts(this.#files, number);
  }

  #setAside(name: string): string | undefined {
    return whereRoom(() => setAside(this.#files, name));
  }

  /**
   * What was read may so far be in the operating system's memory alone. New frames will name it as
   * what came before them, so it is made durable first.
   */
  #syncLast(last: SegmentFacts | undefined): void {
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

  /** Gives each whole segment an index, and removes those of others. */
  #tidyIndexes(keptSegments: readonly SegmentFacts[]): void {
    for (const facts of this.#unindexed) {
      if (!this.#unrepaired.has(facts.number)) saveIndex(this.#files, facts);
    }
    const kept = new Set(keptSegments.map(({ number }) => number));
    for (const name of this.#files.list('')) {
      const number = indexNumber(name);
      if (number === undefined) continue;
      const isOfWhole = kept.has(number) && !this.#unrepaired.has(number);
      if (!isOfWhole) removeIndex(this.#files, number);
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

function unreadableCheckpoint(why: string): string {
  return (
    `the checkpoint can't be used: ${why}. Frames that are still here are sent ` +
    'again, which the server notices. Frames confirmed earlier, whose files are gone, are ' +
    'declared damaged; what the server has of them stays stored. Nothing to do'
  );
}

/** Does what needs room on the disk; undefined when there is none. */
function whereRoom<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof NoSpaceError) return undefined;
    throw error;
  }
}

/** The numbers of the segments among the names in a queue's directory, ascending. */
export function segmentNumbers(names: readonly string[]): number[] {
  return names
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
}

/** The number of a segment that was set aside, whatever was added to its name; 0 for others. */
function asideNumber(name: string): number {
  return segmentNumber(name.replace(/\.log\.\d+$/, '.log')) ?? 0;
}
