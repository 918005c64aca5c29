/** The reader's thread: one read-only connection, one short transaction a call. */
import assert from 'node:assert';
import { parentPort } from 'node:worker_threads';
import { buffersOf, packStored } from './packing.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { type ExportPosition, SqliteReader } from './sqlite-reader.ts';
import { openForReading } from './sqlite-schema.ts';
import type { ExportFilter, FrameQuery } from './store.ts';
import { answerCalls, Handover } from './worker-calls.ts';

let reader: SqliteReader | undefined;

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
  frames: (query: FrameQuery) => {
    const { frames, last } = opened().frames(query);
    const packed = packStored(frames);
    return new Handover({ packed, last }, buffersOf(packed));
  },
  exportChunk: ({ filter, after }: { filter: ExportFilter; after: ExportPosition | undefined }) => {
    const packed = packStored(opened().exportChunk(filter, after));
    return new Handover(packed, buffersOf(packed));
  },
  close: () => reader?.close(),
});
