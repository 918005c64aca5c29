/**
 * A store that has lost something, and the collectors that fill it up again: the real server
 * program, its real tools, and a real producer that lives through all of it.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Producer, type ProducerOptions } from '#collector/producer/producer.ts';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';
import { flipBitOf, zeroPageOf } from './store-files.ts';
import { TOKEN } from './wire-client.ts';

const MAIN = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));
const DEADLINE = { timeout: 60_000, interval: 50 };
/** Programs start slowly where many do at once, and each test starts several. */
const TEST_MS = 180_000;

let directory: string;
let storePath: string;
let server: Server | undefined;
let producer: Producer | undefined;

interface Audit {
  totals: Record<'stored' | 'declared' | 'pending' | 'missing', number>;
  epochs: { declared: { from: number; to: number; reason: string }[] }[];
}

/** The server program; always on the same port, so that a collector finds it again. */
class Server {
  readonly process: ChildProcess;
  out = '';

  constructor(port: number) {
    this.process = spawn(process.execPath, [MAIN, 'run'], {
      env: environment({ HOLDFAST_INGEST_PORT: String(port) }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.process.stdout?.on('data', (text) => {
      this.out += text;
    });
  }

  async started(): Promise<{ port: number; api: string }> {
    await expect.poll(() => this.out, DEADLINE).toContain('"event":"started"');
    const lines = this.out.split('\n').filter((line) => line !== '');
    const { ingest, api } = lines
      .map((line) => JSON.parse(line) as Record<string, string>)
      .find(({ event }) => event === 'started') as Record<string, string>;
    return { port: Number(ingest?.split(':').at(-1)), api: api ?? '' };
  }

  async ended(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal !== undefined) this.process.kill(signal);
    if (this.process.exitCode === null && this.process.signalCode === null) {
      await once(this.process, 'exit');
    }
    return this.process.exitCode;
  }
}

function environment(more: Record<string, string> = {}): Record<string, string> {
  return {
    ...BARE_ENVIRONMENT,
    HOLDFAST_STORE_PATH: storePath,
    HOLDFAST_TOKEN: TOKEN.toString(),
    HOLDFAST_API_PORT: '0',
    ...more,
  };
}

function tool(...args: string[]): { code: number | null; out: string; err: string } {
  const { PATH = '' } = process.env;
  const env = { PATH, HOLDFAST_STORE_PATH: storePath };
  const result = spawnSync(process.execPath, [MAIN, 'store', ...args], { env });
  return { code: result.status, out: String(result.stdout), err: String(result.stderr) };
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-refill-'));
  storePath = join(directory, 'store');
});

afterEach(async () => {
  await producer?.close({ deadlineMs: 0 });
  await server?.ended('SIGKILL');
  producer = undefined;
  server = undefined;
  rmSync(directory, { recursive: true });
});

/** A server, and a producer that sends to it. */
async function begin(more: Partial<ProducerOptions> = {}): Promise<{ port: number; api: string }> {
  server = new Server(0);
  const place = await server.started();
  openProducer(place.port, more);
  return place;
}

function openProducer(port: number, more: Partial<ProducerOptions> = {}): void {
  producer = new Producer({
    server: { host: '127.0.0.1', port },
    token: TOKEN,
    queuePath: join(directory, 'queue'),
    collectorId: 'c1',
    ...more,
  });
}

/** Sends frames that are easily found in a file, until the server has confirmed them. */
async function send(from: number, to: number): Promise<void> {
  const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  await Promise.all(
    numbers.map((n) => producer?.send(`frame number ${n}, `.repeat(15), { capturedAt: n })),
  );
  await expect.poll(() => producer?.status().queue.frames, DEADLINE).toBe(0);
}

async function auditOf(api: string): Promise<Audit | undefined> {
  const answer = await fetch(`${api}/api/v1/audit`);
  return ((await answer.json()) as { collectors: Audit[] }).collectors[0];
}

/** Waits until nothing is pending. */
async function settled(api: string, stored: number): Promise<Audit> {
  const totals = async () => (await auditOf(api))?.totals;
  await expect.poll(totals, DEADLINE).toMatchObject({ stored, pending: 0, missing: 0 });
  return (await auditOf(api)) as Audit;
}

test('a restored backup is filled up again by a collector that lives on', {
  timeout: TEST_MS,
}, async () => {
  const { port } = await begin();
  await send(1, 300);
  const file = join(directory, 'backup.db');
  expect(tool('backup', file)).toMatchObject({
    code: 0,
    out: expect.stringContaining('300 frames'),
  });
  await send(301, 700);
  expect(tool('restore', file)).toMatchObject({ code: 2, err: expect.stringContaining('in use') });
  expect(await server?.ended('SIGTERM')).toBe(0);
  expect(tool('restore', file)).toMatchObject({
    code: 0,
    out: expect.stringContaining('300 frames'),
  });
  server = new Server(port);
  const { api } = await server.started();
  expect((await settled(api, 700)).totals.declared).toBe(0);
  expect(producer?.status().counters.lostByStore).toBe(400);
});

test('a damaged store is refused, salvaged, and filled up again where it was damaged', {
  timeout: TEST_MS,
}, async () => {
  const { port } = await begin();
  await send(1, 1_500);
  // What is damaged is of an epoch before: an announcement of what was settled last doesn't show it.
  await producer?.close();
  openProducer(port);
  await send(1_501, 3_000);
  expect(tool('check')).toMatchObject({ code: 0, out: expect.stringContaining('is whole') });
  expect(await server?.ended('SIGTERM')).toBe(0);
  const path = join(storePath, 'holdfast.db');
  flipBitOf(path, 1_000);
  zeroPageOf(path, 500);
  server = new Server(port);
  expect(await server.ended()).toBe(1);
  expect(server.out).toContain('server store salvage');
  const { code, out } = tool('check', '--json');
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ whole: false, in_use: false });
  const salvaged = tool('salvage');
  expect(salvaged.code).toBe(0);
  expect(salvaged.out).toMatch(/lost: c1, epoch \S+, frame 1000\n/);
  server = new Server(port);
  const { api } = await server.started();
  expect((await settled(api, 3_000)).totals.declared).toBe(0);
  expect(tool('check')).toMatchObject({ code: 0 });
});

test('what the collectors no longer hold is declared lost, never called stored', {
  timeout: TEST_MS,
}, async () => {
  const { port } = await begin({
    keepSettledBytes: 0,
    keepSettledMs: 0,
    queueLimitBytes: 1_048_576,
  });
  await send(1, 3_000);
  // A closed segment goes a moment after the ack; only its last one, of 256 KiB, may be held still.
  await expect.poll(() => producer?.status().queue.bytes, DEADLINE).toBeLessThan(400_000);
  expect(await server?.ended('SIGTERM')).toBe(0);
  flipBitOf(join(storePath, 'holdfast.db'), 200);
  expect(tool('salvage').out).toMatch(/frame 200\n/);
  server = new Server(port);
  const { api } = await server.started();
  const { totals, epochs } = await settled(api, 2_999);
  expect(totals.declared).toBe(1);
  expect(epochs[0]?.declared).toEqual([{ from: 200, to: 200, reason: 'lost_after_ack' }]);
});
