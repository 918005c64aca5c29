/** What a start makes of a store that is damaged, in each of the ways in which one may be. */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CheckOutcome } from '#server/store/check.ts';
import { inspect, problemLines } from '#server/store/inspection.ts';
import type { SqliteStore } from '#server/store/sqlite-store.ts';
import { inspectLog } from '#server/store/wal.ts';
import { announce, batchOf, EPOCH_A, epochOf } from './store-contract.ts';
import {
  filledStore,
  flipBitOf,
  harm,
  longFrames,
  openIn,
  PAGE_BYTES,
  zeroPageOf,
} from './store-files.ts';

let directory: string;
const opened: SqliteStore[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-damage-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  rmSync(directory, { recursive: true });
});

async function open(more: Parameters<typeof openIn>[1] = {}): Promise<SqliteStore> {
  const store = await openIn(directory, more);
  opened.push(store);
  return store;
}

/** Refused with words that name the way out, and left as it was. */
async function refused(path: string, because: RegExp): Promise<void> {
  const before = readFileSync(path);
  const log = existsSync(`${path}-wal`) ? readFileSync(`${path}-wal`) : undefined;
  await expect(open()).rejects.toMatchObject({
    code: 'corrupt',
    message: expect.stringMatching(because),
  });
  await expect(open()).rejects.toThrow(/server store salvage/);
  expect(readFileSync(path).equals(before)).toBe(true);
  if (log !== undefined) expect(readFileSync(`${path}-wal`).equals(log)).toBe(true);
}

/** A copy of a store's files as a kill would leave them: taken while it is open. */
async function copyWhileOpen(commits: readonly number[]): Promise<string> {
  const live = join(directory, 'live');
  const store = await openIn(live);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 10_000)]);
  let from = 1;
  for (const count of commits) {
    const frames = longFrames(from, from + count - 1);
    await store.commit(batchOf(streams[0] ?? -1, { frames }));
    from += count;
  }
  for (const name of ['holdfast.db', 'holdfast.db-wal']) {
    cpSync(join(live, name), join(directory, name));
  }
  await store.close();
  return join(directory, 'holdfast.db');
}

test('a page that is gone in the middle is found at the start', async () => {
  const path = await filledStore(directory, 3_000);
  zeroPageOf(path, 1_500);
  await refused(path, /is damaged: c1, epoch .*, frames? 1\d\d\d/);
});

test('a store that is cut short is found at the start', async () => {
  const path = await filledStore(directory, 500);
  truncateSync(path, statSync(path).size - 10 * PAGE_BYTES);
  await refused(path, /cut short/);
});

test('a row with a wrong bit is told of, by its number; the store serves on', async () => {
  const path = await filledStore(directory, 500);
  flipBitOf(path, 77);
  const store = await open();
  expect(store.checked).toMatchObject({
    frames: 500,
    damaged: 1,
    problems: [expect.stringContaining('frame 77: the bytes no longer')],
  });
  await announce(store, [epochOf(EPOCH_A, 1, 500)]);
});

test('a log that was left by a kill is taken whole', async () => {
  const path = await copyWhileOpen([10, 10, 10]);
  expect(inspectLog(`${path}-wal`)).toMatchObject({ brokenAt: undefined, commitsLost: 0 });
  const store = await open();
  expect((await store.audit('c1'))[0]?.epochs[0]?.stored).toBe(30);
});

test('a log that is damaged before its last commits is found at the start', async () => {
  const path = await copyWhileOpen([10, 10, 10, 10]);
  harm(`${path}-wal`, (bytes) => {
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  });
  expect(inspectLog(`${path}-wal`).commitsLost).toBeGreaterThan(0);
  await refused(path, /log is damaged at page \d+ of \d+; \d+ or more commits/);
});

test.each([
  ['magic', 0],
  ['page size', 8],
  ['salt', 16],
  ['checksum', 24],
])('a log whose header is damaged in its %s is found at the start', async (_, at) => {
  const path = await copyWhileOpen([10, 10, 10]);
  harm(`${path}-wal`, (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
  });
  await refused(path, /log is damaged at page 1 /);
});

test('the torn end of a log, as a power loss leaves it, is no damage', async () => {
  const path = await copyWhileOpen([10, 10, 10]);
  const frameBytes = PAGE_BYTES + 24;
  harm(`${path}-wal`, (bytes) => {
    // The last commit was not synced: one of its pages never came to the disk, others did.
    bytes.fill(0, bytes.length - 2 * frameBytes, bytes.length - frameBytes);
  });
  const store = await open();
  expect((await store.audit('c1'))[0]?.epochs[0]?.stored).toBe(20);
});

test('a log beside an older copy of its database is found at the start', async () => {
  const live = join(directory, 'live');
  const store = await openIn(live);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 100_000)]);
  const path = join(directory, 'holdfast.db');
  cpSync(join(live, 'holdfast.db'), path);
  let from = 1;
  // Logs are begun anew past 8 MiB.
  for (let logs = 0; logs < 3; from += 1_000) {
    const before = statSync(join(live, 'holdfast.db')).size;
    await store.commit(batchOf(streams[0] ?? -1, { frames: longFrames(from, from + 999) }));
    if (statSync(join(live, 'holdfast.db')).size > before) logs += 1;
  }
  cpSync(join(live, 'holdfast.db-wal'), `${path}-wal`);
  await store.close();
  await refused(path, /log belongs to a newer copy/);
});

test('damage that a read meets fails the store, and the next start reads all of it', async () => {
  const path = await filledStore(directory, 3_000);
  const store = await open();
  zeroPageOf(path, 1_500);
  const read = async () => {
    for await (const chunk of store.export({})) void chunk;
  };
  await expect(read()).rejects.toMatchObject({ code: 'corrupt' });
  expect(await store.failed).toMatchObject({
    code: 'corrupt',
    message: expect.stringContaining('server store salvage'),
  });
  expect(store.status.writable).toBe(false);
  expect(existsSync(join(directory, 'holdfast.damaged'))).toBe(true);
  await store.close();
  await refused(path, /is damaged/);
});

test('a mark over a store that is whole is taken away by the start that read it', async () => {
  const path = await filledStore(directory, 100);
  const whole = readFileSync(path);
  const store = await open();
  zeroPageOf(path, 50);
  await expect(store.frames({ order: 'oldest', limit: 100 })).rejects.toThrow();
  await store.close();
  expect(existsSync(join(directory, 'holdfast.damaged'))).toBe(true);
  // The disk gave back wrong bytes for a while, or a backup was put in place by hand.
  writeFileSync(path, whole);
  await open();
  expect(existsSync(join(directory, 'holdfast.damaged'))).toBe(false);
});

/** What the check on the side comes to, in a store that is too large to be read at its opening. */
function checkOnTheSide(): Promise<{ store: SqliteStore; outcome: CheckOutcome }> {
  return new Promise((resolve, reject) => {
    let store: SqliteStore | undefined;
    const onChecked = (outcome: CheckOutcome) => store && resolve({ store, outcome });
    open({ readWholeBytes: 0, onChecked }).then((made) => {
      store = made;
      expect(made.checked).toBeUndefined();
      void made.failed.then(reject);
    }, reject);
  });
}

test('a large store is read on the side while it serves', async () => {
  const path = await filledStore(directory, 3_000);
  const { store, outcome } = await checkOnTheSide();
  expect(outcome).toEqual({ frames: 3_000, damaged: 0, problems: [] });
  await store.close();
  flipBitOf(path, 2_000);
  const again = await checkOnTheSide();
  expect(again.outcome).toMatchObject({ damaged: 1, problems: [expect.stringContaining('2000')] });
  expect(again.store.status).toEqual({ writable: true });
});

test('what the reading on the side finds ends a store whose pages are gone', async () => {
  const path = await filledStore(directory, 3_000);
  zeroPageOf(path, 1_500);
  await expect(checkOnTheSide()).rejects.toMatchObject({
    code: 'corrupt',
    message: expect.stringContaining('server store salvage'),
  });
  expect(opened[0]?.status.writable).toBe(false);
  await opened[0]?.close();
  await expect(open({ readWholeBytes: 0 })).rejects.toMatchObject({ code: 'corrupt' });
});

test('two servers do not share a store', async () => {
  await open();
  await expect(open()).rejects.toMatchObject({
    code: 'busy',
    message: expect.stringContaining('in use'),
  });
});

test('a check tells each kind of damage by collector, epoch and seq', async () => {
  const path = await filledStore(directory, 3_000);
  expect(inspect(path, { inUse: false })).toMatchObject({ frames: 3_000, problems: [] });
  flipBitOf(path, 100);
  flipBitOf(path, 101);
  zeroPageOf(path, 2_000);
  const report = inspect(path, { inUse: false });
  expect(report.problems[0]).toEqual({
    kind: 'damaged',
    collector: 'c1',
    epoch: EPOCH_A,
    from: 100,
    to: 101,
  });
  const gone = report.problems.find(({ kind }) => kind === 'unreadable');
  expect(gone).toMatchObject({ collector: 'c1', epoch: EPOCH_A });
  expect(problemLines(report).join('\n')).toContain("the row can't be read");
});
