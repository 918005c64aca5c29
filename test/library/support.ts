/** What the tests of the library share: a server process, programs of a user's, both ended after. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';
import { Program } from '#test/unit/server/program.ts';

export const ROOT = resolve(import.meta.dirname, '../..');
export const TOKEN = 'the token of the library tests';

/** The oldest Node.js that the package supports, as `./holdfast test-library` fetched it. */
export function oldestNode(): string {
  const path = process.env.HOLDFAST_OLDEST_NODE;
  if (path === undefined)
    throw new Error('run this by ./holdfast test-library: it fetches Node.js');
  return path;
}

const undo: (() => Promise<void> | void)[] = [];

/** For `afterEach` or `afterAll`. */
export async function endAll(): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-library-'));
  undo.push(() => rmSync(path, { recursive: true }));
  return path;
}

export interface Server {
  /** `host:port` for collectors. */
  readonly address: string;
  /** The API's URL. */
  readonly api: string;
}

export async function startServer(): Promise<Server> {
  const program = new Program({
    HOLDFAST_STORE_PATH: join(directory(), 'store'),
    HOLDFAST_TOKEN: TOKEN,
    HOLDFAST_INGEST_PORT: '0',
    HOLDFAST_API_PORT: '0',
  });
  undo.push(async () => {
    program.process.kill('SIGKILL');
    await program.exited();
  });
  const { port, api } = await program.started();
  return { address: `127.0.0.1:${port}`, api };
}

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. The test's own deadline ends what hangs. */
export async function run(
  file: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Ended> {
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...BARE_ENVIRONMENT, HOME: process.env.HOME, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  undo.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  await ended;
  return { exitCode: child.exitCode, stdout, stderr };
}
