/**
 * A store that another process locks for as long as it takes, under the real server program and a
 * real producer: nothing is acknowledged that is not on disk, collectors are told to wait, reading
 * goes on, and it heals by itself.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { Producer } from '#collector/producer/producer.ts';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';
import { TOKEN } from './wire-client.ts';

const MAIN = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));
const DEADLINE = { timeout: 60_000, interval: 50 };
/** SQLite waits 2 s for a lock: after so many refusals the store was locked for more than 8 s. */
const REFUSALS = 4;
const TEST_MS = 180_000;

test('a store that another process locks', { timeout: TEST_MS }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-outage-'));
  const storePath = join(directory, 'store');
  const server = spawn(process.execPath, [MAIN, 'run'], {
    env: {
      ...BARE_ENVIRONMENT,
      HOLDFAST_STORE_PATH: storePath,
      HOLDFAST_TOKEN: TOKEN.toString(),
      HOLDFAST_INGEST_PORT: '0',
      HOLDFAST_API_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  server.stdout.on('data', (text) => {
    out += text;
  });
  onTestFinished(async () => {
    server.kill('SIGKILL');
    await once(server, 'close');
    rmSync(directory, { recursive: true });
  });
  const logged = (): Record<string, string>[] =>
    out
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, string>);
  const eventOf = (name: string) => logged().find(({ event }) => event === name);
  await expect.poll(() => eventOf('started'), DEADLINE).toBeDefined();
  const { ingest = '', api = '' } = eventOf('started') ?? {};
  const producer = new Producer({
    server: { host: '127.0.0.1', port: Number(ingest.split(':').at(-1)) },
    token: TOKEN,
    queuePath: join(directory, 'queue'),
    collectorId: 'c1',
  });
  onTestFinished(async () => {
    await producer.close({ deadlineMs: 0 });
  });
  const pending = () => producer.status().queue.frames;
  const send = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, n) => producer.send(`frame ${n}`)));
  const stored = async () => {
    const answer = await fetch(`${api}/api/v1/audit`);
    expect(answer.status).toBe(200);
    const { collectors } = (await answer.json()) as {
      collectors: { totals: { stored: number } }[];
    };
    return collectors[0]?.totals.stored;
  };
  await send(100);
  await expect.poll(pending, DEADLINE).toBe(0);

  const other = new DatabaseSync(join(storePath, 'holdfast.db'));
  other.exec('BEGIN IMMEDIATE');
  const acked = producer.status().counters.acked;
  await send(100);
  await expect.poll(() => eventOf('store_unavailable')?.msg, DEADLINE).toMatch(/lock of the store/);
  // Each time it comes back it is told to wait, by a reason that says why.
  const refusals = () => producer.status().lastError?.code;
  await expect.poll(refusals, DEADLINE).toBe('bye_store_unavailable');
  const connections = producer.status().counters.connections;
  await expect.poll(() => producer.status().attempt, DEADLINE).toBeGreaterThanOrEqual(REFUSALS);
  expect(producer.status().counters.connections).toBe(connections);
  expect(producer.status().counters.acked).toBe(acked);
  expect(await stored()).toBe(100);
  expect((await fetch(`${api}/readyz`)).status).toBe(503);
  other.exec('ROLLBACK');
  other.close();

  await expect.poll(pending, DEADLINE).toBe(0);
  expect(await stored()).toBe(200);
  expect(eventOf('store_writable')).toBeDefined();
  expect((await fetch(`${api}/readyz`)).status).toBe(200);
  expect(server.exitCode).toBeNull();
});
