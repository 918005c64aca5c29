/** The writer's thread: one connection to the database, one job at a time. */
import assert from 'node:assert';
import { parentPort } from 'node:worker_threads';
import { type OpeningOptions, openStore } from './opening.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { readStoreId } from './sqlite-schema.ts';
import { SqliteWriter, type WriterJob } from './sqlite-writer.ts';
import { answerCalls, Handover } from './worker-calls.ts';

let writer: SqliteWriter | undefined;
let release: (() => void) | undefined;

function opened(): SqliteWriter {
  assert(writer, 'the store is used before it is opened');
  return writer;
}

assert(parentPort, 'this module is a worker');
answerCalls(parentPort, {
  open: ({ directory, ...options }: OpeningOptions & { directory: string }) => {
    const { database, lock, checked } = openStore(directory, options);
    try {
      writer = new SqliteWriter(database, directory);
      release = lock.release;
      return { storeId: readStoreId(database), checked, ...writer.checkpoint() };
    } catch (error) {
      database.close();
      lock.release();
      throw storeErrorOf(error, `opening the store in ${directory}`);
    }
  },
  run: (job: WriterJob) => {
    const result = opened().run(job);
    return new Handover(result, [result.outcomes.buffer]);
  },
  checkpoint: () => opened().checkpoint(),
  close: () => {
    try {
      writer?.close();
    } finally {
      release?.();
    }
  },
});
