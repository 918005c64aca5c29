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
import { type CheckOutcome, describeProblem, isStructural, outcomeOf } from './check.ts';
import { damagedError, examine, inspect } from './inspection.ts';
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

/** Read whole in less than a second. */
const READ_WHOLE_BYTES = 67_108_864;

export interface OpeningOptions {
  /** What to make a store from where there is none; without it that is an error. */
  readonly fresh?: NewStore | undefined;
  /** A store of up to so many bytes is read whole, 64 MiB by default. */
  readonly readWholeBytes?: number | undefined;
}

export interface OpenedStore {
  readonly database: DatabaseSync;
  readonly lock: StoreLock;
  /** What reading all of it came to; undefined when that was put off. */
  readonly checked: CheckOutcome | undefined;
}

/**
 * Opens the store in a directory to work on it; makes it when there is none.
 * Throws StoreError `path`, `foreign`, `newer`, `corrupt`, `busy`, `full`, `io`.
 */
export function openStore(directory: string, options: OpeningOptions = {}): OpenedStore {
  prepareDirectory(directory);
  const lock = lockStore(directory);
  try {
    const checked = prepareFile(directory, options);
    return { database: openForWriting(directory), lock, checked };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function prepareFile(
  directory: string,
  { fresh, readWholeBytes = READ_WHOLE_BYTES }: OpeningOptions,
): CheckOutcome | undefined {
  const path = join(directory, STORE_FILE);
  const mark = readMark(directory);
  if (mark?.movedTo !== undefined) throw replacingError(directory, mark);
  if (!existsSync(path)) {
    refuseHalf(path);
    if (fresh === undefined) throw new StoreError('path', `there is no store in ${directory}`);
    create(directory, fresh);
    return outcomeOf(0, []);
  }
  if (mark === undefined && statSync(path).size > readWholeBytes) {
    const problems = examine(path, { inUse: false });
    if (problems.length > 0) throw damagedError(path, problems);
    return undefined;
  }
  const { frames, problems } = inspect(path, { inUse: false, untilUnusable: true });
  const structural = problems.filter(isStructural);
  if (structural.length > 0) throw damagedError(path, structural.map(describeProblem));
  if (mark !== undefined) removeMark(directory);
  return outcomeOf(frames, problems);
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
