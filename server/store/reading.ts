/**
 * A store opened for reading by another program than the server: one that has stopped, or one that
 * a server works on meanwhile. Changes nothing in it.
 */
import { join } from 'node:path';
import { storeErrorOf } from './sqlite-errors.ts';
import { SqliteReader } from './sqlite-reader.ts';
import {
  checkHeader,
  checkThere,
  openForReading,
  readStoreId,
  STORE_FILE,
} from './sqlite-schema.ts';

export interface StoreBeingRead {
  readonly storeId: string;
  readonly reader: SqliteReader;
}

/** Reads a store, and closes it whatever comes of it. Throws StoreError. */
export async function readingStore<T>(
  directory: string,
  read: (store: StoreBeingRead) => T | Promise<T>,
): Promise<T> {
  const path = join(directory, STORE_FILE);
  checkThere(path);
  checkHeader(path);
  let store: StoreBeingRead;
  try {
    const database = openForReading(directory);
    store = { storeId: readStoreId(database), reader: new SqliteReader(database) };
  } catch (error) {
    throw storeErrorOf(error, `reading the store ${path}`);
  }
  try {
    return await read(store);
  } finally {
    store.reader.close();
  }
}
