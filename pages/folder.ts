/**
 * Where reports lie: a folder for each run, named by its time, and a link to the newest; and files
 * that are whole or not there at all.
 */
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The time of a run as the name of its folder, which sorts by time: 2026-01-31T08-15-00Z. */
export function folderName(at: Date): string {
  return at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-');
}

/** A link of that name beside the folder points to it; in one step, so that there is always one. */
export function pointTo(folder: string, name: string): void {
  const link = join(dirname(folder), name);
  const made = `${link}.${process.pid}`;
  try {
    rmSync(made, { force: true });
    symlinkSync(basename(folder), made);
    renameSync(made, link);
  } catch (error) {
    // Where links can't be made the folder is there all the same, and its path is printed.
    rmSync(made, { force: true });
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

/** Whole or not at all, whenever the process is killed. */
export function writeWhole(path: string, text: string): void {
  const made = `${path}.${process.pid}`;
  writeFileSync(made, text);
  renameSync(made, path);
}

export function writeJson(path: string, document: unknown): void {
  writeWhole(path, `${JSON.stringify(document, null, 1)}\n`);
}
