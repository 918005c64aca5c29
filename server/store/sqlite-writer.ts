/**
 * Everything that changes the SQLite store, one transaction a job. Synchronous; runs in the
 * writer's thread (`writer-worker.ts`).
 *
 * Invariants: a job is committed whole or not at all; an answer is given only after COMMIT; a row,
 * the settled range that speaks of it and the counters change in the same transaction.
 */
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { RANGES_PER_MESSAGE_MAX } from '#protocol/limits.ts';
import type { WireFrame } from '#protocol/messages.ts';
import { REJECT_CODES, type SettledRange, SettledRanges } from '#protocol/settlement.ts';
import {
  BatchUnpacker,
  OutcomePacker,
  type PackedBatches,
  type PackedOutcomes,
  type UnpackedBatch,
} from './packed-batches.ts';
import { countOf } from './packing.ts';
import { Pruning } from './pruning.ts';
import { SettledTable } from './settled-table.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { STORE_FILE } from './sqlite-schema.ts';
import type {
  AnnounceAnswer,
  Announcement,
  CommitOutcome,
  Heard,
  PruneOutcome,
  PruneRequest,
  StreamId,
} from './store.ts';
import { StreamTable } from './stream-table.ts';

export type WriterItem =
  | { readonly kind: 'announce'; readonly announcement: Announcement }
  /** The next of the job's batches, so many. */
  | { readonly kind: 'batches'; readonly count: number }
  | { readonly kind: 'heard'; readonly heard: readonly Heard[] }
  | { readonly kind: 'prune'; readonly request: PruneRequest };

/** What is asked of one transaction, in its order. */
export interface WriterJob {
  readonly items: readonly WriterItem[];
  readonly batches: PackedBatches;
}

/** The answer to an item other than batches. */
export type ItemResult = AnnounceAnswer | PruneOutcome | undefined;

export interface JobResult {
  /** Of the items other than batches, in their order. */
  readonly results: readonly ItemResult[];
  /** Of the batches, in their order. */
  readonly outcomes: PackedOutcomes;
  /** From BEGIN until COMMIT returned. */
  readonly durationMs: number;
  /** How much of the write-ahead log's file is in use after it. */
  readonly walBytes: number;
}

/** Fewer cost more calls, many more cost SQLite more registers than they save. */
const FRAMES_PER_STATEMENT = 16;
/** Those of a frame alone, beside the stream and received_at. */
const VALUES_PER_FRAME = 4;
/** What stands before each page in the log. */
const WAL_FRAME_HEADER_BYTES = 24;
/** A log that has grown past this while readers were in the way is emptied by waiting for them. */
const WAL_BYTES_MAX = 33_554_432;
/** Readers are short, so an emptying that meets one gives up soon and is tried again later. */
const EMPTYING_WAIT_MS = 50;
const COMMIT_WAIT_MS = 2_000;

/**
 * Frames that a job prunes at most, beside twice those that it brings: so that pruning keeps up with
 * whatever comes, and takes some milliseconds where nothing does.
 */
const PRUNED_FRAMES = 1_000;

/** The fate of a frame under whose identity another one is stored. */
const CONFLICT = { state: 'rejected', code: REJECT_CODES.conflict } as const;

export class SqliteWriter {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #settled: SettledTable;
  readonly #streams: StreamTable;
  readonly #pruning: Pruning;
  readonly #insertFrame: StatementSync;
  readonly #insertFrames: StatementSync;
  readonly #anyFrameWithin: StatementSync;
  readonly #readFrame: StatementSync;
  readonly #insertConflict: StatementSync;
  readonly #conflictsWithin: StatementSync;
  readonly #walState: StatementSync;
  readonly #checkpointPassive: StatementSync;
  readonly #countLog: StatementSync;
  readonly #walFrameBytes: number;
  /**
   * The next commit begins the log anew: all of it is in the database. Only a checkpoint tells, so
   * who makes none (a tool that prunes beside the server) counts no log.
   */
  #logBegins = false;

  constructor(database: DatabaseSync, directory: string) {
    this.#database = database;
    this.#path = join(directory, STORE_FILE);
    this.#settled = new SettledTable(database);
    this.#streams = new StreamTable(database);
    this.#pruning = new Pruning(database, this.#settled);
    this.#insertFrame = database.prepare(`
      INSERT INTO frames (stream_id, seq, captured_at, received_at, crc, payload)
      VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`);
    // The stream and received_at are the first two values, so that they are bound once.
    const rows = Array.from({ length: FRAMES_PER_STATEMENT }, (_, row) => {
      const first = 3 + row * VALUES_PER_FRAME;
      return `(?1, ?${first}, ?${first + 1}, ?2, ?${first + 2}, ?${first + 3})`;
    });
    this.#insertFrames = database.prepare(`
      INSERT INTO frames (stream_id, seq, captured_at, received_at, crc, payload)
      VALUES ${rows.join(', ')}`);
    this.#anyFrameWithin = database.prepare(
      'SELECT seq FROM frames WHERE stream_id = ? AND seq BETWEEN ? AND ? LIMIT 1',
    );
    this.#readFrame = database.prepare(
      'SELECT captured_at, crc, payload FROM frames WHERE stream_id = ? AND seq = ?',
    );
    this.#insertConflict = database.prepare(`
      INSERT INTO conflicts
        (stream_id, seq, captured_at, crc, first_refused_at, last_refused_at, refused)
      VALUES (?1, ?2, ?3, ?4, ?5, ?5, 1)
      ON CONFLICT DO UPDATE SET
        captured_at = ?3, crc = ?4, last_refused_at = ?5, refused = refused + 1`);
    this.#conflictsWithin = database.prepare(
      'SELECT seq FROM conflicts WHERE stream_id = ? AND seq BETWEEN ? AND ? ORDER BY seq',
    );
    this.#walState = database.prepare('PRAGMA wal_checkpoint(NOOP)');
    this.#checkpointPassive = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
    this.#countLog = database.prepare(`
      INSERT INTO meta (key, value) VALUES ('log', '1')
      ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1`);
    const pageBytes = Number(database.prepare('PRAGMA page_size').get()?.page_size);
    this.#walFrameBytes = WAL_FRAME_HEADER_BYTES + pageBytes;
  }

  /** Commits a job. Throws StoreError; then nothing of it is in the store. */
  run(job: WriterJob): JobResult {
    const startedAt = performance.now();
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      // A log that begins is counted: so that one beside a database that isn't its own shows.
      if (this.#logBegins) this.#countLog.run();
      const unpacker = new BatchUnpacker(job.batches);
      const outcomes = new OutcomePacker();
      const results: ItemResult[] = [];
      for (const item of job.items) {
        if (item.kind !== 'batches') results.push(this.#apply(item, job));
        else for (let i = 0; i < item.count; i += 1) outcomes.add(this.#commit(unpacker.take()));
      }
      this.#database.exec('COMMIT');
      this.#logBegins = false;
      return {
        results,
        outcomes: outcomes.finish(),
        durationMs: performance.now() - startedAt,
        walBytes: this.#walBytes(),
      };
    } catch (error) {
      this.#rollBack();
      throw storeErrorOf(error, `committing to the store ${this.#path}`);
    }
  }

  /**
   * Moves the write-ahead log into the database, as far as no reader is in the way. The next commit
   * then begins the log's file anew: overwriting takes half the time of appending, for an fdatasync
   * has no new length to keep.
   * SQLite's automatic checkpoint is off because it swallows errors of fsync; this one throws.
   */
  checkpoint(): { readonly walBytes: number } {
    try {
      const moved = this.#checkpointPassive.get();
      this.#logBegins ||= moved?.log === moved?.checkpointed;
      if (this.#walBytes() > WAL_BYTES_MAX) {
        this.#database.exec(`PRAGMA busy_timeout = ${EMPTYING_WAIT_MS}`);
        this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
        this.#database.exec(`PRAGMA busy_timeout = ${COMMIT_WAIT_MS}`);
      }
      return { walBytes: this.#walBytes() };
    } catch (error) {
      throw storeErrorOf(error, `checkpointing the store ${this.#path}`);
    }
  }

  close(): void {
    try {
      this.checkpoint();
    } finally {
      this.#database.close();
    }
  }

  #apply(item: Exclude<WriterItem, { kind: 'batches' }>, { batches }: WriterJob): ItemResult {
    switch (item.kind) {
      case 'announce':
        return this.#announce(item.announcement);
      case 'heard':
        for (const heard of item.heard) this.#streams.heard(heard);
        return undefined;
      case 'prune':
        return this.#pruning.prune(item.request, PRUNED_FRAMES + 2 * countOf(batches.frames));
    }
  }

  #announce(announcement: Announcement): AnnounceAnswer {
    const streams = this.#streams.announce(announcement);
    const settled = announcement.epochs.map(({ lowest, highest }, index) => {
      const stream = streams[index] ?? 0;
      return this.#answerWithin(stream, lowest, highest);
    });
    return { streams, settled, collectorsKnown: this.#streams.collectorsKnown() };
  }

  #answerWithin(stream: StreamId, from: number, to: number): SettledRange[] {
    const ranges = this.#settled.within(stream, { from, to }, RANGES_PER_MESSAGE_MAX);
    const last = ranges.at(-1)?.to ?? 0;
    const conflicts = this.#conflictsWithin.all(stream, from, last).map((row) => Number(row.seq));
    if (conflicts.length === 0) return ranges;
    const answer = new SettledRanges(without(ranges, conflicts));
    for (const seq of conflicts) answer.add({ from: seq, to: seq, ...CONFLICT });
    return answer.ranges.slice(0, RANGES_PER_MESSAGE_MAX);
  }

  #commit(batch: UnpackedBatch): CommitOutcome {
    const { stream, frames, taken } = batch;
    const runs = runsOf(frames);
    const before = this.#settled.around(stream, [...runs, ...taken]);
    const { conflicts, duplicates } = this.#takeFrames(batch, before);
    const stored = without(runs, conflicts);
    const after = this.#settled.settle(stream, before, [...taken, ...stored]);
    this.#streams.reached(stream, highestOf([...runs, ...taken]));
    if (duplicates > 0) this.#streams.countDuplicates(stream, duplicates);
    const settled = [...stored, ...taken].flatMap(({ from, to }) => after.within(from, to));
    return { settled, conflicts, duplicates };
  }

  /** Inserts the frames of a batch, apart from those that are there or were. */
  #takeFrames(
    batch: UnpackedBatch,
    before: readonly SettledRange[],
  ): { conflicts: readonly number[]; duplicates: number } {
    const { stream, frames } = batch;
    if (frames.length < FRAMES_PER_STATEMENT || this.#mayBeThere(batch, before)) {
      return this.#takeOneByOne(batch, before);
    }
    const { receivedAt } = batch;
    let from = 0;
    for (; from + FRAMES_PER_STATEMENT <= frames.length; from += FRAMES_PER_STATEMENT) {
      const values: (number | Uint8Array)[] = [stream, receivedAt];
      for (let i = from; i < from + FRAMES_PER_STATEMENT; i += 1) {
        const frame = frames[i];
        if (frame) values.push(frame.seq, frame.capturedAt, frame.crc, frame.payload);
      }
      this.#insertFrames.run(...values);
    }
    for (const { seq, capturedAt, crc, payload } of frames.slice(from)) {
      this.#insertFrame.run(stream, seq, capturedAt, receivedAt, crc, payload);
    }
    return { conflicts: [], duplicates: 0 };
  }

  /** Some of a batch's frames are stored, or were. */
  #mayBeThere({ stream, frames }: UnpackedBatch, before: readonly SettledRange[]): boolean {
    const [first, last] = [frames[0]?.seq ?? 0, frames.at(-1)?.seq ?? 0];
    const anyPruned = before.some(({ state }) => state === 'pruned');
    return anyPruned || this.#anyFrameWithin.get(stream, first, last) !== undefined;
  }

  #takeOneByOne(
    { stream, receivedAt, frames }: UnpackedBatch,
    before: readonly SettledRange[],
  ): { conflicts: readonly number[]; duplicates: number } {
    const conflicts: number[] = [];
    let duplicates = 0;
    const pruned = before.filter((range) => range.state === 'pruned');
    for (const frame of frames) {
      const { seq, capturedAt, crc, payload } = frame;
      if (pruned.some((range) => range.from <= seq && seq <= range.to)) {
        duplicates += 1;
        continue;
      }
      const { changes } = this.#insertFrame.run(stream, seq, capturedAt, receivedAt, crc, payload);
      if (changes === 1) continue;
      if (this.#isStored(stream, frame)) {
        duplicates += 1;
      } else {
        conflicts.push(seq);
        this.#insertConflict.run(stream, seq, capturedAt, crc, receivedAt);
      }
    }
    return { conflicts, duplicates };
  }

  /** True when the row under this frame's identity holds the same frame. */
  #isStored(stream: StreamId, frame: WireFrame): boolean {
    const row = this.#readFrame.get(stream, frame.seq);
    return (
      row?.crc === frame.crc &&
      row.captured_at === frame.capturedAt &&
      row.payload instanceof Uint8Array &&
      Buffer.compare(row.payload, frame.payload) === 0
    );
  }

  #rollBack(): void {
    // SQLite has often rolled back by itself, and then there is nothing to be done.
    if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec('ROLLBACK');
  }

  #walBytes(): number {
    return Number(this.#walState.get()?.log) * this.#walFrameBytes;
  }
}

/** The seqs of frames as runs of stored ones. */
function runsOf(frames: readonly WireFrame[]): SettledRange[] {
  const runs: SettledRange[] = [];
  let from = 0;
  let to = 0;
  for (const { seq } of frames) {
    if (seq !== to + 1 || from === 0) {
      if (from > 0) runs.push({ from, to, state: 'stored', code: 0 });
      from = seq;
    }
    to = seq;
  }
  if (from > 0) runs.push({ from, to, state: 'stored', code: 0 });
  return runs;
}

/** Ranges (sorted) with some seqs (sorted) taken out of them. */
function without(ranges: readonly SettledRange[], seqs: readonly number[]): SettledRange[] {
  if (seqs.length === 0) return [...ranges];
  const result: SettledRange[] = [];
  for (const range of ranges) {
    let { from } = range;
    for (const seq of seqs) {
      if (seq < from || seq > range.to) continue;
      if (seq > from) result.push({ ...range, from, to: seq - 1 });
      from = seq + 1;
    }
    if (from <= range.to) result.push({ ...range, from });
  }
  return result;
}

function highestOf(ranges: readonly SettledRange[]): number {
  return ranges.reduce((highest, range) => Math.max(highest, range.to), 0);
}
