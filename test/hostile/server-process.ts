/**
 * A real server in a process of its own, on loopback, and what can be seen of it from outside: its
 * log, its API, its memory and its handles.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';
import { TOKEN } from '../unit/server/wire-client.ts';
import { until } from './until.ts';

export const HOLDFAST = fileURLToPath(new URL('../../holdfast', import.meta.url));

export interface ClosedLine {
  readonly reason: string;
  readonly msg: string;
  readonly collector: string | undefined;
}

export interface AuditTotals {
  readonly stored: number;
  readonly declared: number;
  readonly rejected: number;
  readonly conflicts_refused: number;
  readonly duplicates_refused: number;
}

export interface ExportedFrame {
  readonly collector: string;
  readonly epoch: string;
  readonly seq: number;
  readonly captured_at: string;
  readonly crc32: string;
  readonly payload_base64: string;
  readonly crc_ok?: false;
}

export class ServerProcess {
  readonly directory: string;
  readonly process: ChildProcess;
  /** Connections to it that a case has opened. */
  readonly peers = new Set<{ destroy(): void }>();
  /** Raw lines of the log, except those of connections that ended. */
  readonly lines: string[] = [];
  readonly #closed = new Map<string, ClosedLine>();
  port = 0;
  api = '';
  #stderr = '';

  private constructor(settings: Readonly<Record<string, string>>) {
    this.directory = mkdtempSync(join(tmpdir(), 'holdfast-hostile-'));
    this.process = spawn(HOLDFAST, ['server', 'run'], {
      env: {
        ...BARE_ENVIRONMENT,
        HOLDFAST_STORE_PATH: join(this.directory, 'store'),
        HOLDFAST_TOKEN: TOKEN.toString(),
        HOLDFAST_INGEST_PORT: '0',
        HOLDFAST_API_PORT: '0',
        HOLDFAST_LOG_LEVEL: 'debug',
        ...settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = this.process;
    if (stdout) createInterface(stdout).on('line', (line) => this.#onLine(line));
    stderr?.on('data', (text) => {
      this.#stderr += text;
    });
  }

  /** Resolves once it serves. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    const server = new ServerProcess(settings);
    await until('the server starts', () => server.api !== '' || !server.isRunning);
    if (server.api === '') throw new Error(server.#stderr);
    return server;
  }

  async stop(): Promise<void> {
    if (this.isRunning) {
      this.process.kill('SIGKILL');
      await once(this.process, 'close');
    }
    rmSync(this.directory, { recursive: true });
  }

  /** Ends what cases have opened. */
  dropPeers(): void {
    for (const peer of this.peers) peer.destroy();
    this.peers.clear();
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Resident memory. */
  get rssBytes(): number {
    const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024;
  }

  /** Open file handles: sockets, files, and its own. */
  get handles(): number {
    return readdirSync(`/proc/${this.process.pid}/fd`).length;
  }

  /** Whether the log has the end of the connection from that address. */
  hasClosed(address: string): boolean {
    return this.#closed.has(address);
  }

  /** How the connection from that address ended, once the log has it. */
  async closing(address: string): Promise<ClosedLine> {
    await until(`the log tells of ${address}`, () => this.#closed.has(address));
    const line = this.#closed.get(address);
    if (line === undefined) throw new Error(`the log has nothing of ${address}`);
    return line;
  }

  async audit(collector: string): Promise<AuditTotals | undefined> {
    const answer = await fetch(`${this.api}/api/v1/audit?collector=${collector}`);
    expect(answer.status).toBe(200);
    const { collectors } = (await answer.json()) as { collectors: { totals: AuditTotals }[] };
    return collectors[0]?.totals;
  }

  async exported(collector?: string): Promise<ExportedFrame[]> {
    const query = collector === undefined ? '' : `?collector=${collector}`;
    const answer = await fetch(`${this.api}/api/v1/export${query}`);
    expect(answer.status).toBe(200);
    const lines = (await answer.text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as ExportedFrame);
  }

  #onLine(line: string): void {
    const logged = JSON.parse(line) as Record<string, unknown>;
    if (logged.event === 'connection_closed' || logged.event === 'attempt_failed') {
      this.#closed.set(String(logged.address), logged as unknown as ClosedLine);
      return;
    }
    this.lines.push(line);
    if (logged.event === 'started') {
      this.port = Number(String(logged.ingest).split(':').at(-1));
      this.api = String(logged.api);
    }
  }
}
