/**
 * `./holdfast collector dead …` as a process, with a real server that refuses frames over its limit:
 * beside a running producer and on a queue that nobody has open. After the limit was raised the
 * frames arrive, as they were captured.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Producer } from '#collector/producer/producer.ts';
import { freePort } from '#lab/ports.ts';
import { contentOf, held, heldJson, run } from './running.ts';

const MAIN = fileURLToPath(new URL('../../../../server/main.ts', import.meta.url));
const TOKEN = 'the token of the test';
const DEADLINE = { timeout: 20_000, interval: 50 };
const LARGE = [200, 300, 400];

let folder: string;
let path: string;
let port: number;
let server: ChildProcess | undefined;
let producer: Producer | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-dead-tools-'));
  path = join(folder, 'queue');
  port = await freePort();
});

afterEach(async () => {
  await producer?.close({ deadlineMs: 0 });
  producer = undefined;
  await stopServer();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the server on the same store and port, with another limit; answers its API's address. */
async function startServer(payloadBytesMax: number): Promise<string> {
  const child = spawn(process.execPath, [MAIN, 'run'], {
    env: {
      HOLDFAST_TOKEN: TOKEN,
      HOLDFAST_STORE_PATH: join(folder, 'store'),
      HOLDFAST_INGEST_PORT: String(port),
      HOLDFAST_API_PORT: '0',
      HOLDFAST_PAYLOAD_BYTES_MAX: String(payloadBytesMax),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  server = child;
  for await (const line of createInterface({ input: child.stdout })) {
    const { event, api } = JSON.parse(line);
    if (event === 'started') return String(api);
  }
  throw new Error('the server ended before it had started');
}

async function stopServer(): Promise<void> {
  if (server === undefined) return;
  const ended = once(server, 'close');
  server.kill('SIGKILL');
  await ended;
  server = undefined;
}

function startProducer(): Producer {
  producer = new Producer({
    server: { host: '127.0.0.1', port },
    token: Buffer.from(TOKEN),
    queuePath: path,
    collectorId: 'c1',
    keepSettledBytes: 0,
  });
  return producer;
}

/** Large frames that were refused, and small ones around them that are stored. */
async function refused(): Promise<Producer> {
  await startServer(100);
  const sender = startProducer();
  await sender.send(Buffer.from('first'), { capturedAt: 1 });
  for (const [i, bytes] of LARGE.entries()) {
    await sender.send(Buffer.alloc(bytes, i), { capturedAt: 1_000 + i });
    await sender.send(Buffer.from(`after ${i}`), { capturedAt: 2_000 + i });
  }
  await expect.poll(() => sender.status().counters.dead, DEADLINE).toBe(LARGE.length);
  await expect.poll(() => sender.status().queue.frames, DEADLINE).toBe(0);
  return sender;
}

interface Row {
  readonly seq: number;
  readonly captured_at: string;
  readonly payload_base64: string;
}

async function storedRows(api: string): Promise<Row[]> {
  const text = await (await fetch(`${api}/api/v1/export`)).text();
  return text
    .trim()
    .split('\n')
    .map((line): Row => JSON.parse(line))
    .sort((a, b) => a.seq - b.seq);
}

async function expectAllStored(api: string): Promise<void> {
  await expect.poll(async () => (await storedRows(api)).length, DEADLINE).toBe(7);
  const rows = await storedRows(api);
  expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  for (const [i, bytes] of LARGE.entries()) {
    const row = rows[1 + 2 * i];
    expect(row?.captured_at).toBe(`1970-01-01T00:00:00.00100${i}Z`);
    expect(Buffer.from(row?.payload_base64 ?? '', 'base64')).toEqual(Buffer.alloc(bytes, i));
  }
}

test('beside a running producer: refused frames are listed, and stored once the limit was raised', async () => {
  const sender = await refused();
  const listed = heldJson(['dead', 'list', '--path', path]);
  expect(listed.letters).toMatchObject(
    LARGE.map((bytes, i) => ({ seq: 2 + 2 * i, bytes, code: 'too_large', collector: 'c1' })),
  );
  expect(held(['dead', 'list', '--path', path])).toMatch(/too_large .* waits for you/);
  const exported = held(['dead', 'export', '--path', path]).trimEnd().split('\n');
  expect(exported.map((line) => JSON.parse(line))).toMatchObject(
    LARGE.map((bytes, i) => ({
      seq: 2 + 2 * i,
      code: 'too_large',
      payload_base64: Buffer.alloc(bytes, i).toString('base64'),
    })),
  );

  // Sent again too early they are refused again: dead letters once more, and nothing is lost.
  const early = heldJson(['dead', 'replay', '--seq', '2', '--path', path]);
  expect(early).toMatchObject({ replayed: 1, taken: true, left: [] });
  await expect.poll(() => sender.status().counters.dead, DEADLINE).toBe(LARGE.length + 1);
  await expect.poll(() => readdirSync(join(path, 'dead-letters')).length, DEADLINE).toBe(3);

  await stopServer();
  const api = await startServer(1_000);
  expect(held(['dead', 'replay', '--all', '--path', path])).toContain('3 frames handed to');
  await expectAllStored(api);
  expect(readdirSync(join(path, 'dead-letters'))).toEqual([]);
  expect(held(['dead', 'list', '--path', path])).toBe('No dead letters.\n');
  await expect.poll(() => sender.status().queue.frames, DEADLINE).toBe(0);
}, 60_000);

test('on a queue that nobody has open: they wait for the next one that does', async () => {
  const sender = await refused();
  await sender.close({ deadlineMs: 0 });
  await stopServer();
  const told = held(['dead', 'replay', '--seq', '2..4', '--path', path]);
  expect(told).toContain('2 frames to be sent again; no collector has taken them so far');
  expect(heldJson(['queue', 'status', '--path', path]).dead_letters).toEqual({
    refused: 1,
    replay: 2,
  });
  expect(held(['dead', 'replay', '--all', '--path', path])).toContain('3 frames to be sent');
  const api = await startServer(1_000);
  startProducer();
  await expectAllStored(api);
}, 60_000);

test('a dropped letter is gone for good, and only after a yes', async () => {
  await (await refused()).close({ deadlineMs: 0 });
  const before = contentOf(path);
  const asked = run(['dead', 'drop', '--seq', '2..4', '--path', path]);
  expect(asked.status).toBe(1);
  expect(asked.stdout).toContain('2 dead letters would be removed');
  expect(contentOf(path)).toEqual(before);
  expect(held(['dead', 'drop', '--seq', '2..4', '--yes', '--path', path])).toContain(
    '2 dead letters',
  );
  expect(heldJson(['dead', 'list', '--path', path]).letters).toMatchObject([{ seq: 6 }]);
}, 60_000);

test('what can not be sent again, or was not said which, is told in words', async () => {
  await (await refused()).close({ deadlineMs: 0 });
  const unsaid = run(['dead', 'replay', '--path', path]);
  expect(unsaid.status).toBe(2);
  expect(unsaid.stderr).toContain('say which');
  const [name = ''] = readdirSync(join(path, 'dead-letters')).sort();
  const file = join(path, 'dead-letters', name);
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace('"captured_at_us":1000', '"captured_at_us":1001'),
  );
  const damaged = run(['dead', 'replay', '--all', '--path', path]);
  expect(damaged.status).toBe(1);
  expect(damaged.stdout).toContain('checksum does not match');
  expect(damaged.stdout).toContain('2 frames to be sent again');
  expect(readdirSync(join(path, 'dead-letters'))).toEqual([name]);
  expect(run(['queue', 'verify', '--path', path]).status).toBe(1);
}, 60_000);

test('help has examples, and no queue is told in words', () => {
  for (const command of ['list', 'replay', 'drop']) {
    expect(held(['dead', command, '--help'])).toContain('Examples:');
  }
  expect(run(['dead', 'list', '--path', folder])).toMatchObject({ status: 2, stdout: '' });
}, 60_000);
