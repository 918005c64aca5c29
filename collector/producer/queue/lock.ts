/**
 * One writer per queue: a lock of the kernel that ends with the process that holds it, however it
 * ends. Node has no flock, so an exclusive transaction on a small SQLite file does it; nothing is
 * ever written into that file. Not a file with a process id: in containers those repeat.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { QueueInUseError } from './errors.ts';

export const LOCK_NAME = 'lock';
const SQLITE_BUSY = 5;

export interface QueueLock {
  release(): void;
}

/**
 * Takes the lock of the queue in `path`, or fails at once.
 * @throws QueueInUseError when another process, or another `Queue` of this one, holds it.
 */
export function lockQueue(path: string): QueueLock {
  const file = join(path, LOCK_NAME);
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    // By name: to open and close the file ourselves would drop this process's locks on it.
    chmodSync(file, 0o600);
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (isBusy(error)) throw new QueueInUseError(path);
    throw error;
  }
  return { release: () => database.close() };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}
