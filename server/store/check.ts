/** Reads all of a store, changing nothing, and tells what is damaged. */
import { storeErrorOf } from './sqlite-errors.ts';
import { openForReading } from './sqlite-schema.ts';

/** What is wrong, in SQLite's words. Throws StoreError when the store can't be read at all. */
export function checkStore(directory: string): string[] {
  const database = openForReading(directory);
  try {
    const rows = database.prepare('PRAGMA integrity_check').all();
    return rows.map((row) => String(row.integrity_check)).filter((text) => text !== 'ok');
  } catch (error) {
    throw storeErrorOf(error, `checking the store in ${directory}`);
  } finally {
    database.close();
  }
}
