/**
 * The SQLite file: its tables, how it is made, and how one is opened. docs/store-format.md
 * describes it for people.
 *
 * Invariants: a store appears whole or not at all (it is made under another name and renamed); a
 * file that isn't ours, or is of a newer version, is refused without being touched. Whether a store
 * is damaged is `inspection.ts`'s question, asked before one is opened (`opening.ts`).
 */
import { closeSync, existsSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { makeDirectories } from '#protocol/directories.ts';
import { syncPath } from '#server/files.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { StoreError } from './store.ts';

export const STORE_FILE = 'holdfast.db';

/** Grows with each change of the tables; in the file's header as `user_version`. */
const SCHEMA_VERSION = 1;
/** "HOLD" in ASCII; in the file's header as `application_id`. */
const APPLICATION_ID = 0x484f4c44;

/** Older ones can lose a commit when a checkpoint and a writer meet. */
const SQLITE_VERSION_MIN = [3, 51, 3] as const;
const BUSY_TIMEOUT_MS = 2_000;

/** Holds the ends of a thousand streams in both indexes; more only takes memory from the system's own cache. */
const WRITER_CACHE_KIB = 8_192;
/** Pages of frames are read once, one behind the other. */
const READER_CACHE_KIB = 4_096;

/** What has to be in the schema. */
export const SCHEMA_NAMES = [
  'meta',
  'collectors',
  'streams',
  'frames',
  'frames_by_capture',
  'settled',
  'conflicts',
] as const;

const TABLES = `
  CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE collectors (
    collector TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    first_heard_at INTEGER NOT NULL,
    last_heard_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    collector TEXT NOT NULL REFERENCES collectors (collector),
    epoch TEXT NOT NULL,
    predecessor_epoch TEXT,
    predecessor_last INTEGER,
    lowest INTEGER NOT NULL,
    highest INTEGER NOT NULL,
    last_named INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL CHECK (held IN (0, 1)),
    announced_in TEXT,
    announced_at INTEGER,
    duplicates_refused INTEGER NOT NULL DEFAULT 0,
    UNIQUE (collector, epoch)
  ) STRICT;

  CREATE TABLE frames (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    seq INTEGER NOT NULL CHECK (seq > 0),
    captured_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (stream_id, seq)
  ) STRICT;

  CREATE INDEX frames_by_capture ON frames (stream_id, captured_at, seq);

  CREATE TABLE settled (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    first INTEGER NOT NULL CHECK (first > 0),
    last INTEGER NOT NULL CHECK (last >= first),
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 4),
    code INTEGER NOT NULL,
    PRIMARY KEY (stream_id, first)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE conflicts (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    seq INTEGER NOT NULL,
    captured_at INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    first_refused_at INTEGER NOT NULL,
    last_refused_at INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    PRIMARY KEY (stream_id, seq)
  ) STRICT, WITHOUT ROWID;
`;

/** What a new store is made with. */
export interface NewStore {
  readonly storeId: string;
  readonly createdAt: number;
}

/** The directory is there, and made if it has to be. Throws StoreError `path`. */
export function prepareDirectory(directory: string): void {
  checkSqliteVersion();
  try {
    makeDirectories(resolve(directory));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const text = `the store's directory ${directory} can't be made or used (${reason}); make it, or set HOLDFAST_STORE_PATH`;
    throw new StoreError('path', text, { cause: error });
  }
}

/** Throws StoreError `path` where there is no file in a store's place. */
export function checkThere(path: string): void {
  if (existsSync(path)) return;
  throw new StoreError('path', `there is no store at ${path}; HOLDFAST_STORE_PATH names it`);
}

/** Opens a store that is there, and in order, for writing. Throws StoreError. */
export function openForWriting(directory: string): DatabaseSync {
  const path = join(directory, STORE_FILE);
  const database = open(path, { readOnly: false });
  try {
    setUp(database, [
      ['journal_mode', 'wal'],
      ['synchronous', 2],
      ['wal_autocheckpoint', 0],
      ['foreign_keys', 1],
      ['trusted_schema', 0],
      ['cell_size_check', 1],
      ['cache_size', -WRITER_CACHE_KIB],
    ]);
    return database;
  } catch (error) {
    database.close();
    throw storeErrorOf(error, `opening the store ${path}`);
  }
}

/** Opens a store that {@link openForWriting} has opened, for reading. */
export function openForReading(directory: string): DatabaseSync {
  const database = open(join(directory, STORE_FILE), { readOnly: true });
  setUp(database, [...READING, ['cache_size', -READER_CACHE_KIB]]);
  return database;
}

/** Opens a store's file with its log, to look at all of it once. */
export function openForChecking(path: string): DatabaseSync {
  const database = open(path, { readOnly: true });
  setUp(database, [...READING, ['cache_size', -2_048]]);
  return database;
}

/** Opens a store's file as it lies there, without its log. Makes no file beside it. */
export function openAsFiled(path: string): DatabaseSync {
  const url = pathToFileURL(resolve(path));
  url.searchParams.set('immutable', '1');
  const database = open(url, { readOnly: true });
  setUp(database, [...READING, ['cache_size', -2_048]]);
  return database;
}

/** Which of its logs the store has begun last; undefined in one that an older Holdfast has written. */
export function readLogNumber(database: DatabaseSync): number | undefined {
  const row = database.prepare("SELECT value FROM meta WHERE key = 'log'").get();
  return row === undefined ? undefined : Number(row.value);
}

export function readStoreId(database: DatabaseSync): string {
  const row = database.prepare("SELECT value FROM meta WHERE key = 'store_id'").get();
  if (typeof row?.value !== 'string') {
    throw new StoreError('corrupt', 'it has lost its id');
  }
  return row.value;
}

function checkSqliteVersion(): void {
  const parts = (process.versions.sqlite ?? '0').split('.').map(Number);
  for (const [index, least] of SQLITE_VERSION_MIN.entries()) {
    const part = parts[index] ?? 0;
    if (part > least) return;
    if (part < least) {
      const text = `this Node carries SQLite ${process.versions.sqlite}, older than ${SQLITE_VERSION_MIN.join('.')}, which can lose commits; take a newer Node`;
      throw new StoreError('internal', text);
    }
  }
}

/** What to do about a file that is none. */
const NOT_A_STORE = {
  store:
    'If it was one, `./holdfast server store salvage` makes a store of what is whole in it; or restore a backup, or set HOLDFAST_STORE_PATH to another directory',
  backup: `If it was one, and is damaged: put a copy as ${STORE_FILE} into a directory of its own, and have that salvaged (\`HOLDFAST_STORE_PATH=… ./holdfast server store salvage\`)`,
} as const;

/**
 * Throws StoreError `foreign`, `newer` or `path` unless the file is a store. Reads the header by
 * hand: SQLite would already write to a file that has a WAL beside it.
 * @param role What the file is to whoever named it.
 */
export function checkHeader(path: string, role: keyof typeof NOT_A_STORE = 'store'): void {
  const header = Buffer.alloc(100);
  let length: number;
  try {
    const file = openSync(path, 'r');
    length = readSync(file, header);
    closeSync(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreError('path', `the ${role} ${path} can't be read (${reason})`, { cause: error });
  }
  const ours =
    length === header.length &&
    header.toString('latin1', 0, 16) === 'SQLite format 3\0' &&
    header.readUInt32BE(68) === APPLICATION_ID;
  if (!ours) {
    const kind = role === 'store' ? 'a Holdfast store' : 'a backup of a Holdfast store';
    const why = length < header.length ? 'it is cut short' : 'it begins as another file';
    const text = `${path} is not ${kind} (${why}). It was left as it is. ${NOT_A_STORE[role]}`;
    throw new StoreError('foreign', text);
  }
  const version = header.readUInt32BE(60);
  if (version > SCHEMA_VERSION) {
    const text = `the ${role} ${path} is of version ${version}, this server knows ${SCHEMA_VERSION}. It was left as it is; start a newer Holdfast`;
    throw new StoreError('newer', text);
  }
}

/** Makes the store of a directory, which has none: whole, or not at all. */
export function create(directory: string, fresh: NewStore): void {
  const path = join(directory, STORE_FILE);
  const making = `${path}.new`;
  try {
    rmSync(making, { force: true });
    rmSync(`${making}-journal`, { force: true });
    const database = new DatabaseSync(making);
    database.exec('PRAGMA synchronous = FULL; BEGIN');
    makeTables(database, fresh);
    database.exec('COMMIT');
    database.close();
    renameSync(making, path);
    syncPath(directory);
  } catch (error) {
    throw storeErrorOf(error, `making the store ${path}`);
  }
}

/** Fills an empty database with the tables of a store. */
export function makeTables(database: DatabaseSync, { storeId, createdAt }: NewStore): void {
  database.exec(TABLES);
  const insert = database.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  insert.run('store_id', storeId);
  insert.run('created_at', String(createdAt));
  insert.run('log', '0');
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
}

function open(path: string | URL, { readOnly }: { readonly readOnly: boolean }): DatabaseSync {
  try {
    return new DatabaseSync(path, { readOnly, timeout: BUSY_TIMEOUT_MS });
  } catch (error) {
    throw storeErrorOf(error, `opening the store ${path}`);
  }
}

type Pragmas = readonly (readonly [string, string | number])[];

const READING: Pragmas = [
  ['query_only', 1],
  ['trusted_schema', 0],
  ['cell_size_check', 1],
];

/** Sets each PRAGMA and reads it back: SQLite ignores what it doesn't know or can't do. */
function setUp(database: DatabaseSync, pragmas: Pragmas): void {
  for (const [name, wanted] of pragmas) {
    database.exec(`PRAGMA ${name} = ${wanted}`);
    const got = database.prepare(`PRAGMA ${name}`).get()?.[name];
    if (got !== wanted) {
      throw new StoreError('internal', `SQLite has ${name} = ${got}, not ${wanted}`);
    }
  }
}
