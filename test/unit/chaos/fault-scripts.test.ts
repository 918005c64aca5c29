/** The small programs of faults, on real files: each does what it is told, and says what it did. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  COUNT_SET_ASIDE,
  DAMAGE_SEGMENT,
  HOLD_LOCK,
  lastJson,
  NEWEST_SEGMENT,
  REMOVE,
  runScript,
} from '#chaos/faults/scripts.ts';
import { waitUntil } from '#chaos/observe/wait.ts';
import type { Ran, Service } from '#lab/ground/ground.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-scripts-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs commands on this machine. */
const here: Partial<Service> = {
  name: 'source',
  run: ([, ...args]) =>
    new Promise<Ran>((resolve) => {
      execFile(process.execPath, args, (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : 1, output: stdout + stderr });
      });
    }),
};
const service = here as Service;

const segment = (number: number) => join(folder, `segment-${String(number).padStart(20, '0')}.log`);

test('damage changes the bytes of the newest segment that it tells, and no others', async () => {
  const whole = Buffer.alloc(1_000, 1);
  for (const number of [1, 2]) writeFileSync(segment(number), whole);
  const running = runScript(service, DAMAGE_SEGMENT, [folder, 64, 0.5]);
  // It waits for a checkpoint that knows of what it has changed.
  await waitUntil('it has changed them', () => !readFileSync(segment(2)).equals(whole));
  writeFileSync(join(folder, 'checkpoint'), 'newer');
  const done = lastJson<{ file: string; at: number; bytes: number }>(await running);
  expect(done).toEqual({ file: expect.stringMatching(/2\.log$/), at: 478, bytes: 64, of: 1_000 });
  const damaged = readFileSync(segment(2));
  const changed = [...damaged.keys()].filter((at) => damaged[at] !== 1);
  expect([changed.length, changed[0], changed.at(-1)]).toEqual([64, 478, 541]);
  expect(readFileSync(segment(1)).equals(whole)).toBe(true);
});

test('damage keeps off the header, and asks for a segment', async () => {
  await expect(runScript(service, DAMAGE_SEGMENT, [folder, 64, 0])).rejects.toThrow(/no segment/);
  writeFileSync(segment(1), Buffer.alloc(60, 1));
  const running = runScript(service, DAMAGE_SEGMENT, [folder, 64, 0.99]);
  const header = Buffer.alloc(20, 1);
  await waitUntil('it has changed them', () => readFileSync(segment(1))[59] !== 1);
  writeFileSync(join(folder, 'checkpoint'), 'newer');
  expect(lastJson(await running)).toMatchObject({ at: 20, bytes: 40 });
  expect(readFileSync(segment(1)).subarray(0, 20).equals(header)).toBe(true);
});

test('finds the newest segment, and counts what was set aside', async () => {
  for (const number of [9, 10]) writeFileSync(segment(number), 'x');
  const newest = await runScript(service, NEWEST_SEGMENT, [folder]);
  expect(lastJson(newest)).toEqual({ file: segment(10), bytes: 1 });
  expect(Number(await runScript(service, COUNT_SET_ASIDE, [folder]))).toBe(0);
  mkdirSync(join(folder, 'set-aside'));
  writeFileSync(join(folder, 'set-aside', 'one'), '');
  expect(Number(await runScript(service, COUNT_SET_ASIDE, [folder]))).toBe(1);
  await runScript(service, REMOVE, [join(folder, 'set-aside'), join(folder, 'nothing')]);
  expect(existsSync(join(folder, 'set-aside'))).toBe(false);
});

test('holds the lock for writing, lets others read, and lets go', async () => {
  const path = join(folder, 'database');
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (n); INSERT INTO t VALUES (1)');
  const holding = runScript(service, HOLD_LOCK, [path, 1]);
  await waitUntil('it is locked', () => {
    try {
      database.exec('BEGIN IMMEDIATE; ROLLBACK');
      return false;
    } catch {
      return true;
    }
  });
  expect(database.prepare('SELECT n FROM t').get()).toEqual({ n: 1 });
  expect(lastJson<{ held_ms: number }>(await holding).held_ms).toBeGreaterThanOrEqual(999);
  database.exec('INSERT INTO t VALUES (2)');
  database.close();
});

test('a script that fails says what it was, and where', async () => {
  const failing = runScript(service, 'throw new Error("no room")', []);
  await expect(failing).rejects.toThrow(/beside the source ended with 1: .*no room/s);
});
