/**
 * Opens a queue's directory for a tool, and says in words why it can't. Whether it is a queue's at
 * all is judged where the queue itself asks, too: `queue/directory.ts`.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { judgeDirectory } from '#collector/producer/queue/directory.ts';
import { DiskReader } from '#collector/producer/queue/disk.ts';
import { QueueToolError, systemCodeOf } from './errors.ts';

/**
 * The files of the queue in a directory, for reading.
 * @throws QueueToolError when there is none, or it may not be read.
 */
export function openDirectory(path: string): DiskReader {
  const directory = resolve(path);
  const verdict = judgeDirectory(namesIn(directory));
  if (verdict.kind === 'queue') return new DiskReader(directory);
  if (verdict.kind === 'empty') {
    throw new QueueToolError(
      `${directory} is empty: no queue has been made in it. --path or HOLDFAST_QUEUE_PATH names the queue's directory`,
    );
  }
  throw new QueueToolError(
    `${directory} is no queue: it holds ${verdict.holds}, and none of a queue's files. ` +
      "--path or HOLDFAST_QUEUE_PATH names the queue's directory",
  );
}

function namesIn(directory: string): string[] {
  try {
    if (!statSync(directory).isDirectory()) {
      throw new QueueToolError(`${directory} is a file; a queue is a directory`);
    }
    accessSync(directory, constants.R_OK | constants.X_OK);
    return new DiskReader(directory).list('');
  } catch (error) {
    if (error instanceof QueueToolError) throw error;
    throw unreadable(directory, error);
  }
}

/** An error of the file system met while looking at a queue, as words; others as they are. */
export function unreadable(path: string, error: unknown): unknown {
  switch (systemCodeOf(error)) {
    case undefined:
      return error;
    case 'ENOENT':
    case 'ENOTDIR':
      return new QueueToolError(
        `there is no queue in ${path}: no such directory. --path or HOLDFAST_QUEUE_PATH names it`,
      );
    case 'EACCES':
    case 'EPERM':
      return new QueueToolError(
        `${path} may not be read by this user. A queue is its collector's alone (mode 0700): run ` +
          'this as the same user, or as root',
      );
    default:
      return new QueueToolError(`${path} can't be read: ${(error as Error).message}`);
  }
}
