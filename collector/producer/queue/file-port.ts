/**
 * The narrow, synchronous port through which the queue touches files. `disk.ts` is the one on the
 * real file system; the simulation has one that loses what was not synced.
 *
 * Paths are relative to the queue's directory and use `/`. Every call may throw the operating
 * system's error, which the caller turns into one of the queue's own.
 */

/** An open file; only the port that gave it out knows what it is. */
export type FileHandle = number;

export interface FilePort {
  /** Names of the entries of a directory ('' = the queue's own); [] when there is none. */
  list(directory: string): string[];
  /** A file's size in bytes; `undefined` when there is no such file. */
  size(path: string): number | undefined;
  makeDirectory(path: string): void;
  /** Makes a new empty file (0600) for writing at its end; throws when the name is taken. */
  create(path: string): FileHandle;
  /** Opens a file for reading. */
  open(path: string): FileHandle;
  /** Writes all the bytes at the end of a file that `create` gave out. */
  write(handle: FileHandle, bytes: Uint8Array): void;
  /** Reads into `target` from `position` on; answers the bytes read, fewer only at the end. */
  read(handle: FileHandle, target: Uint8Array, position: number): number;
  /** Returns when the file's content is durable; not so its name, see `syncDirectory`. */
  sync(handle: FileHandle): void;
  close(handle: FileHandle): void;
  /** Cuts a file to `bytes`; durable after a `sync` of it. */
  truncate(path: string, bytes: number): void;
  /** Replaces `to` in one step; durable after `syncDirectory` of both directories. */
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Returns when the names made, changed and removed in a directory are durable. */
  syncDirectory(directory: string): void;
}

/** Reads a small file whole. The caller has made sure that it is small. */
export function readWhole(files: FilePort, path: string): Buffer {
  const bytes = Buffer.alloc(files.size(path) ?? 0);
  const handle = files.open(path);
  try {
    return bytes.subarray(0, files.read(handle, bytes, 0));
  } finally {
    files.close(handle);
  }
}

/** Puts a small file in place so that after a crash the old or the new content is there. */
export function replaceWhole(files: FilePort, path: string, content: Uint8Array): void {
  const temporary = `${path}.tmp`;
  const handle = files.create(temporary);
  try {
    files.write(handle, content);
    files.sync(handle);
  } finally {
    files.close(handle);
  }
  files.rename(temporary, path);
  files.syncDirectory('');
}
