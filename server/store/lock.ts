/**
 * One server per store: a lock of the kernel that ends with the process that holds it, however it
 * ends. Node has no flock, so an exclusive transaction on a small SQLite file does it; nothing is
 * ever written into that file. Tools that put another file in the store's place hold it, too.
 *
 * It is beside SQLite's own locks, which guard single transactions: those let two servers take turns.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { giveToOwnerOf } from '#server/files.ts';
import { primaryCodeOf, SQLITE, storeErrorOf } from './sqlite-errors.ts';
import { StoreError } from './store.ts';

const LOCK_FILE = 'holdfast.lock';

export interface StoreLock {
  release(): void;
}

/** A server that is being replaced may need a moment to end. */
const WAIT_MS = 2_000;

/** Takes the lock of the store in a directory, or throws StoreError `busy`. */
export function lockStore(directory: string): StoreLock {
  const database = openLock(directory, WAIT_MS);
  try {
    database.exec('BEGIN EXCLUSIVE');
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw storeErrorOf(error, `locking the store in ${directory}`);
    const text = `the store in ${directory} is in use: another server, or a tool, works on it. Nothing was changed; end that one first`;
    throw new StoreError('busy', text, { cause: error });
  }
}

/** Whether a server, or a tool that replaces the store, has it right now. */
export function isStoreInUse(directory: string): boolean {
  if (!existsSync(join(directory, LOCK_FILE))) return false;
  const database = openLock(directory, 0);
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw storeErrorOf(error, `asking for the lock of the store in ${directory}`);
  } finally {
    database.close();
  }
}

function openLock(directory: string, timeout: number): DatabaseSync {
  const path = join(directory, LOCK_FILE);
  try {
    const database = new DatabaseSync(path, { timeout });
    giveToOwnerOf(directory, path);
    return database;
  } catch (error) {
    throw storeErrorOf(error, `locking the store in ${directory}`);
  }
}

function isBusy(error: unknown): boolean {
  return primaryCodeOf(error) === SQLITE.busy;
}
