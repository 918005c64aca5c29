/**
 * What other programs do to one that runs: prlimit lowers the number of files that it may have
 * open, strace has its calls on one file fail or wait. Of this start of the program only. It is the
 * supervisor that does it, so that it can be undone whatever becomes of who asked for it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Order } from './control.ts';
import { fileLimitOf, groupOf, isTraced } from './proc.ts';
import { OrderError, type Program } from './program.ts';

const ATTACH_TIMEOUT_MS = 10_000;
const POLL_MS = 10;

type TraceOrder = Extract<Order, { order: 'trace' }>;

export class Tampering {
  readonly #program: Program;
  readonly #environment: Readonly<Record<string, string>>;
  /** Its processes and the limit that each had. */
  #limits = new Map<number, string>();
  #strace: ChildProcess | null = null;

  constructor(program: Program, environment: Readonly<Record<string, string>>) {
    this.#program = program;
    this.#environment = environment;
  }

  get limited(): boolean {
    return this.#limits.size > 0;
  }

  get traced(): boolean {
    return this.#strace !== null;
  }

  /** What was done is gone with the process that it was done to. */
  forget(): void {
    this.#limits.clear();
  }

  /** The soft limit alone, which may be raised again by anyone. */
  async limitFiles(limit: number): Promise<void> {
    for (const { pid } of groupOf(this.#pid())) {
      const before = fileLimitOf(pid);
      if (before === null) continue;
      await setLimit(pid, String(limit));
      if (!this.#limits.has(pid)) this.#limits.set(pid, before);
    }
  }

  async unlimitFiles(): Promise<void> {
    const limits = this.#limits;
    this.#limits = new Map();
    for (const [pid, before] of limits) if (fileLimitOf(pid) !== null) await setLimit(pid, before);
  }

  /** Resolves when strace holds every thread. */
  async trace({ path, calls, injection }: TraceOrder, log: string): Promise<void> {
    if (this.#strace !== null) throw new OrderError(`${this.#program.spec.name} is traced already`);
    const pid = this.#pid();
    const names = calls.join(',');
    const args = ['-f', '-p', String(pid), '-o', log, '-P', path];
    const what = ['-e', `trace=${names}`, '-e', `inject=${names}:${injection}`];
    const strace = spawn('strace', [...args, ...what], {
      env: { ...this.#environment },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    this.#strace = strace;
    let said = '';
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2_000);
    });
    const gone = new Promise<void>((resolve) => {
      const end = (): void => {
        if (this.#strace === strace) this.#strace = null;
        resolve();
      };
      strace.once('exit', end).once('error', end);
    });
    const deadline = performance.now() + ATTACH_TIMEOUT_MS;
    while (!isTraced(pid)) {
      const ended = await Promise.race([gone.then(() => true), delay(POLL_MS, false)]);
      if (!ended && performance.now() < deadline) continue;
      if (!ended) await this.untrace();
      throw new OrderError(
        `strace could not take hold of process ${pid}: ${said.trim() || 'why, it did not say'}`,
      );
    }
  }

  async untrace(): Promise<void> {
    const strace = this.#strace;
    if (strace === null) return;
    const exit = once(strace, 'exit');
    strace.kill('SIGTERM'); // it lets go of the program, which goes on
    await exit;
  }

  #pid(): number {
    const { pid, spec } = this.#program;
    if (pid === null) throw new OrderError(`${spec.name} does not run now`);
    return pid;
  }
}

async function setLimit(pid: number, soft: string): Promise<void> {
  try {
    await promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${soft}:`]);
  } catch (error) {
    throw new OrderError(
      `prlimit could not set the limit of process ${pid}: ${(error as Error).message}`,
    );
  }
}
