/**
 * Copies, with the real server as a process and real files: a store put back to an older copy while
 * the collector lives on, an older copy of a queue, and a queue that was cloned and runs twice.
 * Nothing is swallowed and nothing doubled, and the audit says the same.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  Producer,
  type ProducerEvent,
  type ProducerOptions,
} from '#collector/producer/producer.ts';

const TOKEN = 'the token of the test';
// Several processes are started one after the other, on a machine that may be busy.
vi.setConfig({ testTimeout: 90_000 });
const DEADLINE = { timeout: 30_000, interval: 20 };

interface Row {
  readonly epoch: string;
  readonly seq: number;
  readonly payload: string;
}

interface EpochAudit {
  readonly epoch: string;
  readonly stored: number;
  readonly declared: readonly { from: number; to: number; reason: string }[];
  readonly pending: readonly unknown[];
  readonly missing: readonly unknown[];
}

let folder: string;
let server: ChildProcess | undefined;
let ports: { ingest: number; api: number };
const producers = new Set<Producer>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-copies-'));
  ports = { ingest: 0, api: 0 };
});

afterEach(async () => {
  for (const producer of producers) await producer.close({ deadlineMs: 0 });
  producers.clear();
  server?.kill('SIGKILL');
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the server, after the first time on the ports that it had then. */
async function startServer(): Promise<void> {
  const main = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, 'run'], {
    env: {
      HOLDFAST_TOKEN: TOKEN,
      HOLDFAST_STORE_PATH: join(folder, 'store'),
      HOLDFAST_INGEST_PORT: String(ports.ingest),
      HOLDFAST_API_PORT: String(ports.api),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  server = child;
  for await (const line of createInterface({ input: child.stdout })) {
    const { event, ingest, api } = JSON.parse(line);
    if (event !== 'started') continue;
    ports = { ingest: portOf(ingest), api: portOf(api) };
    child.stdout.resume();
    return;
  }
  throw new Error('the server ended before it had started');
}

async function stopServer(): Promise<void> {
  const child = server;
  if (child === undefined) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
  server = undefined;
}

function portOf(address: unknown): number {
  return Number(String(address).split(':').at(-1));
}

function copy(from: string, to: string): void {
  rmSync(join(folder, to), { recursive: true, force: true });
  cpSync(join(folder, from), join(folder, to), { recursive: true });
}

async function open(queue: string, options: Partial<ProducerOptions> = {}): Promise<Producer> {
  const producer = new Producer({
    server: { host: '127.0.0.1', port: ports.ingest },
    token: Buffer.from(TOKEN),
    queuePath: join(folder, queue),
    ...options,
  });
  producers.add(producer);
  await producer.opened();
  return producer;
}

async function close(producer: Producer): Promise<void> {
  producers.delete(producer);
  await producer.close({ deadlineMs: 0 });
}

/** Sends numbered payloads; answers their epoch. */
async function send(producer: Producer, from: number, to: number, name = 'frame'): Promise<string> {
  const receipts = [];
  for (let n = from; n <= to; n += 1) receipts.push(producer.send(Buffer.from(`${name} ${n}`)));
  const [first] = await Promise.all(receipts);
  return first?.epoch ?? '';
}

async function drained(producer: Producer): Promise<void> {
  await expect.poll(() => producer.status().queue.frames, DEADLINE).toBe(0);
}

async function exported(): Promise<Row[]> {
  const response = await fetch(`http://127.0.0.1:${ports.api}/api/v1/export`);
  const lines = (await response.text()).split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const { epoch, seq, payload_base64: payload } = JSON.parse(line);
    return { epoch, seq, payload: Buffer.from(payload, 'base64').toString() };
  });
}

async function audit(): Promise<EpochAudit[]> {
  const response = await fetch(`http://127.0.0.1:${ports.api}/api/v1/audit`);
  const { collectors } = (await response.json()) as { collectors: { epochs: EpochAudit[] }[] };
  return collectors.flatMap(({ epochs }) => epochs);
}

/** Once nothing is pending any more: what is missing and what was declared. */
async function settledAudit() {
  await expect
    .poll(async () => (await audit()).flatMap(({ pending }) => pending), DEADLINE)
    .toEqual([]);
  const epochs = await audit();
  return {
    stored: epochs.reduce((sum, { stored }) => sum + stored, 0),
    missing: epochs.flatMap(({ missing }) => missing),
    declared: epochs.flatMap(({ declared }) => declared),
  };
}

function named(from: number, to: number, name = 'frame'): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => `${name} ${from + i}`);
}

test('a store put back to an older copy is filled again from what the collector keeps', async () => {
  await startServer();
  const events: ProducerEvent[] = [];
  const producer = await open('queue');
  producer.on('event', (event) => events.push(event));
  const epoch = await send(producer, 1, 50);
  await drained(producer);
  await stopServer();
  copy('store', 'backup');
  await startServer();
  await send(producer, 51, 120);
  await drained(producer);
  await stopServer();
  copy('backup', 'store');
  await startServer();
  await expect.poll(exported, DEADLINE).toHaveLength(120);
  const rows = await exported();
  expect(rows.map(({ payload }) => payload)).toEqual(named(1, 120));
  expect(rows.map((row) => [row.epoch, row.seq])).toEqual(rows.map((_, i) => [epoch, i + 1]));
  expect(await settledAudit()).toEqual({ stored: 120, missing: [], declared: [] });
  const loss = { epoch, ranges: [{ from: 51, to: 120 }], resent: 70, declared: 0 };
  expect(events.filter(({ type }) => type === 'store_lost')).toEqual([
    { type: 'store_lost', loss: { reason: 'lost_after_ack', ...loss } },
  ]);
  expect(producer.status().counters).toMatchObject({ accepted: 120, lostByStore: 70, declared: 0 });
});

test('what the collector no longer has is declared, also of a queue opened anew', async () => {
  await startServer();
  const first = await open('queue', { keepSettledBytes: 0 });
  await send(first, 1, 20);
  await drained(first);
  await stopServer();
  copy('store', 'backup');
  await startServer();
  await send(first, 21, 50);
  await drained(first);
  await close(first);
  const second = await open('queue', { keepSettledBytes: 0 });
  await send(second, 51, 60);
  await drained(second);
  await close(second);
  await stopServer();
  copy('backup', 'store');
  await startServer();
  const third = await open('queue', { keepSettledBytes: 0 });
  await send(third, 61, 62);
  await expect.poll(() => third.status().counters.declared, DEADLINE).toBe(40);
  await drained(third);
  expect(await settledAudit()).toEqual({
    stored: 22,
    missing: [],
    declared: [
      { from: 21, to: 50, reason: 'lost_after_ack' },
      { from: 1, to: 10, reason: 'lost_after_ack' },
    ],
  });
  expect((await exported()).map(({ payload }) => payload)).toEqual([
    ...named(1, 20),
    ...named(61, 62),
  ]);
});

test('an older copy of a queue swallows and doubles nothing', async () => {
  await startServer();
  await stopServer();
  const before = await open('queue');
  const shared = await send(before, 1, 10);
  await close(before);
  copy('queue', 'copy');
  await startServer();
  const lost = await open('queue');
  const gone = await send(lost, 11, 30);
  await drained(lost);
  await close(lost);
  copy('copy', 'queue');
  const restored = await open('queue');
  const fresh = await send(restored, 31, 40);
  await drained(restored);
  const rows = await exported();
  expect(rows.map(({ payload }) => payload).toSorted()).toEqual(named(1, 40).toSorted());
  expect(new Set(rows.map(({ epoch, seq }) => `${epoch} ${seq}`)).size).toBe(40);
  expect(new Set([shared, gone, fresh]).size).toBe(3);
  expect(await settledAudit()).toEqual({ stored: 40, missing: [], declared: [] });
});

test('two copies of a queue take turns, and swallow and double nothing', async () => {
  await startServer();
  await stopServer();
  const original = await open('queue');
  await send(original, 1, 10);
  await close(original);
  copy('queue', 'clone');
  await startServer();
  const one = await open('queue');
  await expect.poll(() => one.status().state, DEADLINE).toBe('Ready');
  const other = await open('clone');
  await expect.poll(() => other.status().lastError?.code, DEADLINE).toBe('bye_in_use');
  const epochs = await Promise.all([send(one, 11, 20), send(other, 21, 30)]);
  expect(epochs[0]).not.toBe(epochs[1]);
  await drained(one);
  expect(other.status()).toMatchObject({ queue: { frames: 20 }, counters: { acked: 0 } });
  await close(one);
  await drained(other);
  const rows = await exported();
  expect(rows.map(({ payload }) => payload).toSorted()).toEqual(named(1, 30).toSorted());
  expect(new Set(rows.map(({ epoch, seq }) => `${epoch} ${seq}`)).size).toBe(30);
  expect(await settledAudit()).toEqual({ stored: 30, missing: [], declared: [] });
});
