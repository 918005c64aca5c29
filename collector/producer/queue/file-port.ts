/**
 * The narrow, synchronous port through which the queue touches files. `disk.ts` is the one on the
 * real file system; the simulation has one that loses what was not synced.
 *
 * Paths are relative to the queue's directory and use `/`. Every call may throw the operating
 * system's error, which the caller turns into one of the queue's own.
 */

/**
 * The disk, or a quota on it, has no room for this now; it may have later. Some of the bytes of a
 * write may have got there. Only calls that need room throw this, never a sync: after a sync that
 * failed, whatever the reason, nobody knows what is on the disk.
 */
export class NoSpaceError extends Error {
  override readonly name = 'NoSpaceError';
  readonly code: unknown;

  /** @param cause The operating system's error. */
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.code = 'code' in cause ? cause.code : undefined;
  }
}

const OUT_OF_ROOM: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

/** Whether the operating system's error passes by itself once the disk has room. */
export function isOutOfRoom(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && OUT_OF_ROOM.has(error.code);
}

/** An open file; only the port that gave it out knows what it is. */
export type FileHandle = number;

/** The part of the port that changes nothing: all that whoever only looks at a queue is given. */
export interface FileReader {
  /** Names of the entries of a directory ('' = the queue's own); [] when there is none. */
  list(directory: string): string[];
  /** A file's size in bytes; `undefined` when there is no such file. */
  size(path: string): number | undefined;
  /** Opens a file for reading. */
  open(path: string): FileHandle;
  /** Reads into `target` from `position` on; answers the bytes read, fewer only at the end. */
  read(handle: FileHandle, target: Uint8Array, position: number): number;
  close(handle: FileHandle): void;
}

export interface FilePort extends FileReader {
  /** @throws NoSpaceError */
  makeDirectory(path: string): void;
  /**
   * Makes a new empty file (0600) for writing at its end; throws when the name is taken.
   * @throws NoSpaceError
   */
  create(path: string): FileHandle;
  /** Opens a file for writing over what is in it, from its start: in the room that it has. */
  overwrite(path: string): FileHandle;
  /**
   * Writes all the bytes: at the end of a file that `create` gave out, or behind the last write into
   * one that `overwrite` did.
   * @throws NoSpaceError when they don't all fit.
   */
  write(handle: FileHandle, bytes: Uint8Array): void;
  /** Returns when the file's content is durable; not so its name, see `syncDirectory`. */
  sync(handle: FileHandle): void;
  /** Cuts a file to `bytes`; durable after a `sync` of it. */
  truncate(path: string, bytes: number): void;
  /**
   * Replaces `to` in one step; durable after `syncDirectory` of both directories.
   * @throws NoSpaceError
   */
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Returns when the names made, changed and removed in a directory are durable. */
  syncDirectory(directory: string): void;
}

/** Reads a small file whole. The caller has made sure that it is small. */
export function readWhole(files: FileReader, path: string): Buffer {
  const bytes = Buffer.alloc(files.size(path) ?? 0);
  const handle = files.open(path);
  try {
    return bytes.subarray(0, files.read(handle, bytes, 0));
  } finally {
    files.close(handle);
  }
}

/** The same, but undefined for a file that the disk refuses to give back (EIO). */
export function readUnlessRefused(files: FileReader, path: string): Buffer | undefined {
  try {
    return readWhole(files, path);
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** True for the error of a read that the disk refuses: a sector that can't be read, say. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EIO';
}

/** Makes a file with this content, durable but for its name. Where there is no room, none is left. */
export function createWhole(files: FilePort, path: string, content: Uint8Array): void {
  const handle = files.create(path);
  try {
    files.write(handle, content);
    files.sync(handle);
  } catch (error) {
    if (error instanceof NoSpaceError) files.unlink(path);
    throw error;
  } finally {
    files.close(handle);
  }
}

/**
 * Puts a small file in place so that after a crash the old or the new content is there.
 * @throws NoSpaceError: then the old one is.
 */
export function replaceWhole(files: FilePort, path: string, content: Uint8Array): void {
  const temporary = `${path}.tmp`;
  createWhole(files, temporary, content);
  try {
    files.rename(temporary, path);
  } catch (error) {
    if (error instanceof NoSpaceError) files.unlink(temporary);
    throw error;
  }
  files.syncDirectory('');
}
