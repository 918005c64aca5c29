/**
 * Run once while the image is built: has Node.js keep what it makes of the programs' sources where
 * NODE_COMPILE_CACHE says, so that a container starts in half the time, and none of its threads
 * loads what takes types out of TypeScript.
 *
 * What is kept is what ran, with the flags that it ran with. So both programs run as they do in a
 * container, by the server's flags on this command line: a server on a store that is thrown away,
 * and a collector that delivers to it. Exit codes: 0 both ran and ended in order, 1 not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const DEADLINE_MS = 60_000;
const INGEST_PORT = 9_000;
const API_PORT = 8_080;

const directory = mkdtempSync(join(tmpdir(), 'keep-compiled-'));
const deadline = setTimeout(() => {
  throw new Error(`the programs did not do their work within ${DEADLINE_MS} ms`);
}, DEADLINE_MS);
const server = start(['server/main.ts', 'run'], process.argv.slice(2), {
  HOLDFAST_STORE_PATH: join(directory, 'store'),
  HOLDFAST_INGEST_PORT: String(INGEST_PORT),
  HOLDFAST_API_PORT: String(API_PORT),
  HOLDFAST_LAB_TOXIPROXY: 'http://127.0.0.1:8474', // nobody answers there, which is fine
});
await said(server, 'started');
const collector = start(['collector/main.ts', 'run'], [], {
  HOLDFAST_SERVER: `127.0.0.1:${INGEST_PORT}`,
  HOLDFAST_QUEUE_PATH: join(directory, 'queue'),
});
await said(server, 'collector_connected');
// Of a function that was never called nothing is kept.
await ask(
  '',
  'api/v1/lab',
  'api/v1/collectors',
  'api/v1/audit',
  'api/v1/frames',
  'metrics',
  'healthz',
  'readyz',
);
for (const program of [collector, server]) await stop(program);
clearTimeout(deadline);
rmSync(directory, { recursive: true });

function start(
  program: readonly string[],
  flags: readonly string[],
  settings: Readonly<Record<string, string>>,
): ChildProcess {
  const environment = { ...process.env, HOLDFAST_TOKEN: 'only-while-the-image-is-built' };
  return spawn(process.execPath, [...flags, ...program], {
    env: { ...environment, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Waits for a line of the program's log, and shows all until then. */
async function said({ stdout }: ChildProcess, event: string): Promise<void> {
  if (stdout === null) throw new Error('the program has no output');
  for await (const line of createInterface({ input: stdout })) {
    console.log(line);
    if (line.includes(`"event":"${event}"`)) return;
  }
  throw new Error(`the program ended before it logged "${event}"`);
}

async function ask(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const { ok, status } = await fetch(`http://127.0.0.1:${API_PORT}/${path}`);
    if (!ok) throw new Error(`/${path} was answered with ${status}`);
  }
}

async function stop(program: ChildProcess): Promise<void> {
  const exited = once(program, 'exit');
  program.kill('SIGTERM');
  program.stdout?.resume();
  const [code] = await exited;
  if (code !== 0) throw new Error(`a program ended with exit code ${code}`);
}
