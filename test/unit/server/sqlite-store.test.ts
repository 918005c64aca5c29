/** The store on SQLite: the contract, and what is SQLite's own: files, locks, damage. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type CommitReport,
  SqliteStore,
  type SqliteStoreOptions,
} from '#server/store/sqlite-store.ts';
import type { Store } from '#server/store/store.ts';
import { gapsContract } from './gaps-contract.ts';
import {
  announce,
  batchOf,
  EPOCH_A,
  epochOf,
  frameOf,
  framesOf,
  storeContract,
  stored,
} from './store-contract.ts';

const opened: SqliteStore[] = [];
const directories: string[] = [];

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-store-'));
  directories.push(directory);
  return directory;
}

async function open(
  directory = newDirectory(),
  more: Partial<SqliteStoreOptions> = {},
): Promise<SqliteStore> {
  const fresh = { storeId: randomUUID(), createdAt: 1 };
  const store = await SqliteStore.open({ directory, fresh, ...more });
  opened.push(store);
  return store;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const places = new WeakMap<Store, string>();

async function openNew(): Promise<Store> {
  const directory = newDirectory();
  const store = await open(directory);
  places.set(store, directory);
  return store;
}

describe('contract', () => {
  storeContract({ open: openNew, reopen: (store) => open(places.get(store)) });
  gapsContract({ open: openNew });
});

test('a store opened again is the same, with what it held', async () => {
  const directory = newDirectory();
  const first = await open(directory);
  const { streams } = await announce(first, [epochOf(EPOCH_A, 1, 4)]);
  await first.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 3) }));
  await first.close();
  expect(existsSync(join(directory, 'holdfast.db-wal'))).toBe(false);
  const second = await open(directory);
  expect(second.storeId).toBe(first.storeId);
  const answer = await announce(second, [epochOf(EPOCH_A, 1, 4)]);
  expect(answer).toMatchObject({ streams, settled: [[stored(1, 3)]] });
});

test('what waits together is committed together', async () => {
  const reports: CommitReport[] = [];
  const store = await open(newDirectory(), { onCommit: (report) => reports.push(report) });
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 100)]);
  reports.length = 0;
  const commits = framesOf(EPOCH_A, 1, 100).map((frame) =>
    store.commit(batchOf(streams[0] ?? -1, { frames: [frame] })),
  );
  await Promise.all(commits);
  expect(reports.map((report) => report.frames)).toEqual([100]);
});

test('the write-ahead log is emptied when it has grown', async () => {
  const reports: CommitReport[] = [];
  const store = await open(newDirectory(), { onCommit: (report) => reports.push(report) });
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 100)]);
  const text = 'x'.repeat(1_000_000);
  for (let seq = 1; seq <= 60; seq += 1) {
    await store.commit(batchOf(streams[0] ?? -1, { frames: [frameOf(EPOCH_A, seq, text)] }));
  }
  const lengths = reports.map((report) => report.walBytes);
  expect(Math.max(...lengths)).toBeLessThan(40_000_000);
  expect(lengths.some((bytes, index) => bytes < (lengths[index - 1] ?? 0))).toBe(true);
});

test('a store that another process locks says so, keeps answering reads, and heals', async () => {
  const directory = newDirectory();
  const told: boolean[] = [];
  const store = await open(directory, { onStatus: ({ writable }) => told.push(writable) });
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 4)]);
  const other = new DatabaseSync(join(directory, 'holdfast.db'));
  other.exec('BEGIN IMMEDIATE');
  const batch = batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 3) });
  await expect(store.commit(batch)).rejects.toMatchObject({ code: 'busy', retry: 'later' });
  expect(store.status).toMatchObject({ writable: false });
  expect(await store.audit('c1')).toHaveLength(1);
  other.exec('ROLLBACK');
  other.close();
  await expect.poll(() => store.status, { timeout: 10_000 }).toEqual({ writable: true });
  expect((await store.commit(batch)).settled).toEqual([stored(1, 3)]);
  expect(told).toEqual([false, true]);
});

test('a file that is no store is refused and left as it is', async () => {
  const directory = newDirectory();
  const path = join(directory, 'holdfast.db');
  for (const content of ['', 'my diary'.repeat(50)]) {
    writeFileSync(path, content);
    await expect(open(directory)).rejects.toMatchObject({ code: 'foreign' });
    expect(readFileSync(path, 'utf8')).toBe(content);
  }
  rmSync(path);
  const other = new DatabaseSync(path);
  other.exec('CREATE TABLE t (x)');
  other.close();
  await expect(open(directory)).rejects.toThrow(/is not a Holdfast store/);
});

test('a store of a newer version is refused and left as it is', async () => {
  const directory = newDirectory();
  await (await open(directory)).close();
  const path = join(directory, 'holdfast.db');
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
  const before = readFileSync(path);
  await expect(open(directory)).rejects.toMatchObject({
    code: 'newer',
    message: expect.stringContaining('version 99'),
  });
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a store whose database is gone but not its log is not started over', async () => {
  const directory = newDirectory();
  await (await open(directory)).close();
  const path = join(directory, 'holdfast.db');
  renameSync(path, `${path}-wal`);
  await expect(open(directory)).rejects.toMatchObject({ code: 'corrupt' });
  expect(existsSync(path)).toBe(false);
});

test('a store whose making was cut short is made anew', async () => {
  const directory = newDirectory();
  writeFileSync(join(directory, 'holdfast.db.new'), 'half');
  const store = await open(directory);
  expect(await store.collectors()).toEqual([]);
});

test('damage is named, ends the store, and nothing is acknowledged after it', async () => {
  const directory = newDirectory();
  const first = await open(directory);
  const { streams } = await announce(first, [epochOf(EPOCH_A, 1, 400)]);
  await first.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 400) }));
  await first.close();
  const path = join(directory, 'holdfast.db');
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4_096);
  writeFileSync(path, bytes);
  await expect(open(directory)).rejects.toMatchObject({ code: 'corrupt' });
});

test('after a failure that waiting does not mend nothing is acknowledged any more', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 4)]);
  const other = new DatabaseSync(join(directory, 'holdfast.db'));
  other.exec('ALTER TABLE conflicts RENAME TO elsewhere');
  const batch = batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 3) });
  await expect(announce(store, [epochOf(EPOCH_A, 1, 4)])).rejects.toMatchObject({ retry: 'never' });
  expect(await store.failed).toMatchObject({ retry: 'never' });
  expect(store.status).toMatchObject({ writable: false });
  other.exec('ALTER TABLE elsewhere RENAME TO conflicts');
  other.close();
  await expect(store.commit(batch)).rejects.toMatchObject({ retry: 'never' });
});

test('a directory that cannot be made is named', async () => {
  const directory = newDirectory();
  writeFileSync(join(directory, 'file'), '');
  await expect(open(join(directory, 'file', 'store'))).rejects.toMatchObject({
    code: 'path',
    message: expect.stringContaining('HOLDFAST_STORE_PATH'),
  });
});
