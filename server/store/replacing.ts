/**
 * Puts another file in the store's place, and what was there aside: into a directory beside it,
 * with its log. A mark stands for as long as that is half done, so that no server begins a new store
 * or puts the old log over the new file; it names where the old files are.
 */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { giveToOwnerOf, syncPath } from '#server/files.ts';
import { readMark, removeMark, writeMark } from './mark.ts';
import { STORE_FILE } from './sqlite-schema.ts';
import { StoreError } from './store.ts';

const SUFFIXES = ['-wal', '-shm', ''] as const;

/** Where the files of the store in a directory are: aside already, if a replacing was cut short. */
export function storeFileOf(directory: string): string {
  return join(directory, readMark(directory)?.movedTo ?? '', STORE_FILE);
}

/**
 * Puts a file, which lies in the same directory, in the store's place. The store's lock is held.
 * @param why For the name of the directory that the old files go to.
 * @returns that directory; undefined when there was no store.
 */
export function replaceStore(
  directory: string,
  made: string,
  why: 'damaged' | 'replaced',
  now: Date,
): string | undefined {
  try {
    const movedTo = readMark(directory)?.movedTo ?? setAside(directory, why, now);
    syncPath(made);
    renameSync(made, join(directory, STORE_FILE));
    syncPath(directory);
    removeMark(directory);
    return movedTo && join(directory, movedTo);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const text = `putting ${made} in the store's place failed (${reason}). Nothing is lost: give the same command once more`;
    throw new StoreError('path', text, { cause: error });
  }
}

function setAside(directory: string, why: string, now: Date): string | undefined {
  const path = join(directory, STORE_FILE);
  if (!SUFFIXES.some((suffix) => existsSync(`${path}${suffix}`))) return undefined;
  const stamp = now.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const movedTo = `${why}-${stamp}`;
  mkdirSync(join(directory, movedTo), { mode: 0o700 });
  giveToOwnerOf(directory, join(directory, movedTo));
  writeMark(directory, { found: 'being replaced', at: now.toISOString(), movedTo });
  for (const suffix of SUFFIXES) {
    if (!existsSync(`${path}${suffix}`)) continue;
    renameSync(`${path}${suffix}`, join(directory, movedTo, `${STORE_FILE}${suffix}`));
  }
  syncPath(join(directory, movedTo));
  return movedTo;
}
