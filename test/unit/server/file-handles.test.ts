/** The listener where file handles are few: a real process under a low limit. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectionsWithin } from '#server/ingest/file-handles.ts';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';
import { DEADLINE, stopServing, TestCollector } from './serving.ts';
import { EPOCH_A, epochOf, framesOf } from './store-contract.ts';
import { TOKEN } from './wire-client.ts';

const MAIN = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));
/** A whole process has to start, beside others. */
const START = { timeout: 30_000, interval: 20 };

let directory = '';
let server: ChildProcess | undefined;
let output = '';
const sockets: Socket[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-handles-'));
  output = '';
});

afterEach(async () => {
  await stopServing();
  for (const socket of sockets.splice(0)) socket.destroy();
  if (server?.exitCode === null && server.signalCode === null) {
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  }
  rmSync(directory, { recursive: true });
});

/** Starts the server with so many files at most. */
function startWithin(files: number): ChildProcess {
  // `ulimit -n` sets both limits: Node can't raise it again.
  const command = `ulimit -n ${files} && exec "$0" "$1"`;
  server = spawn('/bin/sh', ['-c', command, process.execPath, MAIN], {
    env: {
      ...BARE_ENVIRONMENT,
      HOLDFAST_STORE_PATH: join(directory, 'store'),
      HOLDFAST_TOKEN: TOKEN.toString(),
      HOLDFAST_INGEST_PORT: '0',
      HOLDFAST_API_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [server.stdout, server.stderr]) {
    stream?.on('data', (text) => {
      output += text;
    });
  }
  return server;
}

async function logged(event: string): Promise<Record<string, unknown>> {
  await expect.poll(() => output, START).toContain(`"event":"${event}"`);
  const line = output.split('\n').find((one) => one.includes(`"event":"${event}"`)) ?? '';
  return JSON.parse(line) as Record<string, unknown>;
}

async function ports(): Promise<{ ingest: number; api: number }> {
  const { ingest, api } = await logged('started');
  return {
    ingest: Number(String(ingest).split(':').at(-1)),
    api: Number(new URL(String(api)).port),
  };
}

function open(port: number, count: number): void {
  for (let i = 0; i < count; i += 1) {
    sockets.push(
      connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume(),
    );
  }
}

function handles(): number {
  return readdirSync(`/proc/${server?.pid}/fd`).length;
}

/** Sets the limit of open files of the server that runs, as soft:hard. */
function limit(files: string): void {
  execFileSync('/usr/bin/prlimit', [`--pid=${server?.pid}`, `--nofile=${files}`]);
}

async function storesOne(collector: TestCollector, seq: number): Promise<void> {
  collector.send({ kind: 'frames', epochIndex: 0, frames: framesOf(EPOCH_A, seq, seq) });
  await expect.poll(() => collector.acked, START).toBe(seq);
}

test('connections are fitted to the limit, with what is reserved and what comes and goes left free', () => {
  expect(connectionsWithin(undefined, 192, 2_000)).toBe(2_000);
  expect(connectionsWithin(20_000, 192, 2_000)).toBe(2_000);
  expect(connectionsWithin(1_024, 192, 2_000)).toBe(1_024 - 192 - 64 - 48);
  expect(connectionsWithin(256, 192, 2_000)).toBeLessThan(1);
});

test.runIf(process.platform === 'linux')(
  'under a low limit connections are fewer, the handles in reserve stay free, and collectors get in',
  { timeout: 120_000 },
  async () => {
    startWithin(400);
    const { ingest, api } = await ports();
    expect(await logged('connections_limited')).toMatchObject({ files: 400, connections: 135 });
    const good = new TestCollector(ingest);
    await good.join([epochOf(EPOCH_A, 1, 20)]);
    for (let round = 1; round <= 5; round += 1) {
      open(ingest, 300);
      open(api, 100);
      await storesOne(good, round);
      await new TestCollector(ingest).join([], { collector: `late-${round}` });
      // What the store may need on top of what it has.
      expect(handles()).toBeLessThan(400 - 20);
    }
    expect(output).not.toContain('accept_failed');
  },
);

test.runIf(existsSync('/usr/bin/prlimit'))(
  'where no handle is left at all the listener lives on, commits go on, and it takes collectors again',
  { timeout: 120_000 },
  async () => {
    startWithin(400);
    const { ingest } = await ports();
    const good = new TestCollector(ingest);
    await good.join([epochOf(EPOCH_A, 1, 20)]);
    limit(`${handles()}:400`);
    open(ingest, 100);
    await storesOne(good, 1);
    const turnedAway = () => sockets.filter(({ closed }) => closed).length;
    await expect.poll(turnedAway, DEADLINE).toBeGreaterThan(90);
    await storesOne(good, 2);
    limit('400:400');
    await new TestCollector(ingest).join([], { collector: 'later' });
    await storesOne(good, 3);
  },
);

test.runIf(process.platform === 'linux')(
  'with no room for a single collector it says so and does not start',
  { timeout: 60_000 },
  async () => {
    const ended = once(startWithin(200), 'exit');
    expect(await ended).toEqual([2, null]);
    expect(output).toContain('HOLDFAST_FILES_RESERVED');
    expect(output).toContain('ulimit -n');
    expect(output).not.toContain('    at ');
  },
);
