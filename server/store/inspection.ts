/**
 * Whether a store's file is what it should be: what can be told at once, whatever its size
 * (`examine`), and all of it (`inspect`). Both leave the store as it is.
 *
 * SQLite alone doesn't tell: it reads a log up to where it is damaged, puts a log over a database
 * that it doesn't belong to, and meets a page that is gone when somebody asks for what was on it.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { describeProblem, isStructural, StoreCheck, type StoreProblem } from './check.ts';
import { pageBytesIn } from './pages.ts';
import { ADVICE, storeErrorOf } from './sqlite-errors.ts';
import {
  checkHeader,
  openAsFiled,
  openForChecking,
  readLogNumber,
  readStoreId,
  SCHEMA_NAMES,
} from './sqlite-schema.ts';
import { StoreError } from './store.ts';
import { inspectLog } from './wal.ts';

/** What a whole inspection found. */
export interface StoreReport {
  readonly path: string;
  readonly storeId: string | undefined;
  /** Database and log. */
  readonly bytes: number;
  readonly frames: number;
  readonly problems: readonly StoreProblem[];
  /** Further problems that are not among those. */
  readonly omitted: number;
}

export interface InspectionOptions {
  /** A server works on it right now: what takes a long look is left out. */
  readonly inUse: boolean;
  /** The first problem for which it must not be worked on is enough. */
  readonly untilUnusable?: boolean;
  /** Hears of the frames that were read, now and then. */
  readonly onProgress?: (frames: number) => void;
}

/**
 * The damage that shows without reading the store: of its length, its log, its tables' names. In
 * words; empty when there is none. Throws StoreError `foreign`, `newer`, `path`.
 */
export function examine(path: string, { inUse }: { readonly inUse: boolean }): string[] {
  checkHeader(path);
  const log = inspectLog(logOf(path));
  const problems: string[] = [];
  if (log.commitsLost > 0 && !inUse) {
    const place = `page ${(log.brokenAt ?? 0) + 1} of ${log.frames}`;
    problems.push(
      `its write-ahead log is damaged at ${place}; ${log.commitsLost} or more commits behind that place, which may have been acknowledged, can't be read from it any more`,
    );
  }
  if (log.frames === 0) problems.push(...lengthProblems(path));
  if (problems.length > 0) return problems;
  try {
    return withDatabase(path, inUse, (database) => {
      const found = schemaProblems(database);
      const paired = found.length > 0 || log.frames === 0 || inUse;
      return paired ? found : pairProblems(path, database);
    });
  } catch (error) {
    return [damageOf(error, path)];
  }
}

/** Reads all of a store. Throws StoreError `foreign`, `newer`, `path` where there is none. */
export function inspect(path: string, options: InspectionOptions): StoreReport {
  const bytes = sizeOf(path) + sizeOf(logOf(path));
  const early = examine(path, options).map((text): StoreProblem => ({ kind: 'file', text }));
  const nothing = { path, bytes, storeId: undefined, frames: 0, omitted: 0 };
  if (early.length > 0 && options.untilUnusable) return { ...nothing, problems: early };
  try {
    return withDatabase(path, options.inUse, (database) => {
      const check = new StoreCheck(database, { structure: !options.inUse });
      while (!check.done && !(options.untilUnusable && check.problems.some(isStructural))) {
        check.step();
        options.onProgress?.(check.frames);
      }
      const { frames, problems, omitted } = check;
      const storeId = storeIdOf(database);
      return { path, bytes, storeId, frames, problems: [...early, ...problems], omitted };
    });
  } catch (error) {
    const text = damageOf(error, path);
    const known = early.some((problem) => problem.kind === 'file' && problem.text === text);
    return { ...nothing, problems: known ? early : [...early, { kind: 'file', text }] };
  }
}

/** The words of an error that tells of damage; any other one is thrown again, as a StoreError. */
function damageOf(error: unknown, path: string): string {
  const { code } = storeErrorOf(error, '');
  if (code !== 'corrupt' && code !== 'foreign')
    throw storeErrorOf(error, `reading the store ${path}`);
  return reasonOf(error);
}

function reasonOf(error: unknown): string {
  const { cause } = error instanceof Error ? error : {};
  if (cause instanceof Error) return `SQLite can't read it: ${cause.message}`;
  if (error instanceof StoreError) return error.message;
  return `SQLite can't read it: ${error instanceof Error ? error.message : String(error)}`;
}

/** The StoreError for a store that is damaged: what was found, and what to do. */
export function damagedError(path: string, problems: readonly string[]): StoreError {
  return new StoreError(
    'corrupt',
    `the store ${path} is damaged: ${inShort(problems)}. Nothing was changed. ${ADVICE}`,
  );
}

/** The first of some problems, and how many more there are. */
export function inShort([first = 'no more is known', ...others]: readonly string[]): string {
  return others.length > 0 ? `${first} (and ${others.length} more)` : first;
}

/** The problems of a report as lines for people. */
export function problemLines({ problems, omitted }: StoreReport): string[] {
  const lines = problems.map(describeProblem);
  return omitted > 0 ? [...lines, `and ${omitted} more`] : lines;
}

function lengthProblems(path: string): string[] {
  const header = Buffer.alloc(100);
  const file = openSync(path, 'r');
  readSync(file, header);
  closeSync(file);
  const countIsValid = header.readUInt32BE(24) === header.readUInt32BE(92);
  const wanted = header.readUInt32BE(28) * pageBytesIn(header);
  const { size } = statSync(path);
  if (!countIsValid || size >= wanted) return [];
  return [`it is cut short: ${size} bytes are there of ${wanted}`];
}

function schemaProblems(database: DatabaseSync): string[] {
  try {
    const names = database.prepare('SELECT name FROM sqlite_schema').all();
    const known = new Set(names.map(({ name }) => String(name)));
    const lost = SCHEMA_NAMES.filter((name) => !known.has(name));
    if (lost.length > 0) return [`it has lost ${lost.join(', ')}`];
    readStoreId(database);
    return [];
  } catch (error) {
    return [damageOf(error, 'schema')];
  }
}

/**
 * The log is counted in the database (`meta.log`) at its beginning, so the database without its log
 * is at the same number, or at the one before.
 */
function pairProblems(path: string, database: DatabaseSync): string[] {
  const withLog = readLogNumber(database);
  const withoutLog = rawLogNumber(path);
  if (withLog === undefined || withoutLog === undefined) return [];
  if (withoutLog === withLog || withoutLog === withLog - 1) return [];
  const text = `its write-ahead log belongs to ${withoutLog < withLog ? 'a newer' : 'an older'} copy of it (number ${withLog} beside a database at ${withoutLog})`;
  return [text];
}

function rawLogNumber(path: string): number | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = openAsFiled(path);
    return readLogNumber(database);
  } catch {
    // Half of the log may have been moved into it, page by page, and that is in order.
    return undefined;
  } finally {
    database?.close();
  }
}

function storeIdOf(database: DatabaseSync): string | undefined {
  try {
    return readStoreId(database);
  } catch {
    return undefined;
  }
}

function withDatabase<T>(path: string, inUse: boolean, read: (database: DatabaseSync) => T): T {
  const hasLog = existsSync(logOf(path));
  const database = inUse || hasLog ? openForChecking(path) : openAsFiled(path);
  try {
    return read(database);
  } finally {
    database.close();
  }
}

function logOf(path: string): string {
  return `${path}-wal`;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
