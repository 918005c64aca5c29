/**
 * The reader's thread: one read-only connection, one short transaction a call. The check of a store
 * that is in use runs here, too, step by step on a connection of its own.
 */
import assert from 'node:assert';
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { StoreCheck, type StoreProblem } from './check.ts';
import { buffersOf, packStored } from './packing.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { SqliteReader } from './sqlite-reader.ts';
import { openForChecking, openForReading, STORE_FILE } from './sqlite-schema.ts';
import type { FrameQuery, GapQuery } from './store.ts';
import { answerCalls, Handover } from './worker-calls.ts';

let reader: SqliteReader | undefined;
let check: { readonly steps: StoreCheck; readonly close: () => void } | undefined;

/** Of a check under way. */
export interface CheckProgress {
  readonly done: boolean;
  /** So far. */
  readonly frames: number;
  readonly problems: readonly StoreProblem[];
}

function opened(): SqliteReader {
  assert(reader, 'the store is read before it is opened');
  return reader;
}

assert(parentPort, 'this module is a worker');
answerCalls(parentPort, {
  open: (directory: string) => {
    try {
      reader = new SqliteReader(openForReading(directory));
    } catch (error) {
      throw storeErrorOf(error, `opening the store in ${directory} for reading`);
    }
  },
  collectors: () => opened().collectors(),
  audit: (collector: string | undefined) => opened().audit(collector),
  gaps: (query: GapQuery) => opened().gaps(query),
  summary: (silentSince: readonly number[]) => opened().summary(silentSince),
  frames: (query: FrameQuery) => {
    const { frames, last } = opened().frames(query);
    const packed = packStored(frames);
    return new Handover({ packed, last }, buffersOf(packed));
  },
  /** Answers what the check has found so far. */
  check: (directory: string): CheckProgress => {
    if (check === undefined) {
      const database = openForChecking(join(directory, STORE_FILE));
      const steps = new StoreCheck(database, { structure: false });
      check = { steps, close: () => database.close() };
    }
    check.steps.step();
    const { done, frames, problems } = check.steps;
    if (done) {
      check.close();
      check = undefined;
    }
    return { done, frames, problems };
  },
  close: () => {
    check?.close();
    reader?.close();
  },
});
