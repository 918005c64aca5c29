/** The writer's thread: one connection to the database, one job at a time. */
import assert from 'node:assert';
import { parentPort } from 'node:worker_threads';
import { storeErrorOf } from './sqlite-errors.ts';
import { type NewStore, openForWriting, readStoreId } from './sqlite-schema.ts';
import { SqliteWriter, type WriterJob } from './sqlite-writer.ts';
import { answerCalls } from './worker-calls.ts';

let writer: SqliteWriter | undefined;

function opened(): SqliteWriter {
  assert(writer, 'the store is used before it is opened');
  return writer;
}

assert(parentPort, 'this module is a worker');
answerCalls(parentPort, {
  open: ({ directory, fresh }: { directory: string; fresh: NewStore }) => {
    const database = openForWriting(directory, fresh);
    try {
      writer = new SqliteWriter(database, directory);
      return { storeId: readStoreId(database), ...writer.checkpoint() };
    } catch (error) {
      database.close();
      throw storeErrorOf(error, `opening the store in ${directory}`);
    }
  },
  run: (job: WriterJob) => opened().run(job),
  checkpoint: () => opened().checkpoint(),
  close: () => writer?.close(),
});
