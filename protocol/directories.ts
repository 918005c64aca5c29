/**
 * Making a directory with all that is missing above it. Here because both programs keep one, and
 * share no other room.
 *
 * Not by Node's own `recursive`: where a file system answers ENOENT for a directory whose parent is
 * there (`/proc` does), that one tries again for ever.
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a directory, and those above it, 0700.
 * @param path Absolute.
 * @returns the topmost that was made; undefined when it was all there.
 * @throws The operating system's error.
 */
export function makeDirectories(path: string): string | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const parent = dirname(path);
  const top = parent === path ? undefined : makeDirectories(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else was faster; then it is theirs to sync.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
    return top;
  }
  return top ?? path;
}
