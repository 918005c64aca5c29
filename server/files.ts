/**
 * Files that are on disk when a call returns, and belong to whom they should: for what the store keeps
 * beside its database, and for the tokens file.
 */
import { chownSync, closeSync, fsyncSync, openSync, statSync, writeFileSync } from 'node:fs';

/** Writes a file anew. */
export function writeSynced(path: string, text: string): void {
  const file = openSync(path, 'w');
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Has a file on disk, or the names in a directory. */
export function syncPath(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** What root makes for a server has to be that server's: gives a file the owner that another has. */
export function giveToOwnerOf(other: string, path: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(other);
  chownSync(path, uid, gid);
}
