/**
 * The mark beside a store that was found damaged, or whose replacing was cut short: a small file. A
 * server that finds one does not trust the store until all of it was read and found whole.
 *
 * Lives here: the file. What it leads to is `opening.ts`'s and the tools' business.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { giveToOwnerOf, syncPath, writeSynced } from '#server/files.ts';

const MARK_FILE = 'holdfast.damaged';

export interface DamageMark {
  /** What was found, in words. */
  readonly found: string;
  /** RFC 3339. */
  readonly at: string;
  /** Where the store's files are while another one is put in their place, within the directory. */
  readonly movedTo?: string | undefined;
}

/** undefined when the store has none. */
export function readMark(directory: string): DamageMark | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, MARK_FILE), 'utf8');
  } catch {
    return undefined;
  }
  return parseMark(text) ?? { found: 'damage, by a mark that is damaged, too', at: '' };
}

/** On disk when it returns. */
export function writeMark(directory: string, mark: DamageMark): void {
  const path = join(directory, MARK_FILE);
  writeSynced(path, `${JSON.stringify(mark)}\n`);
  giveToOwnerOf(directory, path);
  syncPath(directory);
}

export function removeMark(directory: string): void {
  rmSync(join(directory, MARK_FILE), { force: true });
  syncPath(directory);
}

function parseMark(text: string): DamageMark | undefined {
  try {
    const { found, at, movedTo } = JSON.parse(text) as Record<string, unknown>;
    if (typeof found !== 'string' || typeof at !== 'string') return undefined;
    return { found, at, movedTo: typeof movedTo === 'string' ? movedTo : undefined };
  } catch {
    return undefined;
  }
}
