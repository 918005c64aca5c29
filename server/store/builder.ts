/**
 * Makes a store out of frames and facts that come from another one: for salvage and for backups.
 * Whatever the source called stored, here only a row makes it so; pruned frames stay away.
 *
 * The file is made without a log and without a journal: it is whole once `finish` has returned, and
 * worth nothing before.
 */
import { chmodSync, rmSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { SETTLED_STATES, type SettledRange, SettledRanges } from '#protocol/settlement.ts';
import { giveToOwnerOf, syncPath } from '#server/files.ts';
import type { CarvedFrame } from './carving.ts';
import type { StoreFacts } from './facts.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { makeTables } from './sqlite-schema.ts';

/** Frames that were called stored and are not in the store that was made. */
export interface LostFrames {
  readonly collector: string;
  readonly epoch: string;
  readonly ranges: readonly { readonly from: number; readonly to: number }[];
}

export interface BuiltStore {
  readonly storeId: string;
  readonly frames: number;
  /** By collector and epoch. */
  readonly lost: readonly LostFrames[];
}

export class StoreBuilder {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #insertFrame: StatementSync;
  readonly #insertAnywhere: StatementSync;

  /** Begins the file; what is there under its name is taken away. */
  constructor(path: string, made: { readonly storeId: string; readonly createdAt: number }) {
    this.#path = path;
    rmSync(path, { force: true });
    try {
      this.#database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
      chmodSync(path, 0o600);
      this.#database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF');
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -65536; BEGIN');
      makeTables(this.#database, made);
      const columns = 'stream_id, seq, captured_at, received_at, crc, payload';
      this.#insertFrame = this.#database.prepare(
        `INSERT OR IGNORE INTO frames (rowid, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      );
      this.#insertAnywhere = this.#database.prepare(
        `INSERT OR IGNORE INTO frames (${columns}) VALUES (?, ?, ?, ?, ?, ?)`,
      );
    } catch (error) {
      throw storeErrorOf(error, `making ${path}`);
    }
  }

  /** Takes a frame, under the row id that it had: they tell the order of arrival. Once is enough. */
  add({ rowid, stream, seq, capturedAt, receivedAt, crc, payload }: CarvedFrame): void {
    const values = [stream, seq, capturedAt, receivedAt, crc, payload] as const;
    try {
      if (this.#insertFrame.run(rowid, ...values).changes === 0)
        this.#insertAnywhere.run(...values);
    } catch (error) {
      throw storeErrorOf(error, `writing ${this.#path}`);
    }
  }

  /** Adds what isn't a frame, settles by what is there, and has all of it on disk. */
  finish(facts: StoreFacts, storeId: string): BuiltStore {
    try {
      this.#addFacts(facts);
      const lost: LostFrames[] = [];
      for (const { id, collector, epoch } of facts.streams.values()) {
        const ranges = this.#settle(id, facts);
        if (ranges.length > 0) lost.push({ collector, epoch, ranges });
      }
      const row = this.#database.prepare('SELECT count(*) AS frames FROM frames').get();
      this.#database.exec('COMMIT');
      this.#database.close();
      syncPath(this.#path);
      return { storeId, frames: Number(row?.frames), lost: lost.sort(byName) };
    } catch (error) {
      throw storeErrorOf(error, `writing ${this.#path}`);
    }
  }

  /** Ends without a store; nothing stays. */
  abandon(): void {
    if (this.#database.isOpen) this.#database.close();
    rmSync(this.#path, { force: true });
  }

  giveToOwnerOf(other: string): void {
    giveToOwnerOf(other, this.#path);
  }

  #addFacts({ collectors, streams, conflicts }: StoreFacts): void {
    const collector = this.#database.prepare(
      'INSERT OR REPLACE INTO collectors (collector, instance, first_heard_at, last_heard_at) VALUES (?, ?, ?, ?)',
    );
    for (const { collector: name, instance, firstHeardAt, lastHeardAt } of collectors.values()) {
      collector.run(name, instance, firstHeardAt, lastHeardAt);
    }
    const stream = this.#database.prepare(`
      INSERT INTO streams (id, collector, epoch, predecessor_epoch, predecessor_last, lowest,
        highest, last_named, held, announced_in, announced_at, duplicates_refused)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    // A stream of a collector whose own row is lost: it was heard, and it isn't known when.
    const unheard = this.#database.prepare(
      "INSERT OR IGNORE INTO collectors VALUES (?, '00000000-0000-0000-0000-000000000000', 0, 0)",
    );
    for (const fact of streams.values()) {
      unheard.run(fact.collector);
      stream.run(
        fact.id,
        fact.collector,
        fact.epoch,
        fact.predecessorEpoch,
        fact.predecessorLast,
        fact.lowest,
        fact.highest,
        fact.lastNamed,
        fact.held,
        fact.announcedIn,
        fact.announcedAt,
        fact.duplicatesRefused,
      );
    }
    const conflict = this.#database.prepare('INSERT INTO conflicts VALUES (?, ?, ?, ?, ?, ?, ?)');
    for (const fact of conflicts.values()) {
      if (!streams.has(fact.stream)) continue;
      const { capturedAt, crc, firstRefusedAt, lastRefusedAt, refused } = fact;
      conflict.run(fact.stream, fact.seq, capturedAt, crc, firstRefusedAt, lastRefusedAt, refused);
    }
  }

  /** Writes what is settled in a stream. Answers what was called stored and is not there. */
  #settle(id: number, facts: StoreFacts): SettledRange[] {
    const settled = new SettledRanges(facts.settledOf(id));
    const remove = this.#database.prepare(
      'DELETE FROM frames WHERE stream_id = ? AND seq BETWEEN ? AND ?',
    );
    for (const { from, to, state } of settled.ranges) {
      if (state === 'pruned') remove.run(id, from, to);
    }
    for (const run of this.#runsOf(id)) settled.add(run);
    const insert = this.#database.prepare(
      'INSERT INTO settled (stream_id, first, last, state, code) VALUES (?, ?, ?, ?, ?)',
    );
    for (const { from, to, state, code } of settled.ranges) {
      insert.run(id, from, to, SETTLED_STATES.indexOf(state) + 1, code);
    }
    const reached = settled.ranges.at(-1)?.to ?? 0;
    this.#database
      .prepare('UPDATE streams SET highest = max(highest, ?) WHERE id = ?')
      .run(Math.max(reached, facts.calledStored(id).at(-1)?.to ?? 0), id);
    return facts.calledStored(id).flatMap(({ from, to }) => lostWithin(settled, from, to));
  }

  #runsOf(id: number): SettledRange[] {
    const runs: SettledRange[] = [];
    const rows = this.#database.prepare('SELECT seq FROM frames WHERE stream_id = ? ORDER BY seq');
    let run: { from: number; to: number; state: 'stored'; code: number } | undefined;
    for (const row of rows.iterate(id)) {
      const seq = Number(row.seq);
      if (run !== undefined && seq === run.to + 1) {
        run.to = seq;
        continue;
      }
      run = { from: seq, to: seq, state: 'stored', code: 0 };
      runs.push(run);
    }
    return runs;
  }
}

/** What was called stored and is neither that now, nor pruned. */
function lostWithin(settled: SettledRanges, from: number, to: number): SettledRange[] {
  const lesser = settled
    .within(from, to)
    .filter(({ state }) => state !== 'stored' && state !== 'pruned');
  const gone = settled
    .unsettled(from, to)
    .map((range): SettledRange => ({ ...range, state: 'stored', code: 0 }));
  return [...lesser, ...gone].sort((a, b) => a.from - b.from);
}

function byName(a: LostFrames, b: LostFrames): number {
  if (a.collector !== b.collector) return a.collector < b.collector ? -1 : 1;
  return a.epoch < b.epoch ? -1 : 1;
}
