/** The lock of a checkout, held by real processes, in a copy of lab/ with a state of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-lock-'));
  for (const path of ['lab', 'protocol', 'package.json']) {
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(name: string, script: string) {
  writeFileSync(join(folder, `${name}.ts`), script);
  const child = spawn(process.execPath, [join(folder, `${name}.ts`)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString('utf8').split('\n')));
  return { child, lines };
}

const HOLD = `import { withLock } from '#lab/lock.ts';
const never = new AbortController().signal;
await withLock('lab', () => console.log('waits'), never, async () => {
  console.log('holds');
  await new Promise((resolve) => setTimeout(resolve, 1e6));
});`;
const TAKE = HOLD.replace('await new Promise((resolve) => setTimeout(resolve, 1e6));', '');

test('a second holder waits, and gets the lock when the first is killed', async () => {
  const first = run('first', HOLD);
  await expect.poll(() => first.lines, { timeout: 15_000 }).toContain('holds');
  const second = run('second', TAKE);
  await expect.poll(() => second.lines, { timeout: 15_000 }).toContain('waits');
  expect(second.lines).not.toContain('holds');
  first.child.kill('SIGKILL');
  const [exitCode] = await once(second.child, 'close');
  expect(exitCode).toBe(0);
  expect(second.lines).toContain('holds');
});

test('the secret is made once, readable inside a folder that is closed to others', async () => {
  const script = `import { ensureToken } from '#lab/state.ts';
import { readFileSync } from 'node:fs';
import { PATHS } from '#lab/paths.ts';
console.log(ensureToken(), readFileSync(PATHS.token, 'utf8'));`;
  const made = run('made', script);
  await once(made.child, 'close');
  const again = run('again', script);
  await once(again.child, 'close');
  const [, token] = made.lines[0]?.split(' ') ?? [];
  expect(made.lines[0]).toMatch(/^true [0-9a-f]{64}$/);
  expect(again.lines[0]).toBe(`false ${token}`);
  const mode = (path: string) => statSync(join(folder, path)).mode & 0o777;
  expect(mode('.lab')).toBe(0o700);
  expect(mode('.lab/secrets')).toBe(0o700);
  expect(mode('.lab/secrets/token')).toBe(0o444);
});
