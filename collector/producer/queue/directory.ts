/** Whether a directory is a queue's, by the names in it. Looks at nothing else, and touches nothing. */
import { CHECKPOINT_NAME } from './checkpoint.ts';
import { COLLECTOR_ID_NAME } from './identity-file.ts';
import { DEAD_LETTERS, REPLAY } from './letter-file.ts';
import { LOCK_NAME } from './lock.ts';
import { SET_ASIDE } from './repair.ts';
import { segmentNumber } from './segment.ts';

/** Each enough to know a queue by; every queue that was ever opened has the first three. */
const MARKS: ReadonlySet<string> = new Set([
  CHECKPOINT_NAME,
  COLLECTOR_ID_NAME,
  LOCK_NAME,
  DEAD_LETTERS,
  REPLAY,
  SET_ASIDE,
]);
/** What a file system puts at the top of a volume, which is a queue's as any other directory may be. */
const OF_THE_VOLUME = 'lost+found';
const FOREIGN_NAMES_TOLD = 5;

/** `holds`: some of what is in there, for a message. */
export type DirectoryVerdict =
  | { readonly kind: 'queue' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'foreign'; readonly holds: string };

export function judgeDirectory(names: readonly string[]): DirectoryVerdict {
  if (names.some((name) => MARKS.has(name) || segmentNumber(name) !== undefined)) {
    return { kind: 'queue' };
  }
  const foreign = names.filter((name) => name !== OF_THE_VOLUME).sort();
  if (foreign.length === 0) return { kind: 'empty' };
  const more = foreign.length > FOREIGN_NAMES_TOLD ? ', …' : '';
  return { kind: 'foreign', holds: foreign.slice(0, FOREIGN_NAMES_TOLD).join(', ') + more };
}
