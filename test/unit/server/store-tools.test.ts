/** The tools for a store's files: salvage, backup and restore, on real files. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { frameCrc } from '#protocol/identity.ts';
import { backupStore, restoreStore } from '#server/store/backup.ts';
import { inspect } from '#server/store/inspection.ts';
import { salvageStore } from '#server/store/salvage.ts';
import type { SqliteStore } from '#server/store/sqlite-store.ts';
import { seeded } from '../seed.ts';
import { announce, batchOf, EPOCH_A, EPOCH_B, epochOf, frameOf, stored } from './store-contract.ts';
import {
  filledStore,
  flipBitOf,
  harm,
  longFrames,
  openIn,
  PAGE_BYTES,
  zeroPageOf,
} from './store-files.ts';

const NOW = new Date('2026-01-02T03:04:05Z');

let directory: string;
const opened: SqliteStore[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-tools-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  rmSync(directory, { recursive: true });
});

async function open(within = directory): Promise<SqliteStore> {
  const store = await openIn(within);
  opened.push(store);
  return store;
}

/** The seqs that a store has of c1, each with its bytes held against its CRC. */
async function seqsOf(store: SqliteStore, epoch = EPOCH_A): Promise<number[]> {
  const seqs: number[] = [];
  for await (const chunk of store.export({ epoch })) {
    for (const frame of chunk) {
      expect(frameCrc(frame)).toBe(frame.crc);
      seqs.push(frame.seq);
    }
  }
  return seqs;
}

function rangeOf(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

test('salvage takes over all but the rows that are gone, and calls nothing else stored', async () => {
  const path = await filledStore(directory, 3_000);
  const storeId = inspect(path, { inUse: false }).storeId;
  flipBitOf(path, 100);
  zeroPageOf(path, 2_000);
  const before = readFileSync(path);
  const { lost, frames, movedTo, idIsNew } = salvageStore(directory, NOW);
  expect(idIsNew).toBe(false);
  expect(movedTo).toBe(join(directory, 'damaged-20260102T030405Z'));
  expect(readFileSync(join(movedTo, 'holdfast.db')).equals(before)).toBe(true);
  expect(lost).toMatchObject([{ collector: 'c1', epoch: EPOCH_A }]);
  const gone = (lost[0]?.ranges ?? []).flatMap(({ from, to }) => rangeOf(from, to));
  expect(gone).toContain(100);
  expect(gone).toContain(2_000);
  expect(gone.length).toBeLessThan(20);
  expect(frames).toBe(3_000 - gone.length);
  const store = await open();
  expect(store.storeId).toBe(storeId);
  const kept = rangeOf(1, 3_000).filter((seq) => !gone.includes(seq));
  expect(await seqsOf(store)).toEqual(kept);
  // What is lost is pending again, for the collector announced it; sent once more it is stored.
  const audit = async () => (await store.audit('c1'))[0]?.epochs[0];
  expect((await audit())?.stored).toBe(kept.length);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 3_000)]);
  const again = longFrames(1, 3_000).filter(({ seq }) => gone.includes(seq));
  await store.commit(batchOf(streams[0] ?? -1, { frames: again }));
  expect(await audit()).toMatchObject({ stored: 3_000, pending: [], missing: [] });
});

test('salvage keeps what is settled otherwise, and the order of arrival', async () => {
  const first = await openIn(directory);
  const { streams } = await announce(first, [epochOf(EPOCH_A, 1, 50), epochOf(EPOCH_B, 1, 9)]);
  const [a = -1, b = -1] = streams;
  await first.commit(batchOf(b, { frames: [frameOf(EPOCH_B, 9)], receivedAt: 7 }));
  await first.commit(batchOf(a, { frames: longFrames(20, 30), receivedAt: 8 }));
  const gaps = [{ from: 1, to: 5, reason: 'evicted' }] as const;
  await first.commit(batchOf(a, { gaps, rejects: [{ seq: 6, code: 'too_large' }] }));
  const other = { ...frameOf(EPOCH_B, 9, 'other'), seq: 9 };
  await first.commit(batchOf(b, { frames: [other] }));
  const audits = await first.audit();
  await first.close();
  expect(salvageStore(directory, NOW)).toMatchObject({ frames: 12, lost: [] });
  const store = await open();
  expect(await store.audit()).toEqual(audits);
  const database = new DatabaseSync(join(directory, 'holdfast.db'), { readOnly: true });
  const order = database.prepare('SELECT received_at FROM frames ORDER BY rowid LIMIT 2').all();
  expect(order.map(({ received_at }) => received_at)).toEqual([7, 8]);
  database.close();
});

test('salvage reads on behind the damaged place of a log', async () => {
  const live = join(directory, 'live');
  const first = await openIn(live);
  const { streams } = await announce(first, [epochOf(EPOCH_A, 1, 100)]);
  for (let from = 1; from <= 60; from += 10) {
    await first.commit(batchOf(streams[0] ?? -1, { frames: longFrames(from, from + 9) }));
  }
  for (const name of ['holdfast.db', 'holdfast.db-wal']) {
    cpSync(join(live, name), join(directory, name));
  }
  await first.close();
  harm(join(directory, 'holdfast.db-wal'), (bytes) => {
    const at = 32 + 24 + 3 * (PAGE_BYTES + 24) + 4_000;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  });
  await expect(open()).rejects.toMatchObject({ code: 'corrupt' });
  salvageStore(directory, NOW);
  const store = await open();
  expect(await seqsOf(store)).toEqual(rangeOf(1, 60));
});

test('salvage takes no file that is not a store, and none that a server works on', async () => {
  writeFileSync(join(directory, 'holdfast.db'), 'my diary '.repeat(1_000));
  expect(() => salvageStore(directory, NOW)).toThrow(/not a Holdfast store/);
  rmSync(join(directory, 'holdfast.db'));
  expect(() => salvageStore(directory, NOW)).toThrow(/there is no store/);
  await open();
  expect(() => salvageStore(directory, NOW)).toThrow(/in use/);
});

test('a store whose first page is gone is salvaged all the same', async () => {
  const path = await filledStore(directory, 500);
  harm(path, (bytes) => bytes.fill(0, 0, PAGE_BYTES));
  await expect(open()).rejects.toMatchObject({ code: 'foreign' });
  expect(salvageStore(directory, NOW)).toMatchObject({ frames: 500, lost: [], idIsNew: false });
  expect(await seqsOf(await open())).toEqual(rangeOf(1, 500));
});

test('whatever is harmed, salvage gives true rows, and calls stored what has one', async () => {
  const template = await filledStore(join(directory, 'template'), 1_500);
  const harms = fc.array(
    fc.record({
      page: fc.nat({ max: 200 }),
      at: fc.nat({ max: PAGE_BYTES - 1 }),
      how: fc.constantFrom('flip', 'zero', 'noise'),
    }),
    { minLength: 1, maxLength: 12 },
  );
  const property = fc.property(harms, (done) => {
    const within = mkdtempSync(join(directory, 'case-'));
    const path = join(within, 'holdfast.db');
    cpSync(template, path);
    harm(path, (bytes) => {
      for (const { page, at, how } of done) {
        const start = (page % (bytes.length / PAGE_BYTES)) * PAGE_BYTES;
        if (how === 'flip') bytes[start + at] = (bytes[start + at] ?? 0) ^ 16;
        else bytes.fill(how === 'zero' ? 0 : 0xa5, start + at, start + PAGE_BYTES);
      }
    });
    salvageStore(within, NOW);
    expect(inspect(path, { inUse: false }).problems).toEqual([]);
  });
  fc.assert(property, seeded({ numRuns: 25 }));
});

test('a backup that is made while frames come is a store of those that had come', async () => {
  const store = await open();
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 9_000)]);
  const commit = (from: number) =>
    store.commit(batchOf(streams[0] ?? -1, { frames: longFrames(from, from + 99) }));
  for (let from = 1; from <= 2_901; from += 100) await commit(from);
  const file = join(directory, 'backup.db');
  const later = [3_001, 3_101, 3_201].map(commit);
  const { frames, lost, storeId } = backupStore(directory, file);
  await Promise.all(later);
  expect(lost).toEqual([]);
  expect(frames).toBeGreaterThanOrEqual(3_000);
  expect(storeId).toBe(store.storeId);
  expect(existsSync(`${file}.new`)).toBe(false);
  expect(inspect(file, { inUse: false })).toMatchObject({ frames, problems: [], storeId });
  expect(() => backupStore(directory, file)).toThrow(/overwrites nothing/);
});

test('a backup leaves out what is damaged, and tells it', async () => {
  const path = await filledStore(directory, 500);
  flipBitOf(path, 77);
  const file = join(directory, 'backup.db');
  expect(backupStore(directory, file)).toMatchObject({
    frames: 499,
    lost: [{ collector: 'c1', epoch: EPOCH_A, ranges: [{ from: 77, to: 77 }] }],
  });
});

test('a store that can not be read gives no backup', async () => {
  const path = await filledStore(directory, 3_000);
  zeroPageOf(path, 2_000);
  const file = join(directory, 'backup.db');
  expect(() => backupStore(directory, file)).toThrow(/server store salvage/);
  expect(existsSync(file)).toBe(false);
  expect(existsSync(`${file}.new`)).toBe(false);
});

test('a backup put back is the store as it was then; what was there is set aside', async () => {
  const first = await openIn(directory);
  const { streams } = await announce(first, [epochOf(EPOCH_A, 1, 200)]);
  await first.commit(batchOf(streams[0] ?? -1, { frames: longFrames(1, 100) }));
  const file = join(directory, 'backup.db');
  backupStore(directory, file);
  await first.commit(batchOf(streams[0] ?? -1, { frames: longFrames(101, 200) }));
  expect(() => restoreStore(directory, file, NOW)).toThrow(/in use/);
  await first.close();
  const { movedTo, storeId } = restoreStore(directory, file, NOW);
  expect(movedTo).toBe(join(directory, 'replaced-20260102T030405Z'));
  const store = await open();
  expect(store.storeId).toBe(storeId);
  const { settled } = await announce(store, [epochOf(EPOCH_A, 1, 200)]);
  expect(settled).toEqual([[stored(1, 100)]]);
  expect(await seqsOf(await open(movedTo ?? ''))).toEqual(rangeOf(1, 200));
});

test('a backup that is damaged is not put back', async () => {
  const path = await filledStore(directory, 500);
  const file = join(directory, 'backup.db');
  backupStore(directory, file);
  flipBitOf(file, 77);
  const before = readFileSync(path);
  expect(() => restoreStore(directory, file, NOW)).toThrow(/frame 77: the bytes no longer/);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(existsSync(join(directory, 'holdfast.db.restoring'))).toBe(false);
});

test('a replacing that was cut short keeps a server away, and is taken up again', async () => {
  const path = await filledStore(directory, 500);
  const file = join(directory, 'backup.db');
  backupStore(directory, file);
  const moved = join(directory, 'damaged-20260102T030405Z');
  cpSync(path, join(moved, 'holdfast.db'));
  rmSync(path);
  const mark = {
    found: 'being replaced',
    at: NOW.toISOString(),
    movedTo: 'damaged-20260102T030405Z',
  };
  writeFileSync(join(directory, 'holdfast.damaged'), JSON.stringify(mark));
  await expect(open()).rejects.toThrow(/was being replaced, and that was cut short/);
  expect(salvageStore(directory, NOW)).toMatchObject({ frames: 500, movedTo: moved });
  expect(await seqsOf(await open())).toEqual(rangeOf(1, 500));
});
