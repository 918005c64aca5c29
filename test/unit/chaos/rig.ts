/**
 * A load source and a server as processes on loopback, each on a free port, and the way from what
 * they leave behind to the judge. `afterEach(stopAll)` ends and removes all of it.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '#chaos/observe/wait.ts';
import type { EvidenceFiles } from '#chaos/oracle/evidence.ts';
import type { StatusDocument } from '#collector/status/document.ts';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TOKEN = '0123456789abcdef';

const programs: Program[] = [];
const directories: string[] = [];

export async function stopAll(): Promise<void> {
  for (const { child } of programs) child.kill('SIGKILL');
  await Promise.all(programs.splice(0).map(({ exit }) => exit));
  await Promise.all(directories.splice(0).map((path) => rm(path, { recursive: true })));
}

export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-judged-'));
  directories.push(directory);
  return directory;
}

export class Program {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  stdout = '';
  stderr = '';

  constructor(main: string, environment: Readonly<Record<string, string>>, args: string[] = []) {
    this.child = spawn(process.execPath, [join(ROOT, main), ...args], {
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
    programs.push(this);
  }

  /** A line of the log, once it is there. */
  async logged(event: string): Promise<Readonly<Record<string, unknown>>> {
    const find = () => this.stdout.split('\n').find((line) => line.includes(`"event":"${event}"`));
    const describe = () => this.stdout + this.stderr;
    await waitUntil(`"${event}" is logged`, () => find() !== undefined, { describe });
    return JSON.parse(find() ?? '');
  }

  async kill(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    return this.exit;
  }
}

export interface RunningServer {
  readonly program: Program;
  readonly port: string;
  readonly api: string;
}

/** `port` 0 takes a free one. */
export async function startServer(storePath: string, port = '0'): Promise<RunningServer> {
  const program = new Program('server/main.ts', {
    HOLDFAST_TOKEN: TOKEN,
    HOLDFAST_STORE_PATH: storePath,
    HOLDFAST_INGEST_PORT: port,
    HOLDFAST_API_PORT: '0',
  });
  const { ingest, api } = await program.logged('started');
  return { program, port: String(ingest).split(':').at(-1) ?? '', api: String(api) };
}

export interface RunningSource {
  readonly program: Program;
  status(): Promise<StatusDocument>;
}

/** Queue and ledger lie in the directory; `more` are further variables. */
export async function startSource(
  directory: string,
  serverPort: string,
  more: Readonly<Record<string, string>>,
): Promise<RunningSource> {
  const program = new Program('chaos/source/main.ts', {
    HOLDFAST_TOKEN: TOKEN,
    HOLDFAST_SERVER: `127.0.0.1:${serverPort}`,
    HOLDFAST_COLLECTOR_ID: 'load-1',
    HOLDFAST_QUEUE_PATH: join(directory, 'queue'),
    HOLDFAST_LEDGER_PATH: join(directory, 'ledger.jsonl'),
    HOLDFAST_STATUS_PORT: '0',
    ...more,
  });
  const { port } = await program.logged('status_listening');
  await program.logged('load_started');
  return {
    program,
    status: async () => {
      const response = await fetch(`http://127.0.0.1:${port}/status`);
      return (await response.json()) as StatusDocument;
    },
  };
}

/** Waits until the load has made so many attempts and nothing waits in the queue. */
export async function drained(source: RunningSource, attempts: number): Promise<void> {
  await waitUntil(
    `${attempts} attempts are made and nothing waits`,
    async () => {
      const { counters, queue } = await source.status();
      return counters.captured === attempts && queue.frames === 0;
    },
    { describe: () => source.status() },
  );
}

/** Waits until a counter of the source is past a number. */
export async function past(
  source: RunningSource,
  counter: 'captured' | 'accepted' | 'acked',
  number: number,
): Promise<void> {
  await waitUntil(
    `${counter} is past ${number}`,
    async () => (await source.status()).counters[counter] > number,
    { describe: () => source.status() },
  );
}

/** Takes audit and export, and names the files of all evidence. */
export async function collect(directory: string, api: string): Promise<EvidenceFiles> {
  const files = {
    ledgers: [join(directory, 'ledger.jsonl')],
    audit: join(directory, 'audit.json'),
    export: join(directory, 'export.ndjson'),
  };
  await writeFile(files.audit, await (await fetch(`${api}/api/v1/audit`)).text());
  const response = await fetch(`${api}/api/v1/export`);
  if (response.body === null) throw new Error('the export has no body');
  await pipeline(Readable.fromWeb(response.body), createWriteStream(files.export));
  return files;
}
