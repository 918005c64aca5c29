/** Where a run's report lies: bench.json and, made of it alone, bench.html. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { folderName, pointTo, writeJson, writeWhole } from '#pages/folder.ts';
import type { BenchDocument } from './document.ts';
import { benchPage } from './page/page.ts';

const LATEST = 'bench-latest';

/** Makes the folder of a run that begins now, and points to it. */
export function makeFolder(reports: string, at: Date): string {
  const folder = join(reports, `bench-${folderName(at)}`);
  mkdirSync(folder, { recursive: true });
  pointTo(folder, LATEST);
  return folder;
}

/** Each is whole or as it was before. */
export function writeRun(folder: string, run: BenchDocument): void {
  writeJson(join(folder, 'bench.json'), run);
  writePage(folder, run);
}

export function writePage(folder: string, run: BenchDocument): void {
  writeWhole(join(folder, 'bench.html'), benchPage(run));
}

/** The bench.json that is meant by its own path, by its folder's, or by nothing: that of the last run. */
export function documentPath(reports: string, meant: string | undefined): string {
  const path = meant ?? join(reports, LATEST);
  return existsSync(path) && statSync(path).isDirectory() ? join(path, 'bench.json') : path;
}
