/**
 * SIGTERM to the collector as people start it, with the link in every state that a stop can meet:
 * it ends with 0 within its deadline, what could be brought over was, and the rest is kept.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Producer } from '#collector/producer/producer.ts';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';

const TOKEN = '0123456789abcdef';
const PATIENCE = { timeout: 20_000, interval: 20 };

interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A program of ours with its log. */
class Program {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  readonly log: LogLine[] = [];

  constructor(main: string, environment: Readonly<Record<string, string>>) {
    const path = fileURLToPath(new URL(`../../../${main}`, import.meta.url));
    this.child = spawn(process.execPath, [path, 'run'], {
      env: { ...BARE_ENVIRONMENT, HOLDFAST_TOKEN: TOKEN, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (this.child.stdout === null) throw new Error('no stdout');
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.log.push(JSON.parse(line));
    });
    this.exit = once(this.child, 'close').then(([code]) => code);
    programs.push(this);
  }

  async logged(event: string): Promise<LogLine> {
    const line = () => this.log.find((one) => one.event === event);
    await expect.poll(line, PATIENCE).toBeDefined();
    return line() ?? { event };
  }
}

/** A relay that can be slow, closed for good, or swallow what passes while it stays open. */
class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  swallows = false;
  delayMs = 0;

  constructor(upstreamPort: number) {
    this.#server = createServer((client) => {
      const upstream = connect(upstreamPort, '127.0.0.1');
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => to.destroy());
        from.on('close', () => setTimeout(() => to.destroy(), this.delayMs));
        from.on('data', (bytes) => {
          if (!this.swallows) setTimeout(() => to.write(bytes), this.delayMs);
        });
      }
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

const programs: Program[] = [];
let directory: string;
let relay: Relay;
let api: string;
let collector: Program;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-stop-'));
  const server = new Program('server/main.ts', {
    HOLDFAST_STORE_PATH: join(directory, 'store'),
    HOLDFAST_INGEST_PORT: '0',
    HOLDFAST_API_PORT: '0',
  });
  const started = await server.logged('started');
  api = String(started.api);
  relay = new Relay(Number(String(started.ingest).split(':').at(-1)));
  collector = new Program('collector/main.ts', {
    HOLDFAST_SERVER: `127.0.0.1:${await relay.listen()}`,
    HOLDFAST_COLLECTOR_ID: 'c1',
    HOLDFAST_QUEUE_PATH: join(directory, 'queue'),
    HOLDFAST_STATUS_PORT: '0',
    HOLDFAST_SAMPLE_INTERVAL_MS: '100',
    HOLDFAST_STOP_DEADLINE_MS: '1500',
  });
  await collector.logged('status_listening');
  await expect.poll(stored, PATIENCE).toBeGreaterThan(2);
});

afterEach(async () => {
  relay.cut();
  for (const { child } of programs) child.kill('SIGKILL');
  await Promise.all(programs.splice(0).map(({ exit }) => exit));
  await rm(directory, { recursive: true });
});

/** Rows that the server has. */
async function stored(): Promise<number> {
  const answer = await fetch(`${api}/api/v1/audit`);
  const { collectors } = (await answer.json()) as {
    collectors: { totals: { stored: number } }[];
  };
  return collectors[0]?.totals.stored ?? 0;
}

async function status(): Promise<{ queue: { frames: number }; counters: { accepted: number } }> {
  const { host, port } = await collector.logged('status_listening');
  return (await fetch(`http://${host}:${port}/status`)).json() as ReturnType<typeof status>;
}

/** Stops it and answers how many frames it says that it keeps; the queue must hold as many. */
async function stop(): Promise<number> {
  collector.child.kill('SIGTERM');
  expect(await collector.exit).toBe(0);
  const { frames } = await collector.logged('stopped');
  const reopened = new Producer({
    server: { host: '127.0.0.1', port: 1 },
    token: Buffer.from(TOKEN),
    queuePath: join(directory, 'queue'),
    collectorId: 'c1',
  });
  const { recovery } = await reopened.opened();
  expect(recovery).toMatchObject({ frames, damage: [], tornBytes: 0 });
  await reopened.close();
  return Number(frames);
}

test('Ready: what is on its way is waited for, and the server is told', async () => {
  relay.delayMs = 200;
  await expect.poll(async () => (await status()).queue.frames, PATIENCE).toBeGreaterThan(1);
  expect(await stop()).toBe(0);
  const closed = () =>
    programs[0]?.log.find(
      ({ event, reason }) => event === 'connection_closed' && reason === 'goodbye',
    );
  await expect.poll(closed, PATIENCE).toBeDefined();
});

test('cut: keeps the rest', async () => {
  relay.cut();
  await expect.poll(async () => (await status()).queue.frames, PATIENCE).toBeGreaterThan(2);
  const { accepted } = (await status()).counters;
  const before = await stored();
  expect(await stop()).toBeGreaterThanOrEqual(accepted - before);
});

test('half-open: waits no longer than its deadline, and keeps the rest', async () => {
  relay.swallows = true;
  await expect.poll(async () => (await status()).queue.frames, PATIENCE).toBeGreaterThan(2);
  expect(await stop()).toBeGreaterThan(2);
  expect(collector.log.find(({ event }) => event === 'stop_overdue')).toBeUndefined();
});
