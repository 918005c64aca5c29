/**
 * SQLite's errors as StoreErrors: what happened, what it means for the data, what to do.
 */
import { StoreError, type StoreErrorCode } from './store.ts';

/** What to do about damage; the words are the same wherever it is met. */
export const ADVICE =
  "Collectors keep what they haven't delivered. With the server stopped, `./holdfast server store check` tells what is " +
  'damaged, and `./holdfast server store salvage` makes a store of all that is whole and sets this one aside; collectors ' +
  'then send again what they still hold';

/** The primary result codes that have a meaning of their own here. */
export const SQLITE = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  notADatabase: 26,
} as const;

const CODES: Readonly<Record<number, { readonly code: StoreErrorCode; readonly text: string }>> = {
  [SQLITE.busy]: {
    code: 'busy',
    text: 'another process holds the lock of the store; nothing was acknowledged and collectors keep their frames. End that process, or wait for it',
  },
  [SQLITE.locked]: {
    code: 'busy',
    text: 'the store is locked; nothing was acknowledged and collectors keep their frames',
  },
  [SQLITE.readOnly]: {
    code: 'path',
    text: "the store can't be written: it is read-only. Give this user the right to write its directory",
  },
  [SQLITE.ioError]: {
    code: 'io',
    text: 'the disk of the store failed; nothing was acknowledged that is not on disk. The server ends and verifies the store at its next start; look at the disk',
  },
  [SQLITE.corrupt]: {
    code: 'corrupt',
    text: `the store is damaged. ${ADVICE}`,
  },
  [SQLITE.full]: {
    code: 'full',
    text: 'no room on the disk of the store; nothing was acknowledged and collectors keep their frames. Make room: it goes on by itself',
  },
  [SQLITE.cantOpen]: {
    code: 'path',
    text: "the store's files can't be opened. Look at the rights on its directory and at the limit of open files",
  },
  [SQLITE.notADatabase]: {
    code: 'foreign',
    text: 'the file is not a SQLite database. It was left as it is; name another directory or restore a backup',
  },
};

/** The StoreError for what a call to SQLite threw; `doing` says what was attempted, on what. */
export function storeErrorOf(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const known = CODES[primaryCodeOf(error)];
  if (known === undefined) {
    return new StoreError('internal', `${doing}: ${reason}`, { cause: error });
  }
  return new StoreError(known.code, `${doing}: ${known.text} (${reason})`, { cause: error });
}

/** SQLite's primary result code; -1 for an error of somebody else. */
export function primaryCodeOf(error: unknown): number {
  if (!(error instanceof Error) || !('errcode' in error)) return -1;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : -1;
}
