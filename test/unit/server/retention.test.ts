/** Retention: when the server has its store prune, and what that does to a SQLite file. */
import { cpSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Retention, type RetentionOptions } from '#server/retention.ts';
import { pruneStore } from '#server/store/prune-store.ts';
import { StoreError } from '#server/store/store.ts';
import { announce, batchOf, EPOCH_A, epochOf, framesOf } from './store-contract.ts';
import { filledStore, longFrames, openIn } from './store-files.ts';

let directory: string;
let retention: Retention | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-retention-'));
  vi.useFakeTimers();
});

afterEach(() => {
  retention?.stop();
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

function begin(more: Partial<RetentionOptions>): void {
  retention = new Retention({
    ageMs: 0,
    bytes: 0,
    wallTime: () => 10_000_000,
    prune: async () => ({ pruned: 0, more: false }),
    onPruned: () => {},
    ...more,
  });
}

test('nothing is asked of a store that keeps everything', async () => {
  const prune = vi.fn();
  begin({ prune });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(prune).not.toHaveBeenCalled();
});

test('it prunes until there is no more, by age and bytes, and again a second later', async () => {
  const answers = [
    { pruned: 5, more: true },
    { pruned: 2, more: false },
  ];
  const prune = vi.fn(async () => answers.shift() ?? { pruned: 0, more: false });
  const told: number[] = [];
  begin({ ageMs: 4_000, bytes: 77, prune, onPruned: (frames) => told.push(frames) });
  await vi.advanceTimersByTimeAsync(1);
  expect(prune.mock.calls).toEqual([
    [{ receivedBefore: 6_000_000, keepBytes: 77 }],
    [{ receivedBefore: 6_000_000, keepBytes: 77 }],
  ]);
  expect(told).toEqual([5, 2]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(prune).toHaveBeenCalledTimes(3);
});

test('a store without room is asked again; one that failed is not', async () => {
  const errors = [new StoreError('full', 'no room'), new StoreError('io', 'the disk failed')];
  const prune = vi.fn(async () => {
    throw errors.shift();
  });
  begin({ bytes: 1, prune });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(prune).toHaveBeenCalledTimes(2);
});

test('the room of what was pruned is used again, so that the file does not grow', async () => {
  vi.useRealTimers();
  const path = await filledStore(directory, 4_000);
  const full = statSync(path).size;
  const store = await openIn(directory);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 9_000)]);
  const keepBytes = full / 2;
  for (let from = 4_001; from <= 8_001; from += 500) {
    await store.commit(batchOf(streams[0] ?? -1, { frames: longFrames(from, from + 499) }));
    for (let more = true; more; ) more = (await store.prune({ keepBytes })).more;
  }
  await store.close();
  expect(statSync(path).size).toBeLessThan(full * 1.3);
});

test('the row ids of frames go on, whatever was pruned', async () => {
  vi.useRealTimers();
  const store = await openIn(directory);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 20)]);
  const commit = (from: number) =>
    store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, from, from + 4) }));
  await commit(1);
  await store.prune({ keepBytes: 1 });
  await commit(6);
  await store.close();
  const database = new DatabaseSync(join(directory, 'holdfast.db'), { readOnly: true });
  const rows = database.prepare('SELECT rowid, seq FROM frames ORDER BY rowid').all();
  expect(rows.map(({ rowid, seq }) => [rowid, seq])).toEqual(
    [5, 6, 7, 8, 9, 10].map((n) => [n, n]),
  );
  database.close();
});

test('the tool prunes a stopped store, and one in use beside its server', async () => {
  vi.useRealTimers();
  await filledStore(directory, 3_000);
  expect(() => pruneStore(join(directory, 'other'), {})).toThrow(/there is no store/);
  const stored = async (store: Awaited<ReturnType<typeof openIn>>) =>
    (await store.audit('c1'))[0]?.epochs[0]?.stored;
  expect(pruneStore(directory, { keepBytes: 700_000 })).toBeGreaterThan(500);
  const store = await openIn(directory);
  const before = (await stored(store)) ?? 0;
  const went = pruneStore(directory, { keepBytes: 300_000 });
  expect(await stored(store)).toBe(before - went);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 3_100)]);
  await store.commit(batchOf(streams[0] ?? -1, { frames: longFrames(3_001, 3_100) }));
  expect(await stored(store)).toBe(before - went + 100);
  await store.close();
});

test('a store that was pruned beside its server is found whole after a crash', async () => {
  vi.useRealTimers();
  const live = join(directory, 'live');
  const store = await openIn(live);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 60)]);
  await store.commit(batchOf(streams[0] ?? -1, { frames: longFrames(1, 50) }));
  expect(pruneStore(live, { keepBytes: 1 })).toBe(49);
  await store.commit(batchOf(streams[0] ?? -1, { frames: longFrames(51, 60) }));
  for (const name of ['holdfast.db', 'holdfast.db-wal']) {
    cpSync(join(live, name), join(directory, name));
  }
  await store.close();
  const crashed = await openIn(directory);
  expect((await crashed.audit('c1'))[0]?.epochs[0]).toMatchObject({ stored: 11, missing: [] });
  await crashed.close();
});
