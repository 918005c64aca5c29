/**
 * One program under the supervisor: started in a process group of its own, its output in its log,
 * brought back when it ends, and whatever can be done to it from outside.
 *
 * The restart policy is Docker's `unless-stopped`: back after 100 ms, twice as long after each end
 * that follows within ten seconds of its start, at most five seconds (Docker's: a minute; runs here
 * are short); not after `stop`. A start by hand begins anew.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ended, ProgramSpec, ProgramState } from './control.ts';
import type { LogFile } from './log-file.ts';
import { groupOf, isStopped, standsStill } from './proc.ts';

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 5_000;
const STEADY_MS = 10_000;
/** A program's own deadlines for its end come first. */
const ORDER_TIMEOUT_MS = 30_000;
const POLL_MS = 5;

/** An order that could not be carried out, in words for a person. */
export class OrderError extends Error {
  override readonly name = 'OrderError';
}

interface Running {
  readonly child: ChildProcess;
  /** The process id, and that of its group. */
  readonly pid: number;
  readonly ended: Promise<void>;
  readonly startedMs: number;
}

export interface ProgramOptions {
  readonly spec: ProgramSpec;
  /** Everything that it is started with. */
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly log: LogFile;
  readonly onEnded: (ended: Ended) => void;
}

export class Program {
  readonly spec: ProgramSpec;
  readonly #options: ProgramOptions;
  #running: Running | null = null;
  #wanted = true;
  #frozen = false;
  #starts = 0;
  #startedAt: Date | null = null;
  #quickEnds = 0;
  #restart: NodeJS.Timeout | undefined;
  /** What will have caused the next end: something that was done to it here. */
  #injected = false;
  readonly #sent = new Set<string>();

  constructor(options: ProgramOptions) {
    this.spec = options.spec;
    this.#options = options;
  }

  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  state(): Omit<ProgramState, 'limited' | 'traced'> {
    return {
      spec: this.spec,
      pid: this.pid,
      // Somebody else may have stopped it, or let it go on.
      frozen: this.pid !== null && this.#standsStill(this.pid),
      wanted: this.#wanted,
      generation: `${process.pid}.${this.#starts}`,
      started_at: this.#startedAt?.toISOString() ?? null,
      restarts: Math.max(0, this.#starts - 1),
    };
  }

  /** @throws OrderError when there is no such program to start. */
  async start(): Promise<void> {
    clearTimeout(this.#restart);
    this.#wanted = true;
    this.#quickEnds = 0;
    if (this.#running === null) await this.#spawn();
  }

  /** SIGTERM, then SIGKILL; it stays down. */
  async stop(): Promise<void> {
    clearTimeout(this.#restart);
    this.#wanted = false;
    const running = this.#running;
    if (running === null) return;
    this.#injected = true;
    send(running, 'SIGTERM');
    send(running, 'SIGCONT'); // one that is frozen would not hear of it
    const grace = new AbortController();
    const overdue = delay(this.spec.graceMs, 'overdue', { signal: grace.signal });
    const first = await Promise.race([running.ended, overdue]);
    grace.abort();
    overdue.catch(() => undefined);
    if (first === 'overdue') send(running, 'SIGKILL');
    await running.ended;
  }

  async kill(): Promise<void> {
    const running = this.#known();
    this.#injected = true;
    send(running, 'SIGKILL');
    await running.ended;
  }

  /** SIGTERM has taken effect when it has ended; what the others do is the program's. */
  async signal(name: 'TERM' | 'HUP' | 'USR2'): Promise<void> {
    const running = this.#known();
    this.#sent.add(`SIG${name}`);
    if (name !== 'TERM') return send(running, `SIG${name}`);
    this.#injected = true;
    send(running, 'SIGTERM');
    if (!this.#frozen) await inTime('end after SIGTERM', running, () => this.#running !== running);
  }

  async freeze(): Promise<void> {
    const running = this.#known();
    send(running, 'SIGSTOP');
    await inTime('stand still', running, () => standsStill(running.pid));
    this.#frozen = true;
  }

  async thaw(): Promise<void> {
    const running = this.#known();
    send(running, 'SIGCONT');
    const moves = () => groupOf(running.pid).every(({ state }) => state !== 'T');
    await inTime('go on', running, moves);
    this.#frozen = false;
  }

  /** What is traced stands still in another state, which it also has for moments while it goes on. */
  #standsStill(pid: number): boolean {
    return isStopped(pid) || (this.#frozen && standsStill(pid));
  }

  #known(): Running {
    if (this.#running !== null) return this.#running;
    throw new OrderError(`${this.spec.name} does not run now`);
  }

  async #spawn(): Promise<void> {
    const { spec, environment, folder, log } = this.#options;
    const [file = '', ...args] = spec.command;
    if (spec.data !== null) mkdirSync(spec.data, { recursive: true, mode: 0o700 });
    const child = spawn(file, args, {
      cwd: folder,
      env: { ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own, which is what is signalled
    });
    this.#starts += 1;
    this.#startedAt = new Date();
    this.#injected = false;
    this.#frozen = false;
    this.#sent.clear();
    log.take(child.stdout);
    log.take(child.stderr);
    await new Promise<void>((resolve, reject) => {
      child.once('error', (error) => {
        if (child.pid !== undefined) return;
        log.write(`could not be started: ${error.message}`);
        this.#comeBack(performance.now());
        reject(new OrderError(`${spec.name} could not be started: ${error.message}`));
      });
      child.once('spawn', resolve);
      this.#watch(child);
    });
  }

  #watch(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return; // told by its `error`
    const ended = new Promise<void>((resolve) => {
      child.once('exit', (code, signal) => {
        void this.#onExit(code, signal, moment()).then(resolve);
      });
    });
    this.#running = { child, pid, ended, startedMs: performance.now() };
  }

  async #onExit(
    code: number | null,
    signal: NodeJS.Signals | null,
    at: Pick<Ended, 'wall_us' | 'machine_ms'>,
  ): Promise<void> {
    const running = this.#known();
    // Its group has no business without it, and has to be gone before it comes back.
    while (groupOf(running.pid).length > 0) {
      send(running, 'SIGKILL');
      await delay(POLL_MS);
    }
    this.#running = null;
    this.#frozen = false;
    const injected = this.#injected || (signal !== null && this.#sent.has(signal));
    const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
    this.#options.log.write(`ended ${how}${injected ? ', as ordered' : ''}`);
    this.#comeBack(running.startedMs);
    this.#options.onEnded({ ...at, process: this.spec.name, code, signal, injected });
  }

  #comeBack(startedMs: number): void {
    if (!this.#wanted || !this.spec.restarts) return;
    if (performance.now() - startedMs >= STEADY_MS) this.#quickEnds = 0;
    const waitMs = backoffMs(this.#quickEnds);
    this.#quickEnds += 1;
    this.#restart = setTimeout(() => {
      // Why it can't be is in its log, and it is tried again.
      this.#spawn().catch(() => undefined);
    }, waitMs);
  }
}

function moment(): Pick<Ended, 'wall_us' | 'machine_ms'> {
  return {
    wall_us: Number(Temporal.Now.instant().epochNanoseconds / 1_000n),
    machine_ms: Number(process.hrtime.bigint()) / 1e6,
  };
}

/** How long it stays away after an end that followed so many quick ones. */
export function backoffMs(quickEnds: number): number {
  return Math.min(BACKOFF_MS_MIN * 2 ** quickEnds, BACKOFF_MS_MAX);
}

/** To all processes of its group; one that has gone meanwhile needs none. */
function send({ pid }: Running, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function inTime(what: string, { pid }: Running, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + ORDER_TIMEOUT_MS;
  while (!condition()) {
    if (performance.now() > deadline) {
      throw new OrderError(`process ${pid} did not ${what} within ${ORDER_TIMEOUT_MS / 1000} s`);
    }
    await delay(POLL_MS);
  }
}
