/** The collector as people start it: `node collector/main.ts`, with the real signals and exits. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Producer } from '#collector/producer/producer.ts';
import type { Metric } from '#collector/sampler/sample.ts';
import type { StatusDocument } from '#collector/status/document.ts';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';

const MAIN = fileURLToPath(new URL('../../../collector/main.ts', import.meta.url));
/** Port 1 on loopback: nothing listens there. */
const NOBODY = '127.0.0.1:1';
const TOKEN = '0123456789abcdef';
const PATIENCE = { timeout: 15_000, interval: 50 };

interface LogLine {
  readonly event: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

class Program {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], environment: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, [MAIN, ...args], {
      env: { ...BARE_ENVIRONMENT, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (bytes) => {
      this.stdout += bytes;
    });
    this.child.stderr?.on('data', (bytes) => {
      this.stderr += bytes;
    });
    this.exit = once(this.child, 'close').then(([code]) => code);
  }

  get log(): LogLine[] {
    const whole = this.stdout.slice(0, this.stdout.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  async url(): Promise<string> {
    const listening = () => this.log.find(({ event }) => event === 'status_listening');
    await expect.poll(listening, PATIENCE).toBeDefined();
    return `http://127.0.0.1:${listening()?.port}`;
  }
}

let directory: string;
const programs: Program[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-boot-'));
});

afterEach(async () => {
  for (const { child } of programs) child.kill('SIGKILL');
  await Promise.all(programs.splice(0).map(({ exit }) => exit));
  await rm(directory, { recursive: true });
});

function start(changes: Readonly<Record<string, string>> = {}, args = ['run']): Program {
  const program = new Program(args, {
    HOLDFAST_SERVER: NOBODY,
    HOLDFAST_TOKEN: TOKEN,
    HOLDFAST_QUEUE_PATH: join(directory, 'queue'),
    HOLDFAST_STATUS_PORT: '0',
    HOLDFAST_SAMPLE_INTERVAL_MS: '100',
    ...changes,
  });
  programs.push(program);
  return program;
}

async function status(url: string): Promise<StatusDocument> {
  const response = await fetch(`${url}/status`);
  return (await response.json()) as StatusDocument;
}

describe('the collector without a server', () => {
  test('collects, says so, and keeps what it captured when it is stopped', async () => {
    const program = start();
    const url = await program.url();
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status, PATIENCE).toBe(200);
    await expect.poll(async () => (await status(url)).queue.frames, PATIENCE).toBeGreaterThan(3);
    const document = await status(url);
    expect(['Backoff', 'Recovering']).toContain(document.state);
    expect(document.last_error).toMatchObject({ code: 'refused', retry: 'transient' });
    expect(document.counters).toMatchObject({ acked: 0, declared: 0, connections: 0 });
    program.child.kill('SIGTERM');
    expect(await program.exit).toBe(0);
    const stopped = program.log.find(({ event }) => event === 'stopped');
    const frames = stopped?.frames;
    expect(frames).toBeGreaterThanOrEqual(document.queue.frames);
    expect(program.stderr).toBe('');

    const again = start();
    const opened = () => again.log.find(({ event }) => event === 'queue_opened');
    await expect.poll(opened, PATIENCE).toMatchObject({ frames, torn_bytes: 0 });
  });

  test('each sample tells how many frames wait before it, and that the link is down', async () => {
    const program = start();
    const url = await program.url();
    await expect.poll(async () => (await status(url)).queue.frames, PATIENCE).toBeGreaterThan(3);
    program.child.kill('SIGTERM');
    expect(await program.exit).toBe(0);
    const reading = start({}, ['queue', 'export', '--path', join(directory, 'queue')]);
    expect(await reading.exit).toBe(0);
    const rows = reading.stdout.trimEnd().split('\n');
    const samples = rows.map((row) => JSON.parse(row).payload.metrics as Metric[]);
    const waiting = samples.map(
      (metrics) => metrics.find(({ name }) => name === 'holdfast.queue.frames')?.value ?? -1,
    );
    // A sample is taken while the one before may still be on its way to the disk.
    expect(waiting[0]).toBe(0);
    expect(waiting.at(-1)).toBeGreaterThan(1);
    expect(waiting).toEqual(waiting.toSorted((a, b) => a - b));
    for (const metrics of samples) {
      const state = (name: string) =>
        metrics.find(({ attributes }) => attributes?.state === name)?.value;
      expect([state('Ready'), (state('Backoff') ?? 0) + (state('Recovering') ?? 0)]).toEqual([
        0,
        expect.toSatisfy((met: number) => met >= 1),
      ]);
    }
  });

  test('what the log said before a SIGKILL is there, and so is what was accepted', async () => {
    const program = start();
    const url = await program.url();
    await expect
      .poll(async () => (await status(url)).counters.accepted, PATIENCE)
      .toBeGreaterThan(2);
    const { accepted } = (await status(url)).counters;
    program.child.kill('SIGKILL');
    await program.exit;
    expect(program.log.map(({ event }) => event)).toContain('sampling');

    const again = start();
    const opened = () => again.log.find(({ event }) => event === 'queue_opened');
    await expect.poll(opened, PATIENCE).toBeDefined();
    expect(opened()?.frames).toBeGreaterThanOrEqual(accepted);
  });
});

describe('the collector that can not start', () => {
  test('names every bad setting, without the secret, and exits with 2', async () => {
    const program = start({
      HOLDFAST_TOKEN: 'too short',
      HOLDFAST_SERVER: 'nowhere',
      HOLDFAST_SAMPLE_INTERVAL_MS: '1',
    });
    expect(await program.exit).toBe(2);
    for (const name of ['HOLDFAST_TOKEN', 'HOLDFAST_SERVER', 'HOLDFAST_SAMPLE_INTERVAL_MS']) {
      expect(program.stderr).toContain(name);
    }
    expect(program.stderr).not.toContain('too short');
    expect(program.stderr).not.toMatch(/^ +at /m);
  });

  test('says who moves a port that is taken, and exits with 2', async () => {
    const first = start();
    const { port } = new URL(await first.url());
    const second = start({
      HOLDFAST_STATUS_PORT: port,
      HOLDFAST_QUEUE_PATH: join(directory, 'another'),
    });
    expect(await second.exit).toBe(2);
    expect(second.stdout).toContain('HOLDFAST_STATUS_PORT');
  });

  test('says that the queue is open elsewhere, without a stack, and exits with 2', async () => {
    const queuePath = join(directory, 'queue');
    const holder = new Producer({
      server: { host: '127.0.0.1', port: 1 },
      token: Buffer.from(TOKEN),
      queuePath,
    });
    await holder.opened();
    const program = start();
    expect(await program.exit).toBe(2);
    await holder.close();
    expect(program.log.at(-1)).toMatchObject({ event: 'start_failed', code: 'queue_in_use' });
    expect(program.stdout).not.toContain('stack');
  });

  test('says that a queue can not be where a file is, without a stack, and exits with 2', async () => {
    const program = start({ HOLDFAST_QUEUE_PATH: MAIN });
    expect(await program.exit).toBe(2);
    expect(program.log.at(-1)).toMatchObject({ event: 'start_failed', code: 'queue_open_failed' });
    expect(program.stdout).not.toContain('stack');
  });

  test('a mistyped command exits with 2', async () => {
    expect(await start({}, ['walk']).exit).toBe(2);
  });
});

test('--print-config shows what is in force, secrets masked, and starts nothing', async () => {
  const program = start({}, ['run', '--print-config']);
  expect(await program.exit).toBe(0);
  expect(program.stdout).toMatch(/HOLDFAST_SERVER +127\.0\.0\.1:1 +environment/);
  expect(program.stdout).toMatch(/HOLDFAST_STOP_DEADLINE_MS +3000 +default/);
  expect(program.stdout).not.toContain(TOKEN);
});
