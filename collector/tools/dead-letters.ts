/**
 * The dead letters of a queue: seen from outside, dropped, and handed back to the queue to be sent
 * again. Each is a file of its own that only names tell apart, so all of it is safe beside a running
 * collector, which makes letters and takes those that are to be sent again.
 */
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FileReader } from '#collector/producer/queue/file-port.ts';
import {
  DEAD_LETTERS,
  identityOf,
  type LoadedLetter,
  letterNames,
  loadLetter,
  REPLAY,
} from '#collector/producer/queue/letter-file.ts';
import type { Epoch } from '#protocol/identity.ts';
import { openDirectory, unreadable } from './directory.ts';
import { systemCodeOf } from './errors.ts';
import type { Selection } from './frames.ts';
import { refuseForeignRoot } from './ownership.ts';

export interface DeadLetterCounts {
  /** Refused by the server, and waiting for a person's decision. */
  readonly refused: number;
  /** To be sent again as soon as a collector takes them. */
  readonly replay: number;
}

/** A letter by its name; what is in it is read when it is asked for. */
export interface NamedLetter {
  readonly name: string;
  readonly epoch: Epoch;
  readonly seq: number;
  /** It is to be sent again, and no collector has taken it yet. */
  readonly isReplay: boolean;
  readonly load: () => LoadedLetter;
}

export function countDeadLetters(files: FileReader): DeadLetterCounts {
  return {
    refused: letterNames(files, DEAD_LETTERS).length,
    replay: letterNames(files, REPLAY).length,
  };
}

/**
 * The letters of a queue, in the order of their frames; by epoch and seqs, for their times are in
 * them.
 * @throws QueueToolError when the directory is no queue, or may not be read.
 */
export function findLetters(path: string, selection: Selection): NamedLetter[] {
  const files = openDirectory(path);
  try {
    const letters = [DEAD_LETTERS, REPLAY].flatMap((directory) =>
      letterNames(files, directory).flatMap((name) => {
        const identity = identityOf(name);
        if (identity === undefined || !isSelected(identity, selection)) return [];
        const load = (): LoadedLetter => loadOf(files, path, `${directory}/${name}`);
        return [{ name, ...identity, isReplay: directory === REPLAY, load }];
      }),
    );
    return letters.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Whether a letter's frame was captured in the time that was asked for. */
export function isInTime(loaded: LoadedLetter, { since, until }: Selection): boolean {
  if (since === undefined && until === undefined) return true;
  if (loaded.state !== 'loaded') return false;
  const { capturedAt } = loaded.letter.frame;
  return capturedAt >= (since ?? 0) && capturedAt < (until ?? Number.POSITIVE_INFINITY);
}

/** Removes a letter for good; false when it was gone already. */
export function dropLetter(path: string, { name }: NamedLetter): boolean {
  return change(path, () => rmSync(join(path, DEAD_LETTERS, name)));
}

/** Hands a letter to the queue to be sent again; false when it was gone already. */
export function replayLetter(path: string, { name }: NamedLetter): boolean {
  const directory = join(path, REPLAY);
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) {
    change(path, () => mkdirSync(directory, { mode: 0o700 }));
  }
  return change(path, () => renameSync(join(path, DEAD_LETTERS, name), join(directory, name)));
}

/** How many letters still wait for a collector to take them. */
export function replaysLeft(path: string): number {
  return letterNames(openDirectory(path), REPLAY).length;
}

function change(path: string, work: () => void): boolean {
  refuseForeignRoot(path);
  try {
    work();
    return true;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw unreadable(path, error);
  }
}

function loadOf(files: FileReader, path: string, name: string): LoadedLetter {
  try {
    return loadLetter(files, name);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return { state: 'gone' };
    throw unreadable(path, error);
  }
}

function isSelected(
  { epoch, seq }: { readonly epoch: Epoch; readonly seq: number },
  { epoch: beginning = '', seqs }: Selection,
): boolean {
  const { from = 1, to = Number.POSITIVE_INFINITY } = seqs ?? {};
  return epoch.startsWith(beginning) && seq >= from && seq <= to;
}
