/**
 * A queue as it is now, seen from outside: what its next opening would find, by the same judgement
 * and the same account, with nothing done about it. Takes no lock, writes nothing, and needs no
 * more memory for a long queue than its collector does.
 *
 * A queue that is in use changes under the look. What the writer does has an order (the checkpoint
 * is saved before a segment goes, gaps are durable before their frames' segment goes, frames before
 * the checkpoint that counts them), so a look is true of one moment when
 * 1. the checkpoint is the same before and after the segments were listed, and
 * 2. every one that was listed was still there after all of them were read.
 * Otherwise it is taken again; what was read of closed segments is kept. Frames that come meanwhile
 * belong to a later moment. The end of the last segment may be a write under way: that looks like
 * the torn tail of a crash, and is neither counted nor damage.
 */
import { type Account, accountFor } from '#collector/producer/queue/accounting.ts';
import { type LoadedCheckpoint, loadCheckpoint } from '#collector/producer/queue/checkpoint.ts';
import type { FileReader } from '#collector/producer/queue/file-port.ts';
import { loadIndexedFacts } from '#collector/producer/queue/index-file.ts';
import { segmentNumbers } from '#collector/producer/queue/recovery.ts';
import { segmentName } from '#collector/producer/queue/segment.ts';
import { readSegmentFacts, type SegmentFacts } from '#collector/producer/queue/segment-facts.ts';
import { chargedBytes, type Segment } from '#collector/producer/queue/segment-index.ts';
import { Judge, type Verdict } from '#collector/producer/queue/verdict.ts';
import { assertNever } from '#protocol/errors.ts';
import { countSeqs } from '#protocol/settlement.ts';
import { openDirectory, unreadable } from './directory.ts';
import { QueueToolError, systemCodeOf } from './errors.ts';
import { AsCompleted } from './unfinished.ts';

/** A queue in use is looked at so often before the look is given up. */
const LOOKS_MAX = 50;

/** A segment file that was found. */
interface FoundSegment {
  readonly name: string;
  /** What it says, as it lies there. */
  readonly facts: SegmentFacts;
  readonly verdict: Verdict;
}

export interface QueueView extends Account {
  /** The directory, as it was named. */
  readonly path: string;
  readonly files: FileReader;
  readonly checkpoint: LoadedCheckpoint;
  readonly found: readonly FoundSegment[];
}

export interface ViewOptions {
  /** Read every byte and check every CRC, instead of believing indexes. */
  readonly whole?: boolean;
  /** Told of each segment, with the bytes of those so far and of all. */
  readonly onProgress?: (bytesRead: number, bytesInAll: number) => void;
}

/**
 * @throws QueueToolError when the directory is no queue, may not be read, or was written by a newer
 * version of this program.
 */
export function viewQueue(path: string, options: ViewOptions = {}): QueueView {
  const files = openDirectory(path);
  try {
    return viewFiles(path, files, options);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The same of the files behind a port; its own errors are thrown as they are. */
export function viewFiles(path: string, files: FileReader, options: ViewOptions = {}): QueueView {
  return new Viewer(path, new AsCompleted(files), options).view();
}

/** The newest version of files that this program can't read, in words; undefined: there is none. */
function newerFormat({ checkpoint, found }: QueueView): string | undefined {
  const newer = found.filter(({ facts }) => facts.header.state === 'newer');
  if (newer.length > 0) {
    const names = newer.slice(0, 3).map(({ name }) => name);
    return `${newer.length} of its segments were written in a newer format (${names.join(', ')})`;
  }
  const isNewer = checkpoint.state === 'unreadable' && checkpoint.isNewer;
  return isNewer ? 'its checkpoint was written in a newer format' : undefined;
}

/** Frames that wait: on disk, and neither settled nor given up. */
export function pendingCount({ epochs, missing }: QueueView): number {
  return epochs.pendingFrames - countSeqs(missing);
}

/** Behind the last whole record: a write under way, or what a crash left of one. */
export function tailBytes({ found }: Pick<QueueView, 'found'>): number {
  return found.reduce((sum, { verdict, facts }) => {
    if (verdict.kind === 'cut') return sum + facts.bytes - verdict.end;
    return verdict.kind === 'remove' ? sum + facts.bytes : sum;
  }, 0);
}

/** What the segments take on disk, as the queue counts it against its limit. */
export function usedBytes(segments: readonly Segment[]): number {
  return segments.reduce((sum, { bytes }) => sum + chargedBytes(bytes), 0);
}

class Viewer {
  readonly #path: string;
  readonly #files: FileReader;
  readonly #options: ViewOptions;
  /** What closed segments say: nobody writes to them any more. */
  readonly #known = new Map<number, SegmentFacts>();

  constructor(path: string, files: FileReader, options: ViewOptions) {
    this.#path = path;
    this.#files = files;
    this.#options = options;
  }

  view(): QueueView {
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      const view = this.#look();
      if (view === undefined) continue;
      const newer = newerFormat(view);
      if (newer === undefined) return view;
      throw new QueueToolError(
        `the queue in ${this.#path} can't be read by this program: ${newer}. Nothing was touched. ` +
          'Use the version of Holdfast that wrote it, or a newer one',
      );
    }
    throw new QueueToolError(
      `the queue in ${this.#path} changes faster than it can be looked at. Nothing was touched. ` +
        'Try again, or look at it while its collector is stopped',
    );
  }

  /** Undefined when the queue changed in a way that makes the look untrue. */
  #look(): QueueView | undefined {
    const checkpoint = loadCheckpoint(this.#files);
    const numbers = segmentNumbers(this.#files.list(''));
    const isSame = sameCheckpoint(checkpoint, loadCheckpoint(this.#files));
    const all = isSame ? this.#readAll(numbers) : undefined;
    const after = new Set(segmentNumbers(this.#files.list('')));
    if (all === undefined || numbers.some((number) => !after.has(number))) return undefined;
    const judge = new Judge(checkpoint.state === 'loaded' ? checkpoint.checkpoint : undefined);
    const found = all.map((facts, i): FoundSegment => {
      const verdict = judge.judge(facts, i === all.length - 1);
      const kept = asCarriedOut(verdict, facts);
      if (kept !== undefined) judge.keep(kept);
      return { name: segmentName(facts.number), facts, verdict };
    });
    const known = checkpoint.state === 'loaded' ? checkpoint.checkpoint : undefined;
    const account = accountFor(known, judge.kept);
    return { path: this.#path, files: this.#files, checkpoint, found, ...account };
  }

  /** Undefined when one has gone meanwhile. */
  #readAll(numbers: readonly number[]): SegmentFacts[] | undefined {
    const sizes = numbers.map((number) => this.#files.size(segmentName(number)) ?? 0);
    const bytesInAll = sizes.reduce((sum, bytes) => sum + bytes, 0);
    let bytesRead = 0;
    const all: SegmentFacts[] = [];
    for (const [i, number] of numbers.entries()) {
      const facts = this.#read(number, i === numbers.length - 1);
      if (facts === undefined) return undefined;
      all.push(facts);
      bytesRead += sizes[i] ?? 0;
      this.#options.onProgress?.(bytesRead, bytesInAll);
    }
    return all;
  }

  #read(number: number, isLast: boolean): SegmentFacts | undefined {
    const known = this.#known.get(number);
    if (known !== undefined) return known;
    const indexed = this.#options.whole ? undefined : loadIndexedFacts(this.#files, number);
    try {
      const facts = indexed ?? readSegmentFacts(this.#files, number);
      if (!isLast) this.#known.set(number, facts);
      return facts;
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function sameCheckpoint(one: LoadedCheckpoint, other: LoadedCheckpoint): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** What a segment says once its verdict is done, at the places where it lies now. */
function asCarriedOut(verdict: Verdict, facts: SegmentFacts): SegmentFacts | undefined {
  switch (verdict.kind) {
    case 'keep':
    case 'repair':
      return facts;
    case 'cut':
      return { ...facts, bytes: verdict.end, damage: [] };
    case 'remove':
    case 'set-aside':
      return undefined;
    default:
      return assertNever(verdict);
  }
}
