/**
 * Copies a store into a single file while a server writes to it, and puts such a file in a store's
 * place.
 *
 * A backup takes no snapshot: that would be one long transaction, in which the log can't be emptied.
 * It copies in short ones, in the order of arrival and up to what had arrived at its beginning. That is
 * as good, for all that a store knows only grows: what the copy calls stored is what it has rows of,
 * and the rest the collectors tell it. Each frame is checked against its CRC on the way.
 */
import { copyFileSync, existsSync, linkSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { FrameCrc } from '#protocol/identity.ts';
import { syncPath } from '#server/files.ts';
import { type BuiltStore, StoreBuilder } from './builder.ts';
import { StoreFacts } from './facts.ts';
import { damagedError, inShort, inspect, problemLines } from './inspection.ts';
import { lockStore } from './lock.ts';
import { replaceStore } from './replacing.ts';
import { settledRangeOf } from './settled-table.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import {
  checkHeader,
  checkThere,
  openForChecking,
  prepareDirectory,
  readStoreId,
  STORE_FILE,
} from './sqlite-schema.ts';
import { StoreError } from './store.ts';

const CHUNK_FRAMES_MAX = 1_000;
const CHUNK_BYTES_MAX = 4_194_304;

/**
 * Writes a backup of the store in a directory to a file that must not be there yet; it appears
 * under its name when it is whole, checked and on disk. Frames with a wrong CRC are left out and
 * told of as lost. Throws StoreError `path`, `corrupt`, `full`, `io`; then there is no file.
 */
export function backupStore(
  directory: string,
  file: string,
  onProgress: (frames: number) => void = () => {},
): BuiltStore {
  const source = join(directory, STORE_FILE);
  checkThere(source);
  refuseExisting(file);
  checkHeader(source);
  const making = `${file}.new`;
  const database = openForChecking(source);
  let builder: StoreBuilder | undefined;
  try {
    const facts = readFacts(database);
    const storeId = readStoreId(database);
    builder = new StoreBuilder(making, { storeId, createdAt: facts.createdAt ?? 0 });
    copyFrames(database, facts, builder, onProgress);
    const built = builder.finish(withPresent(facts, readFacts(database)), storeId);
    const report = inspect(making, { inUse: false });
    if (report.problems.length > 0) throw damagedError(making, problemLines(report));
    publish(making, file);
    return built;
  } catch (error) {
    builder?.abandon();
    throw storeErrorOf(error, `backing the store ${source} up to ${file}`);
  } finally {
    database.close();
  }
}

export interface Restored {
  readonly storeId: string;
  readonly frames: number;
  /** Where the files of the store that was there are now; undefined when there was none. */
  readonly movedTo: string | undefined;
}

/**
 * Puts a copy of a backup in the place of the store in a directory, which no server works on, once
 * all of it was read and found whole. What was there is set aside. Throws StoreError `path`,
 * `foreign`, `newer`, `corrupt`, `busy`, `full`; then all is as it was.
 */
export function restoreStore(directory: string, file: string, now: Date): Restored {
  if (!existsSync(file)) throw new StoreError('path', `there is no backup at ${file}`);
  if (existsSync(`${file}-wal`)) {
    const text = `${file} is a store with a log beside it, not a backup. Make one of it: \`./holdfast server store backup\` with its directory as HOLDFAST_STORE_PATH`;
    throw new StoreError('path', text);
  }
  // Here, where it has the name that it was given by.
  checkHeader(file, 'backup');
  prepareDirectory(directory);
  const lock = lockStore(directory);
  const making = join(directory, 'holdfast.db.restoring');
  try {
    copyFileSync(file, making);
    const report = inspect(making, { inUse: false });
    const { frames, storeId } = report;
    if (report.problems.length > 0 || storeId === undefined) {
      const text = `the backup ${file} is damaged: ${inShort(problemLines(report))}. Nothing was changed. \`./holdfast server store check ${file}\` tells all`;
      throw new StoreError('corrupt', text);
    }
    const movedTo = replaceStore(directory, making, 'replaced', now);
    return { storeId, frames, movedTo };
  } catch (error) {
    rmSync(making, { force: true });
    throw storeErrorOf(error, `restoring the store in ${directory}`);
  } finally {
    lock.release();
  }
}

function refuseExisting(file: string): void {
  if (existsSync(file)) {
    throw new StoreError(
      'path',
      `${file} is there already, and a backup overwrites nothing; name another file`,
    );
  }
  if (!existsSync(dirname(resolve(file)))) {
    throw new StoreError('path', `the directory of ${file} is not there; make it`);
  }
}

/** Under its name at once and whole, or not at all; never over another file. */
function publish(making: string, file: string): void {
  try {
    linkSync(making, file);
    rmSync(making);
  } catch (error) {
    // A file system without hard links; between the look and the step somebody else may come.
    if (existsSync(file)) throw error;
    renameSync(making, file);
  }
  syncPath(file);
  syncPath(dirname(resolve(file)));
}

function copyFrames(
  database: DatabaseSync,
  facts: StoreFacts,
  builder: StoreBuilder,
  onProgress: (frames: number) => void,
): void {
  const crcs = new Map<number, FrameCrc>();
  for (const { id, epoch } of facts.streams.values()) crcs.set(id, new FrameCrc(epoch));
  const newest = database.prepare('SELECT max(rowid) AS last FROM frames').get();
  const last = Number(newest?.last ?? 0);
  const read = database.prepare(`
    SELECT rowid, stream_id, seq, captured_at, received_at, crc, payload FROM frames
    WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?`);
  let frames = 0;
  for (let after = 0; after < last; ) {
    let bytes = 0;
    const before = after;
    for (const row of read.iterate(after, last, CHUNK_FRAMES_MAX)) {
      after = Number(row.rowid);
      frames += 1;
      const frame = {
        rowid: after,
        stream: Number(row.stream_id),
        seq: Number(row.seq),
        capturedAt: Number(row.captured_at),
        receivedAt: Number(row.received_at),
        crc: Number(row.crc),
        payload: row.payload instanceof Uint8Array ? row.payload : new Uint8Array(),
      };
      const crc = crcs.get(frame.stream)?.of(frame.seq, frame.capturedAt, frame.payload);
      if (crc === frame.crc) builder.add(frame);
      bytes += frame.payload.length;
      if (bytes >= CHUNK_BYTES_MAX) break;
    }
    onProgress(frames);
    if (after === before) return;
  }
}

/** What was known at the beginning is what the frames are held against; the rest is of the end. */
function withPresent(atBeginning: StoreFacts, present: StoreFacts): StoreFacts {
  const facts = present.withoutCalledStored();
  for (const id of atBeginning.streams.keys()) {
    for (const range of atBeginning.calledStored(id)) facts.addSettled(id, range);
  }
  return facts;
}

function readFacts(database: DatabaseSync): StoreFacts {
  const facts = new StoreFacts();
  database.exec('BEGIN');
  try {
    for (const row of database.prepare('SELECT * FROM collectors').iterate()) {
      facts.addCollector({
        collector: String(row.collector),
        instance: String(row.instance),
        firstHeardAt: Number(row.first_heard_at),
        lastHeardAt: Number(row.last_heard_at),
      });
    }
    for (const row of database.prepare('SELECT * FROM streams').iterate()) {
      facts.addStream({
        id: Number(row.id),
        collector: String(row.collector),
        epoch: String(row.epoch),
        predecessorEpoch: textOrNull(row.predecessor_epoch),
        predecessorLast: numberOrNull(row.predecessor_last),
        lowest: Number(row.lowest),
        highest: Number(row.highest),
        lastNamed: Number(row.last_named),
        held: Number(row.held),
        announcedIn: textOrNull(row.announced_in),
        announcedAt: numberOrNull(row.announced_at),
        duplicatesRefused: Number(row.duplicates_refused),
      });
    }
    for (const row of database.prepare('SELECT * FROM conflicts').iterate()) {
      facts.addConflict({
        stream: Number(row.stream_id),
        seq: Number(row.seq),
        capturedAt: Number(row.captured_at),
        crc: Number(row.crc),
        firstRefusedAt: Number(row.first_refused_at),
        lastRefusedAt: Number(row.last_refused_at),
        refused: Number(row.refused),
      });
    }
    for (const row of database.prepare('SELECT * FROM settled').iterate()) {
      facts.addSettled(Number(row.stream_id), settledRangeOf(row));
    }
    const created = database.prepare("SELECT value FROM meta WHERE key = 'created_at'").get();
    facts.createdAt = Number(created?.value ?? 0);
    return facts;
  } finally {
    database.exec('ROLLBACK');
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
