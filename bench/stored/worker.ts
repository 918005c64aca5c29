/** A thread that reads streams of a store's file and answers what it found (`stored.ts`). */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { Tally } from '../verification.ts';
import type { StreamsToRead } from './stored.ts';

const { store, plan, streams } = workerData as StreamsToRead;
const database = new DatabaseSync(join(store, 'holdfast.db'), { readOnly: true });
const rows = database.prepare('SELECT captured_at, payload FROM frames WHERE stream_id = ?');
const found = streams.map(({ id, first, sent }) => {
  const tally = new Tally(plan, first, sent);
  for (const { captured_at, payload } of rows.iterate(id)) {
    const bytes = payload as Uint8Array;
    tally.add({
      payload: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      capturedAt: Number(captured_at),
    });
  }
  return tally.verification();
});
database.close();
parentPort?.postMessage(found);
