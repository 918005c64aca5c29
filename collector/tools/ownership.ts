/**
 * Having a queue to oneself, for the tools that change it: its lock, and the right user. Files made
 * by another user than the collector's would keep the collector out of its own queue.
 */
import { statSync } from 'node:fs';
import { QueueInUseError } from '#collector/producer/queue/errors.ts';
import { lockQueue } from '#collector/producer/queue/lock.ts';
import { openDirectory, unreadable } from './directory.ts';
import { QueueToolError } from './errors.ts';

/**
 * Runs `work` while nobody else has the queue open.
 * @throws QueueInUseError when somebody has; QueueToolError when it is no queue, or not this user's.
 */
export async function withQueue<T>(path: string, work: () => Promise<T>): Promise<T> {
  openDirectory(path);
  refuseForeignRoot(path);
  const lock = lockOf(path);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** @throws QueueToolError for root on another user's queue. */
export function refuseForeignRoot(path: string): void {
  const { uid } = statSync(path);
  if (process.getuid?.() !== 0 || uid === 0) return;
  throw new QueueToolError(
    `${path} belongs to user ${uid}, and this is root: files made now would keep that user's ` +
      `collector out of its own queue. Nothing was touched. Run it as that user: sudo -u '#${uid}' …`,
  );
}

function lockOf(path: string): { release(): void } {
  try {
    return lockQueue(path);
  } catch (error) {
    if (error instanceof QueueInUseError) throw error;
    throw asToolError(path, error);
  }
}

/** SQLite says of a directory that can't be written to that it can't open its file. */
function asToolError(path: string, error: unknown): unknown {
  if (error instanceof Error && 'errcode' in error) {
    return new QueueToolError(
      `the queue in ${path} can't be locked: ${error.message}. Nothing was touched. Check that the ` +
        'directory can be written by this user',
    );
  }
  return unreadable(path, error);
}
