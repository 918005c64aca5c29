/**
 * Moves files out of the way, and puts the readable part of a damaged segment in its place.
 *
 * A repair writes `segment-….repaired` durably, moves the damaged file to `set-aside/`, and gives
 * the new one its name. After a crash in between, the opening either starts the repair anew (the
 * damaged file is still in place) or completes it (`finishRepair`). The repaired segment keeps its
 * number, so the order of the queue stays what it was.
 */
import type { FilePort } from './file-port.ts';
import { encodeSegmentHeader, segmentName } from './segment.ts';
import { copyGoodRecords } from './segment-facts.ts';

export const SET_ASIDE = 'set-aside';
const REPAIRED = /^(segment-\d{20})\.repaired$/;

/** Moves a file of the queue to `set-aside/` unharmed. Answers where it is now. */
export function setAside(files: FilePort, name: string): string {
  files.makeDirectory(SET_ASIDE);
  files.syncDirectory('');
  const taken = new Set(files.list(SET_ASIDE));
  let free = name;
  for (let copy = 2; taken.has(free); copy += 1) free = `${name}.${copy}`;
  files.rename(name, `${SET_ASIDE}/${free}`);
  files.syncDirectory(SET_ASIDE);
  files.syncDirectory('');
  return `${SET_ASIDE}/${free}`;
}

/** Replaces a damaged segment by its good records. Answers where the damaged file is now. */
export function repair(files: FilePort, number: number): string {
  const name = segmentName(number);
  const repaired = repairedName(name);
  copyGoodRecords(files, number, repaired, encodeSegmentHeader(number));
  files.syncDirectory('');
  const aside = setAside(files, name);
  files.rename(repaired, name);
  files.syncDirectory('');
  return aside;
}

/** Removes what a repair left that found no room on the disk: the damaged file is in its place. */
export function undoRepair(files: FilePort, number: number): void {
  const repaired = repairedName(segmentName(number));
  if (files.size(repaired) !== undefined) files.unlink(repaired);
}

/** Given the name of any file of the queue: if a repair left it, completes or undoes it. */
export function finishRepair(files: FilePort, name: string): void {
  const segment = repairedAs(name);
  if (segment === undefined) return;
  if (files.size(segment) === undefined) files.rename(name, segment);
  else files.unlink(name);
}

/** Given the name of any file of the queue: if a repair left it, the segment that it was to be. */
export function repairedAs(name: string): string | undefined {
  const base = REPAIRED.exec(name)?.[1];
  return base === undefined ? undefined : `${base}.log`;
}

function repairedName(name: string): string {
  return name.replace(/\.log$/, '.repaired');
}
