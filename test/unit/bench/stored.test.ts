/** A store's file read by itself: it sees every kind of defect, each shown by forging one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { capturedAtOf, type FramePlan, indexOf, payloadOf } from '#bench/source/frames.ts';
import { verifyFile } from '#bench/stored/stored.ts';
import { makeTables, STORE_FILE } from '#server/store/sqlite-schema.ts';

/** Of the first collector the frames are JSON; each has room for more than it sent. */
const ROOM = 50;
const SENT = 40;
const PLAN: FramePlan = {
  seed: 42,
  payloadBytes: 200,
  startedAt: 1_795_000_000_123_456,
  jsonFrames: ROOM,
};
const RANGES = [0, 1, 2].map((i) => ({ first: i * ROOM, sent: SENT }));
const ALL = RANGES.length * SENT;
const CLEAN = { sent: ALL, stored: ALL, lost: 0, duplicated: 0, altered: 0, unexpected: 0 };

const directory = mkdtempSync(join(tmpdir(), 'holdfast-stored-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** A stream is made up without its collector. */
const open = () =>
  new DatabaseSync(join(directory, STORE_FILE), { enableForeignKeyConstraints: false });

function change(sql: string, ...values: (string | number | Buffer)[]): void {
  const database = open();
  database.prepare(sql).run(...values);
  database.close();
}

beforeEach(() => {
  rmSync(join(directory, STORE_FILE), { force: true });
  const database = open();
  makeTables(database, { storeId: 'a store', createdAt: 1 });
  database.exec('BEGIN');
  const stream = database.prepare(
    'INSERT INTO streams (id, collector, epoch, lowest, highest, held) VALUES (?, ?, ?, 1, 0, 1)',
  );
  const frame = database.prepare('INSERT INTO frames VALUES (?, ?, ?, 0, 0, ?)');
  for (const [i, { first, sent }] of RANGES.entries()) {
    stream.run(i + 7, `wire-${i}`, 'an epoch');
    for (let n = first; n < first + sent; n += 1) {
      frame.run(i + 7, n - first + 1, capturedAtOf(PLAN, n), payloadOf(PLAN, n));
    }
  }
  database.exec('COMMIT');
  database.close();
});

const verified = () => verifyFile(directory, PLAN, RANGES, new AbortController().signal);

test('a file with every frame once, bit for bit, holds', async () => {
  expect(await verified()).toEqual(CLEAN);
});

test('the first frames of such a plan are JSON, and say which they are', () => {
  expect(JSON.parse(payloadOf(PLAN, ROOM - 1).toString())).toMatchObject({ n: ROOM - 1 });
  expect([ROOM - 1, ROOM].map((n) => indexOf(payloadOf(PLAN, n)))).toEqual([ROOM - 1, ROOM]);
  expect(payloadOf(PLAN, ROOM)).toEqual(payloadOf({ ...PLAN, jsonFrames: 0 }, ROOM));
});

test.each([
  [
    'a row is missing',
    'DELETE FROM frames WHERE stream_id = 8 AND seq = 5',
    [],
    { stored: ALL - 1, lost: 1 },
  ],
  [
    'a payload is another',
    'UPDATE frames SET payload = ? WHERE stream_id = 9 AND seq = 5',
    [Buffer.concat([payloadOf(PLAN, 104).subarray(0, 199), Buffer.of(1)])],
    { altered: 1 },
  ],
  [
    'a capture time is off by a microsecond',
    'UPDATE frames SET captured_at = captured_at + 1 WHERE stream_id = 7 AND seq = 5',
    [],
    { altered: 1 },
  ],
  [
    'a frame is there twice',
    'INSERT INTO frames VALUES (8, 41, ?, 0, 0, ?)',
    [capturedAtOf(PLAN, ROOM + 3), payloadOf(PLAN, ROOM + 3)],
    { stored: ALL + 1, duplicated: 1 },
  ],
  [
    'a frame was never sent',
    'INSERT INTO frames VALUES (8, 41, ?, 0, 0, ?)',
    [capturedAtOf(PLAN, ROOM + SENT), payloadOf(PLAN, ROOM + SENT)],
    { stored: ALL + 1, unexpected: 1 },
  ],
  [
    "a frame is among another collector's",
    'UPDATE frames SET stream_id = 9, seq = 41 WHERE stream_id = 8 AND seq = 5',
    [],
    { lost: 1, unexpected: 1 },
  ],
])('it does not hold when %s', async (_, sql, values, defects) => {
  change(sql, ...values);
  expect(await verified()).toEqual({ ...CLEAN, ...defects });
});

test('streams that nobody of these sent are told by name', async () => {
  change(
    "INSERT INTO streams (collector, epoch, lowest, highest, held) VALUES ('a stranger', 'x', 1, 0, 1)",
  );
  await expect(verified()).rejects.toThrow(/a stranger/);
});

test('an interruption ends it', async () => {
  await expect(verifyFile(directory, PLAN, RANGES, AbortSignal.abort())).rejects.toThrow();
});
