/**
 * The file `series.db` beside the store: time buckets by collector and level, the names of the series,
 * and how far the store has been followed. docs/series.md describes it for people.
 *
 * All of it can be made again from the store. So nothing here waits for a disk (a commit is in the
 * file, not fsynced), and a file that is damaged, of another version or of another store is
 * removed and begun anew. Invariant: buckets and what they were made of change in one transaction.
 *
 * Not here: what goes into a bucket (`follower.ts`), and answers (`series-query.ts`).
 */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SeqRange } from '#protocol/settlement.ts';
import type { StreamName } from '#server/store/followed-store.ts';
import { primaryCodeOf, SQLITE } from '#server/store/sqlite-errors.ts';
import { type Prepare, statementsOf } from '#server/store/statements.ts';
import { type Bucket, BucketDamage, decodeBucket, encodeBucket } from './bucket.ts';
import { COARSEST, LEVELS } from './levels.ts';

export const SERIES_FILE = 'series.db';

/** Grows with each change of the tables or of what is put into them: older files are begun anew. */
const VERSION = 2;
/** "HOLS" in ASCII. */
const APPLICATION_ID = 0x484f4c53;
/** Waits for people who look into the file, not for other writers: there are none. */
const BUSY_TIMEOUT_MS = 1_000;
const CACHE_KB = 8_192;

/** A place is collector × 2^43 + level × 2^40 + bucket: rows of one level of a collector are neighbours. */
const LEVEL_SHIFT = 40n;
const COLLECTOR_SHIFT = 43n;
const BUCKET_MASK = '1099511627775';
/** Buckets beyond the allowed number are removed so many at a time. */
const TRIM_BUCKETS = 1_000;

/** Different series in one file; the numbers of a hostile fleet don't fill memory. */
export const SERIES_MAX = 50_000;
const COLLECTORS_MAX = 1_048_575;

const TABLES = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE collectors (
    id INTEGER PRIMARY KEY,
    collector TEXT NOT NULL UNIQUE,
    first_captured_at INTEGER NOT NULL,
    last_captured_at INTEGER NOT NULL,
    left_out INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    metric TEXT NOT NULL,
    unit TEXT NOT NULL,
    attributes TEXT NOT NULL,
    UNIQUE (metric, unit, attributes)
  ) STRICT;

  CREATE TABLE collector_series (
    collector INTEGER NOT NULL,
    series INTEGER NOT NULL,
    PRIMARY KEY (collector, series)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE extents (
    collector INTEGER NOT NULL,
    level INTEGER NOT NULL,
    buckets INTEGER NOT NULL,
    kept_from INTEGER NOT NULL,
    PRIMARY KEY (collector, level)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE buckets (place INTEGER PRIMARY KEY, summary BLOB NOT NULL) STRICT;

  CREATE TABLE streams (
    stream INTEGER PRIMARY KEY,
    collector TEXT NOT NULL,
    epoch TEXT NOT NULL
  ) STRICT;

  CREATE TABLE followed (
    stream INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (stream, first)
  ) STRICT, WITHOUT ROWID;
`;

/** The file is not what it should be; it has to be begun anew. */
export class SeriesDamage extends Error {
  override readonly name = 'SeriesDamage';
}

export interface SeriesName {
  readonly metric: string;
  readonly unit: string;
  /** JSON of sorted [key, value] pairs. */
  readonly attributes: string;
}

export interface ChartedCollector {
  readonly id: number;
  readonly collector: string;
  /** Microseconds since 1970 UTC. */
  readonly firstCapturedAt: number;
  readonly lastCapturedAt: number;
  /** Numbers that were not charted because of a limit. */
  readonly leftOut: number;
}

export interface Extent {
  readonly buckets: number;
  /** The first bucket that may be there; those before it were removed. */
  readonly keptFrom: number;
}

const NO_EXTENT: Extent = { buckets: 0, keptFrom: 0 };

export class SeriesFile {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #inode: number;
  readonly #prepared: Prepare;

  /** Opens or makes the file of a store. Throws {@link SeriesDamage}, and SQLite's errors. */
  constructor(directory: string, storeId: string) {
    this.path = join(directory, SERIES_FILE);
    const database = new DatabaseSync(this.path, { timeout: BUSY_TIMEOUT_MS });
    this.#database = database;
    this.#prepared = statementsOf(database);
    try {
      this.#prepare(storeId);
    } catch (error) {
      database.close();
      throw error;
    }
    this.#inode = statSync(this.path).ino;
  }

  static remove(directory: string): void {
    for (const end of ['', '-wal', '-shm', '-journal']) {
      rmSync(join(directory, `${SERIES_FILE}${end}`), { force: true });
    }
  }

  /** False once somebody has removed or replaced the file. */
  isInPlace(): boolean {
    return statSync(this.path, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  /** All or nothing of what `change` does. */
  transaction(change: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      change();
      this.#database.exec('COMMIT');
    } finally {
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec('ROLLBACK');
    }
  }

  close(): void {
    this.#database.close();
  }

  // The store as far as it was followed.

  nameOf(stream: number): StreamName | undefined {
    const row = this.#prepared('SELECT collector, epoch FROM streams WHERE stream = ?').get(stream);
    return row && { collector: String(row.collector), epoch: String(row.epoch) };
  }

  keepName(stream: number, { collector, epoch }: StreamName): void {
    this.#prepared('INSERT INTO streams VALUES (?, ?, ?) ON CONFLICT DO NOTHING').run(
      stream,
      collector,
      epoch,
    );
  }

  streams(): Iterable<StreamName & { readonly stream: number }> {
    const rows = this.#prepared('SELECT stream, collector, epoch FROM streams').all();
    return rows.map(({ stream, collector, epoch }) => ({
      stream: Number(stream),
      collector: String(collector),
      epoch: String(epoch),
    }));
  }

  /** The followed runs of a stream that overlap [from, to], in order. */
  followed(stream: number, from: number, to: number): SeqRange[] {
    return this.#prepared(`
      SELECT first, last FROM followed
      WHERE stream = ?1 AND first <= ?3 AND first >= coalesce(
        (SELECT first FROM followed WHERE stream = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1),
        ?2) ORDER BY first`)
      .all(stream, from, to)
      .map(({ first, last }) => ({ from: Number(first), to: Number(last) }))
      .filter((run) => run.to >= from);
  }

  /** Notes a run as followed, joined with its neighbours. */
  follow(stream: number, from: number, to: number): void {
    const touched = this.followed(stream, Math.max(1, from - 1), to + 1);
    const first = Math.min(from, ...touched.map((run) => run.from));
    const last = Math.max(to, ...touched.map((run) => run.to));
    const remove = this.#prepared('DELETE FROM followed WHERE stream = ? AND first = ?');
    for (const run of touched) remove.run(stream, run.from);
    this.#prepared('INSERT INTO followed VALUES (?, ?, ?)').run(stream, first, last);
  }

  // Names.

  collectors(): ChartedCollector[] {
    return this.#prepared('SELECT * FROM collectors ORDER BY collector')
      .all()
      .map((row) => ({
        id: Number(row.id),
        collector: String(row.collector),
        firstCapturedAt: Number(row.first_captured_at),
        lastCapturedAt: Number(row.last_captured_at),
        leftOut: Number(row.left_out),
      }));
  }

  /** Notes frames of a collector. Answers its id; undefined when there are too many collectors. */
  reach(collector: string, first: number, last: number): number | undefined {
    const row = this.#prepared(`
      INSERT INTO collectors (collector, first_captured_at, last_captured_at, left_out)
      VALUES (?1, ?2, ?3, 0)
      ON CONFLICT (collector) DO UPDATE SET
        first_captured_at = min(first_captured_at, ?2), last_captured_at = max(last_captured_at, ?3)
      RETURNING id`).get(collector, first, last);
    const id = Number(row?.id);
    return id <= COLLECTORS_MAX ? id : undefined;
  }

  leaveOut(collector: number, count: number): void {
    this.#prepared('UPDATE collectors SET left_out = left_out + ? WHERE id = ?').run(
      count,
      collector,
    );
  }

  series(): (SeriesName & { readonly id: number })[] {
    return this.#prepared('SELECT * FROM series')
      .all()
      .map((row) => ({
        id: Number(row.id),
        metric: String(row.metric),
        unit: String(row.unit),
        attributes: String(row.attributes),
      }));
  }

  addSeries({ metric, unit, attributes }: SeriesName): number {
    const row = this.#prepared(
      'INSERT INTO series (metric, unit, attributes) VALUES (?, ?, ?) RETURNING id',
    ).get(metric, unit, attributes);
    return Number(row?.id);
  }

  seriesOf(collector: number): number[] {
    return this.#prepared('SELECT series FROM collector_series WHERE collector = ?')
      .all(collector)
      .map(({ series }) => Number(series));
  }

  addSeriesOf(collector: number, series: number): void {
    this.#prepared('INSERT INTO collector_series VALUES (?, ?)').run(collector, series);
  }

  // Buckets.

  extent(collector: number, level: number): Extent {
    const row = this.#prepared(
      'SELECT buckets, kept_from FROM extents WHERE collector = ? AND level = ?',
    ).get(collector, level);
    return row ? { buckets: Number(row.buckets), keptFrom: Number(row.kept_from) } : NO_EXTENT;
  }

  bucket(collector: number, level: number, bucket: number): Bucket | undefined {
    const row = this.#prepared('SELECT summary FROM buckets WHERE place = ?').get(
      placeOf(collector, level, bucket),
    );
    return row?.summary instanceof Uint8Array ? decodeBucket(row.summary) : undefined;
  }

  putBucket(collector: number, level: number, number: number, bucket: Bucket): void {
    this.#prepared(
      'INSERT INTO buckets VALUES (?1, ?2) ON CONFLICT (place) DO UPDATE SET summary = ?2',
    ).run(placeOf(collector, level, number), encodeBucket(bucket));
  }

  /** Counts new buckets of a level, and removes its oldest when there are too many. */
  grow(collector: number, level: number, added: number, bucketsMax: number): void {
    const extent = this.extent(collector, level);
    let buckets = extent.buckets + added;
    let { keptFrom } = extent;
    while (level < COARSEST && buckets >= bucketsMax + TRIM_BUCKETS) {
      const cut = this.#prepared(`
        SELECT place & ${BUCKET_MASK} AS bucket FROM buckets WHERE place BETWEEN ? AND ?
        ORDER BY place LIMIT 1 OFFSET ${TRIM_BUCKETS}`).get(
        placeOf(collector, level, 0),
        placeOf(collector, level + 1, 0) - 1n,
      );
      if (cut === undefined) throw new SeriesDamage('fewer buckets than were counted');
      keptFrom = Number(cut.bucket);
      this.#prepared('DELETE FROM buckets WHERE place >= ? AND place < ?').run(
        placeOf(collector, level, 0),
        placeOf(collector, level, keptFrom),
      );
      buckets -= TRIM_BUCKETS;
    }
    this.#prepared('INSERT OR REPLACE INTO extents VALUES (?, ?, ?, ?)').run(
      collector,
      level,
      buckets,
      keptFrom,
    );
  }

  /** The buckets [from, to) of a level, in order: number and bytes. */
  *within(collector: number, level: number, from: number, to: number) {
    const rows = this.#prepared(`
      SELECT place & ${BUCKET_MASK} AS bucket, summary FROM buckets
      WHERE place >= ? AND place < ? ORDER BY place`).iterate(
      placeOf(collector, level, from),
      placeOf(collector, level, to),
    );
    for (const { bucket, summary } of rows) {
      if (summary instanceof Uint8Array) yield { bucket: Number(bucket), summary };
    }
  }

  #prepare(storeId: string): void {
    const database = this.#database;
    database.exec(`PRAGMA journal_mode = wal; PRAGMA synchronous = NORMAL;
      PRAGMA cache_size = -${CACHE_KB}; PRAGMA trusted_schema = 0; PRAGMA cell_size_check = 1;`);
    const header = Number(database.prepare('PRAGMA application_id').get()?.application_id);
    if (header === 0) {
      this.transaction(() => {
        database.exec(TABLES);
        database.prepare("INSERT INTO meta VALUES ('store_id', ?)").run(storeId);
        database.exec(
          `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`,
        );
      });
    }
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (header !== 0 && (header !== APPLICATION_ID || version !== VERSION)) {
      throw new SeriesDamage(`it is of version ${version}, not ${VERSION}`);
    }
    const known = database.prepare("SELECT value FROM meta WHERE key = 'store_id'").get()?.value;
    if (known !== storeId) throw new SeriesDamage('it belongs to another store');
  }
}

function placeOf(collector: number, level: number, bucket: number): bigint {
  return (BigInt(collector) << COLLECTOR_SHIFT) + (BigInt(level) << LEVEL_SHIFT) + BigInt(bucket);
}

/** Says whether an error of SQLite or of a bucket means that the file is damaged. */
export function isDamage(error: unknown): error is Error {
  if (error instanceof SeriesDamage || error instanceof BucketDamage) return true;
  const code = primaryCodeOf(error);
  return code === SQLITE.corrupt || code === SQLITE.notADatabase;
}

/** Levels have three bits in a place. */
if (LEVELS.length > 8) throw new Error('more levels than a place has room for');
