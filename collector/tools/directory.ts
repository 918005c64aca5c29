/**
 * Finds out whether a directory is a queue's, and says in words why it isn't. Looks at names and at
 * nothing else.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CHECKPOINT_NAME } from '#collector/producer/queue/checkpoint.ts';
import { DiskReader } from '#collector/producer/queue/disk.ts';
import { COLLECTOR_ID_NAME } from '#collector/producer/queue/identity-file.ts';
import { segmentNumber } from '#collector/producer/queue/segment.ts';
import { QueueToolError, systemCodeOf } from './errors.ts';

/** Files that every queue has which was ever opened, each enough to know one by. */
const MARKS: ReadonlySet<string> = new Set([CHECKPOINT_NAME, COLLECTOR_ID_NAME, 'lock']);
const FOREIGN_NAMES_TOLD = 5;

/**
 * The files of the queue in a directory, for reading.
 * @throws QueueToolError when there is none, or it may not be read.
 */
export function openDirectory(path: string): DiskReader {
  const directory = resolve(path);
  const names = namesIn(directory);
  const isQueue = names.some((name) => MARKS.has(name) || segmentNumber(name) !== undefined);
  if (isQueue) return new DiskReader(directory);
  if (names.length === 0) {
    throw new QueueToolError(
      `${directory} is empty: no queue has been made in it. --path or HOLDFAST_QUEUE_PATH names the queue's directory`,
    );
  }
  const told = names.sort().slice(0, FOREIGN_NAMES_TOLD).join(', ');
  const more = names.length > FOREIGN_NAMES_TOLD ? ', …' : '';
  throw new QueueToolError(
    `${directory} is no queue: it holds ${told}${more}, and none of a queue's files. ` +
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
