/** Directories are made with all above them, or the operating system's word is given. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDirectories } from '#protocol/directories.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-directories-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test('all that is missing is made, for this user alone, and the topmost is named', () => {
  const path = join(folder, 'a', 'b', 'c');
  expect(makeDirectories(path)).toBe(join(folder, 'a'));
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(makeDirectories(path)).toBeUndefined();
});

test('a file in the way is an error', () => {
  writeFileSync(join(folder, 'a'), '');
  expect(() => makeDirectories(join(folder, 'a', 'b'))).toThrow('EEXIST');
  expect(() => makeDirectories(join(folder, 'a'))).toThrow('EEXIST');
});

test('where none can be made it ends, with an error', () => {
  expect(() => makeDirectories('/proc/holdfast/queue')).toThrow('ENOENT');
});
