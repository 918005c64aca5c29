/**
 * Which Compose is taken: v2 before 1.29, whatever it calls its version; stand-ins in a PATH.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findCompose } from '#lab/compose.ts';
import { Programs } from '#lab/process.ts';

let bin: string;

beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'holdfast-compose-'));
  vi.stubEnv('PATH', `${bin}:/usr/bin:/bin`);
  program('docker', 'echo "unknown flag: --short" >&2; exit 125');
  program('docker-compose', 'echo 1.29.2');
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(bin, { recursive: true });
});

function program(name: string, body: string): void {
  const path = join(bin, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

function find(): ReturnType<typeof findCompose> {
  return findCompose(new Programs(new AbortController().signal));
}

test.each(['2.40.3', 'v2.40.3', 'dev'])(
  'the plugin that says %s is taken before 1.29',
  async (says) => {
    program('docker', `[ "$*" = "compose version --short" ] && echo ${says}`);
    expect(await find()).toMatchObject({ file: 'docker', version: says.replace('v2', '2') });
  },
);

test('without the plugin 1.29 is taken', async () => {
  expect(await find()).toEqual({ file: 'docker-compose', leading: [], version: '1.29.2' });
});

test('with neither there is none', async () => {
  program('docker-compose', 'exit 1');
  expect(await find()).toBeNull();
});
