/**
 * What a server does before it works on a store: takes the lock, makes the store where there is
 * none, and refuses one that is damaged or half there; it is never started over.
 *
 * A small store is read whole first. For one that takes longer, what shows at once has to do, unless
 * it is marked: then damage was met before, and all of it is read whatever that takes. The rest of
 * a large one is read while it serves (`sqlite-store.ts`).
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { damagedError, examine, inspect, problemLines } from './inspection.ts';
import { lockStore, type StoreLock } from './lock.ts';
import { type DamageMark, readMark, removeMark } from './mark.ts';
import {
  create,
  type NewStore,
  openForWriting,
  prepareDirectory,
  STORE_FILE,
} from './sqlite-schema.ts';
import { StoreError } from './store.ts';

/** Read whole in less than a second at each start. */
const SMALL_BYTES = 67_108_864;

export interface OpenedStore {
  readonly database: DatabaseSync;
  readonly lock: StoreLock;
  /** All of it was read just now, and is whole. */
  readonly inspected: boolean;
}

/**
 * Opens the store in a directory for a server; makes it when there is none.
 * Throws StoreError `path`, `foreign`, `newer`, `corrupt`, `busy`, `full`, `io`.
 */
export function openStore(directory: string, fresh: NewStore): OpenedStore {
  prepareDirectory(directory);
  const lock = lockStore(directory);
  try {
    const inspected = prepareFile(directory, fresh);
    return { database: openForWriting(directory), lock, inspected };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Answers whether all of the store was read. */
function prepareFile(directory: string, fresh: NewStore): boolean {
  const path = join(directory, STORE_FILE);
  const mark = readMark(directory);
  if (mark?.movedTo !== undefined) throw replacingError(directory, mark);
  if (!existsSync(path)) {
    refuseHalf(path);
    create(directory, fresh);
    return true;
  }
  if (mark === undefined && statSync(path).size > SMALL_BYTES) {
    const problems = examine(path, { inUse: false });
    if (problems.length > 0) throw damagedError(path, problems);
    return false;
  }
  const report = inspect(path, { inUse: false, untilFirst: true });
  if (report.problems.length > 0) throw damagedError(path, problemLines(report));
  if (mark !== undefined) removeMark(directory);
  return true;
}

function refuseHalf(path: string): void {
  if (!existsSync(`${path}-wal`)) return;
  const text = `${path} is gone but its write-ahead log is still there: the store was lost in part. Nothing was touched; restore a backup (\`./holdfast server store restore\`), or move the log away to begin anew`;
  throw new StoreError('corrupt', text);
}

function replacingError(directory: string, { movedTo }: DamageMark): StoreError {
  const text = `the store in ${directory} was being replaced, and that was cut short. Its files are in ${movedTo} there; give the command once more that was replacing it (\`./holdfast server store salvage\` or \`restore\`)`;
  return new StoreError('corrupt', text);
}
