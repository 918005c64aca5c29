/** The server program as a process of a test. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';
import { DEADLINE } from './serving.ts';

const MAIN = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));

export class Program {
  readonly process: ChildProcess;
  out = '';
  err = '';

  constructor(environment: Record<string, string>, ...args: string[]) {
    this.process = spawn(process.execPath, [MAIN, ...args], {
      env: { ...BARE_ENVIRONMENT, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stdout?.on('data', (text) => {
      this.out += text;
    });
    this.process.stderr?.on('data', (text) => {
      this.err += text;
    });
  }

  get logged(): Record<string, unknown>[] {
    const lines = this.out.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Where it serves, once it does. */
  async started(): Promise<{ port: number; api: string }> {
    const started = () => expect(this.out + this.err).toContain('"event":"started"');
    await vi.waitFor(started, DEADLINE);
    const { ingest, api } = this.logged.find(({ event }) => event === 'started') ?? {};
    return { port: Number(String(ingest).split(':').at(-1)), api: String(api) };
  }

  async exited(): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      await once(this.process, 'close');
    }
    return this.process.exitCode;
  }
}
