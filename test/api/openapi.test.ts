/**
 * The OpenAPI document held against the running server by schemathesis: what the document allows is
 * taken and answered as it says, what it does not allow is refused, whatever is asked no 500 comes.
 * /api/v1/events is left out, for its answer has no end.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { SqliteStore } from '#server/store/sqlite-store.ts';
import { seed } from '../unit/seed.ts';
import { Program } from '../unit/server/program.ts';
import {
  announce,
  batchOf,
  EPOCH_A,
  EPOCH_B,
  epochOf,
  frameOf,
  framesOf,
} from '../unit/server/store-contract.ts';
import { startToxiproxy } from './toxiproxy.ts';

const EXAMPLES = 50;

const directory = mkdtempSync(join(tmpdir(), 'holdfast-openapi-'));
let server: Program | undefined;
let toxiproxy: Awaited<ReturnType<typeof startToxiproxy>> | undefined;

afterAll(async () => {
  server?.process.kill('SIGTERM');
  await server?.exited();
  toxiproxy?.stop();
  rmSync(directory, { recursive: true });
});

/** Frames of two epochs, of JSON and not, settled in every way and not settled. */
async function fill(): Promise<void> {
  const store = await SqliteStore.open({ directory, fresh: { storeId: 'x', createdAt: 1 } });
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 9), epochOf(EPOCH_B, 1, 90)]);
  const [a = -1, b = -1] = streams;
  const frames = [frameOf(EPOCH_A, 1, '{"a": [1, null]}'), frameOf(EPOCH_A, 2, '"text"')];
  const gaps = [{ from: 4, to: 5, reason: 'evicted' } as const];
  const rejects = [{ seq: 6, code: 'too_large' } as const];
  await store.commit(batchOf(a, { frames, gaps, rejects }));
  await store.commit(batchOf(b, { frames: framesOf(EPOCH_B, 1, 80) }));
  await store.close();
}

test('schemathesis finds nothing', async () => {
  const schemathesis = process.env.HOLDFAST_SCHEMATHESIS;
  if (!schemathesis) throw new Error('run this by ./holdfast test-api');
  await fill();
  toxiproxy = await startToxiproxy();
  server = new Program({
    // A lab's server has all paths that there are.
    HOLDFAST_LAB_TOXIPROXY: toxiproxy.url,
    HOLDFAST_STORE_PATH: directory,
    HOLDFAST_TOKEN: 'a token for the API tests',
    HOLDFAST_INGEST_PORT: '0',
    HOLDFAST_API_PORT: '0',
  });
  const { api } = await server.started();
  const args = [
    ...['run', `${api}/api/v1/openapi.json`],
    ...['--checks', 'all', '--exclude-path', '/api/v1/events'],
    ...['--max-examples', String(EXAMPLES), '--seed', String(seed)],
    ...['--request-timeout', '10', '--workers', '1', '--no-color'],
  ];
  const hooks = { SCHEMATHESIS_HOOKS: 'forwards', PYTHONPATH: import.meta.dirname };
  const child = spawn(schemathesis, args, {
    cwd: directory,
    env: { ...process.env, ...hooks, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      said += text;
    });
  }
  const [exitCode] = await once(child, 'close');
  console.log(said.slice(said.indexOf('SUMMARY')));
  expect(exitCode, said).toBe(0);
  expect(Number(/(\d+) generated/.exec(said)?.[1])).toBeGreaterThan(100);
});
