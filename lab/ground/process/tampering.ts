/**
 * What other programs do to one that runs: prlimit lowers the number of files that it may have
 * open, strace has its calls on one file fail or wait. Of this start of the program only. It is the
 * supervisor that does it, so that it can be undone whatever becomes of who asked for it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Order } from './control.ts';
import { fileLimitOf, groupOf, isTraced, threadsOf } from './proc.ts';
import { OrderError, type Program } from './program.ts';

const ATTACH_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 10;

/** strace, and the log that it writes. */
interface Trace {
  readonly strace: ChildProcess;
  readonly log: string;
}

type TraceOrder = Extract<Order, { order: 'trace' }>;

export class Tampering {
  readonly #program: Program;
  readonly #environment: Readonly<Record<string, string>>;
  /** Its processes and the limit that each had. */
  #limits = new Map<number, string>();
  #trace: Trace | null = null;

  constructor(program: Program, environment: Readonly<Record<string, string>>) {
    this.#program = program;
    this.#environment = environment;
  }

  get limited(): boolean {
    return this.#limits.size > 0;
  }

  get traced(): boolean {
    return this.#trace !== null;
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
    if (this.#trace !== null) throw new OrderError(`${this.#program.spec.name} is traced already`);
    const pid = this.#pid();
    const names = calls.join(',');
    const args = ['-f', '-e', 'signal=SIGSTOP', '-p', String(pid), '-o', log, '-P', path];
    const what = ['-e', `trace=${names}`, '-e', `inject=${names}:${injection}`];
    const strace = spawn('strace', [...args, ...what], {
      env: { ...this.#environment },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    this.#trace = { strace, log };
    let said = '';
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2_000);
    });
    const gone = new Promise<void>((resolve) => {
      const end = (): void => {
        if (this.#trace?.strace === strace) this.#trace = null;
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

  /**
   * It lets go of the program, which goes on. A call that was failing in that moment would be
   * answered ENOSYS, which no disk ever says: so all threads stand still first, outside of calls.
   */
  async untrace(): Promise<void> {
    if (this.#trace === null) return;
    const { strace, log } = this.#trace;
    const exit = once(strace, 'exit');
    const pid = this.#program.state().frozen ? null : this.#program.pid;
    try {
      if (pid !== null) await this.#standStill(pid, log);
      strace.kill('SIGTERM');
      await exit;
    } finally {
      if (pid !== null) sendSignal(pid, 'SIGCONT');
    }
  }

  /** strace tells of each thread that has come to its stop; one that ends has no need to. */
  async #standStill(pid: number, log: string): Promise<void> {
    const before = readFileSync(log).length;
    sendSignal(pid, 'SIGSTOP');
    const deadline = performance.now() + STOP_TIMEOUT_MS;
    const isStill = (): boolean => {
      const said = readFileSync(log).subarray(before).toString();
      const stopped = new Set([...said.matchAll(/^(\d+) +--- stopped by /gm)].map(([, id]) => id));
      return threadsOf(pid).every((thread) => stopped.has(thread));
    };
    while (this.traced && !isStill() && performance.now() < deadline) await delay(POLL_MS);
  }

  #pid(): number {
    const { pid, spec } = this.#program;
    if (pid === null) throw new OrderError(`${spec.name} does not run now`);
    return pid;
  }
}

/** One that has gone meanwhile needs none. */
function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
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
