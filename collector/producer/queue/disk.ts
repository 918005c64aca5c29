/**
 * The queue's file port on the real file system, and its reading half by itself: the only file of the queue that knows `node:fs`
 * (`lock.ts` apart, which knows SQLite's locks). Directories are made 0700 and files 0600, and a
 * symbolic link in place of one of our files is never followed.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makeDirectories } from '#protocol/directories.ts';
import {
  type FileHandle,
  type FilePort,
  type FileReader,
  isOutOfRoom,
  NoSpaceError,
} from './file-port.ts';

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const CHANGE = constants.O_RDWR | constants.O_NOFOLLOW;

function sync(directory: string): void {
  const handle = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Runs a call that needs room on the disk. */
function needingRoom<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (isOutOfRoom(error)) throw new NoSpaceError(error);
    throw error;
  }
}

/** For looking at a queue that may be another process's: makes, changes and locks nothing. */
export class DiskReader implements FileReader {
  protected readonly root: string;

  constructor(root: string) {
    this.root = resolve(root);
  }

  list(directory: string): string[] {
    try {
      return readdirSync(join(this.root, directory));
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  }

  size(path: string): number | undefined {
    return lstatSync(join(this.root, path), { throwIfNoEntry: false })?.size;
  }

  open(path: string): FileHandle {
    return openSync(join(this.root, path), READ);
  }

  read(handle: FileHandle, target: Uint8Array, position: number): number {
    let total = 0;
    while (total < target.length) {
      const count = readSync(handle, target, total, target.length - total, position + total);
      if (count === 0) break;
      total += count;
    }
    return total;
  }

  close(handle: FileHandle): void {
    closeSync(handle);
  }
}

export class Disk extends DiskReader implements FilePort {
  /** Makes the directory, and those above it, when they aren't there, durably. */
  constructor(root: string) {
    super(root);
    const firstMade = makeDirectories(this.root);
    if (firstMade === undefined) return;
    const top = dirname(firstMade);
    for (let parent = dirname(this.root); parent !== top; parent = dirname(parent)) sync(parent);
    sync(top);
  }

  makeDirectory(path: string): void {
    needingRoom(() => makeDirectories(join(this.root, path)));
  }

  create(path: string): FileHandle {
    return needingRoom(() => openSync(join(this.root, path), CREATE, 0o600));
  }

  overwrite(path: string): FileHandle {
    return openSync(join(this.root, path), CHANGE);
  }

  write(handle: FileHandle, bytes: Uint8Array): void {
    let written = 0;
    while (written < bytes.length) {
      written += needingRoom(() => writeSync(handle, bytes, written, bytes.length - written, null));
    }
  }

  sync(handle: FileHandle): void {
    fdatasyncSync(handle);
  }

  truncate(path: string, bytes: number): void {
    const handle = openSync(join(this.root, path), CHANGE);
    try {
      ftruncateSync(handle, bytes);
    } finally {
      closeSync(handle);
    }
  }

  rename(from: string, to: string): void {
    needingRoom(() => renameSync(join(this.root, from), join(this.root, to)));
  }

  unlink(path: string): void {
    unlinkSync(join(this.root, path));
  }

  syncDirectory(directory: string): void {
    sync(join(this.root, directory));
  }
}
