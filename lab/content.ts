/** Files by their content: what is in folders, in an order that is always the same, and its hash. */
import type { Hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** The files of a folder and its folders, or the one that `path` is; none where nothing is. */
export function filesIn(path: string): string[] {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  const entries = readdirSync(path, { withFileTypes: true, recursive: true, encoding: 'utf8' });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Adds names, as seen from `folder`, and contents. */
export function addContent(hash: Hash, folder: string, files: readonly string[]): void {
  for (const file of files) {
    const content = readFileSync(file);
    hash.update(`${relative(folder, file)}\n${content.length}\n`).update(content);
  }
}
