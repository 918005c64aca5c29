/**
 * Pruning from outside the server, once: on a stopped store, or beside the server that works on it. In
 * the same small transactions as the server's own, with rests between them, for the two take turns.
 */
import { join } from 'node:path';
import { isStoreInUse } from './lock.ts';
import { openStore } from './opening.ts';
import { packBatches } from './packed-batches.ts';
import { checkThere, openForWriting, STORE_FILE } from './sqlite-schema.ts';
import { SqliteWriter } from './sqlite-writer.ts';
import type { PruneOutcome, PruneRequest } from './store.ts';

/** In which a commit of the server's gets its turn. */
const REST_MS = 25;
/** The log is emptied past this. */
const LOG_BYTES = 8_388_608;

/** Prunes all that is to go. Answers how many frames went. Throws StoreError. */
export function pruneStore(
  directory: string,
  request: PruneRequest,
  onProgress: (frames: number) => void = () => {},
): number {
  checkThere(join(directory, STORE_FILE));
  if (isStoreInUse(directory)) {
    const database = openForWriting(directory);
    try {
      // Its server empties the log.
      return pruneAll(new SqliteWriter(database, directory), request, onProgress, () =>
        rest(REST_MS),
      );
    } finally {
      database.close();
    }
  }
  const { database, lock } = openStore(directory);
  const writer = new SqliteWriter(database, directory);
  try {
    writer.checkpoint();
    return pruneAll(writer, request, onProgress, (walBytes) => {
      if (walBytes > LOG_BYTES) writer.checkpoint();
    });
  } finally {
    writer.close();
    lock.release();
  }
}

function pruneAll(
  writer: SqliteWriter,
  request: PruneRequest,
  onProgress: (frames: number) => void,
  between: (walBytes: number) => void,
): number {
  let frames = 0;
  for (let more = true; more; ) {
    const items = [{ kind: 'prune', request }] as const;
    const { results, walBytes } = writer.run({ items, batches: packBatches([]) });
    const outcome = results[0] as PruneOutcome;
    frames += outcome.pruned;
    more = outcome.more;
    onProgress(frames);
    between(walBytes);
  }
  return frames;
}

function rest(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
