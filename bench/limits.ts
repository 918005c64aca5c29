/**
 * Limit probes: how fast the same frames go to the same disk when nothing has to be proven about
 * them. A drain is held against these, measured beside it in the same run.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { capturedAtOf, type FramePlan, payloadOf } from './source/frames.ts';

const SYNC_EVERY_BYTES = 262_144;
const ROWS_PER_TRANSACTION = 4_096;
/** What a frame costs on the wire beside its payload, about. */
const FRAME_OVERHEAD_BYTES = 12;

/** Frames per second of writing their bytes to one file, with an fdatasync for each 256 KiB. */
export function fileLimit(directory: string, plan: FramePlan, frames: number): number {
  const chunk = Buffer.alloc(SYNC_EVERY_BYTES);
  payloadOf({ ...plan, payloadBytes: SYNC_EVERY_BYTES }, 0).copy(chunk);
  const file = openSync(join(directory, 'file-limit'), 'w');
  const startedAt = performance.now();
  let left = frames * (plan.payloadBytes + FRAME_OVERHEAD_BYTES);
  for (; left > 0; left -= chunk.length) {
    writeSync(file, chunk, 0, Math.min(left, chunk.length));
    fdatasyncSync(file);
  }
  const elapsedMs = performance.now() - startedAt;
  closeSync(file);
  return (frames / elapsedMs) * 1_000;
}

/**
 * Frames per second of inserting them into SQLite in this process, in transactions of 4,096 rows,
 * each synced (WAL, synchronous=FULL), with the two indexes that a store needs to find a frame by
 * its identity and by its time. The payloads are made beforehand.
 */
export function sqliteLimit(directory: string, plan: FramePlan, frames: number): number {
  const payloads = Array.from({ length: ROWS_PER_TRANSACTION }, (_, n) => payloadOf(plan, n));
  const database = new DatabaseSync(join(directory, `sqlite-limit-${process.hrtime.bigint()}`));
  database.exec(`
    PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_size = -16384;
    CREATE TABLE frames (stream_id INTEGER, seq INTEGER, captured_at INTEGER, received_at INTEGER,
      crc INTEGER, payload BLOB, PRIMARY KEY (stream_id, seq));
    CREATE INDEX frames_by_capture ON frames (stream_id, captured_at, seq);`);
  const insert = database.prepare('INSERT INTO frames VALUES (1, ?, ?, ?, ?, ?)');
  const startedAt = performance.now();
  for (let seq = 1; seq <= frames; ) {
    database.exec('BEGIN');
    for (const payload of payloads) {
      if (seq > frames) break;
      insert.run(seq, capturedAtOf(plan, seq), plan.startedAt, seq, payload);
      seq += 1;
    }
    database.exec('COMMIT');
  }
  const elapsedMs = performance.now() - startedAt;
  database.close();
  return (frames / elapsedMs) * 1_000;
}
