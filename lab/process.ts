/**
 * Running other programs: the one owner of child_process in the lab. Every child is bounded in time
 * and in kept output, and dies with the command that started it when that is interrupted.
 * What the programs are and what their failures mean is decided by the callers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { interrupted, LabError, type LabErrorCode } from '#lab/errors.ts';

/** Output kept of one child and stream; the rest is counted off from the front. */
const OUTPUT_CHARS_MAX = 4 * 1024 * 1024;
/** How long an interrupted child may take to end before it is killed. */
const TERMINATION_MS = 5_000;

export interface RunOptions {
  cwd?: string;
  /** Added to the environment of the lab. */
  env?: Readonly<Record<string, string>>;
  timeoutMs: number;
  /** Called with each line of both streams as it comes. */
  onLine?: (line: string) => void;
  /** Ends the child early, as `timeoutMs` does, when it returns true; asked four times a second. */
  giveUp?: () => boolean;
  /** True for programs that an interruption would leave half-done (dpkg): they run to their end. */
  uninterruptible?: boolean;
}

export interface RunResult {
  /** The exit code; 128 + signal when one ended it; 127 when there is no such program. */
  exitCode: number;
  stdout: string;
  stderr: string;
  /** The last lines of both streams, in the order in which they came. */
  lastLines: string[];
  /** True when `timeoutMs` or `giveUp` ended it. */
  gaveUp: boolean;
}

const LAST_LINES = 15;

/** A program whose lines are handed on for as long as it runs. */
export interface Followed {
  /** Its exit code, as in RunResult, once it has ended and all its lines are handed on. */
  readonly ended: Promise<number>;
  /** SIGTERM, then SIGKILL; resolves when it has ended. */
  end(): Promise<void>;
}

/** Runs programs for one command of the lab, all ended by its `signal`. */
export class Programs {
  readonly #signal: AbortSignal;
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * Runs a program to its end and returns what came of it, whatever its exit code.
   * @throws LabError `interrupted` when the command was interrupted meanwhile.
   */
  async run(file: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
    if (this.#signal.aborted) throw interrupted();
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own process group: a Ctrl-C reaches it only through us, and with all its children.
      detached: true,
    });
    const result = await collect(child, options, this.#signal);
    if (this.#signal.aborted) throw interrupted();
    return result;
  }

  /**
   * Starts a program whose lines, of both streams, are wanted as they come; it has no time limit.
   * It ends with the command, as those of `run` do.
   * @throws LabError `interrupted` when the command was interrupted before.
   */
  follow(file: string, args: readonly string[], onLine: (line: string) => void): Followed {
    if (this.#signal.aborted) throw interrupted();
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', onLine);
    const end = () => endGroup(child);
    this.#signal.addEventListener('abort', end, { once: true });
    const ended = exitCodeOf(child).finally(() => this.#signal.removeEventListener('abort', end));
    return {
      ended,
      end: async () => {
        end();
        await ended;
      },
    };
  }

  /** Does `work` once everything asked for before under the same name is done. */
  oneAtATime<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#turns.set(name, turn);
    return turn;
  }

  /**
   * As `run`, and an exit code other than 0 is a failure.
   * @param what completes "could not …".
   * @throws LabError `command_failed` (or `code`) with the last lines of the output.
   */
  async must(
    file: string,
    args: readonly string[],
    options: RunOptions & { what: string; code?: LabErrorCode; next?: readonly string[] },
  ): Promise<RunResult> {
    const result = await this.run(file, args, options);
    if (result.exitCode === 0 && !result.gaveUp) return result;
    throw new LabError({
      code: options.code ?? 'command_failed',
      message: `could not ${options.what}: ${describeEnd(file, result, options.timeoutMs)}`,
      details: result.lastLines,
      next: options.next ?? [`To see it whole: ${[file, ...args].join(' ')}`],
    });
  }

  /**
   * Runs a program on this terminal, its output live, until it ends; for long ones with their own
   * display. Returns its exit code, 130 when the command was interrupted.
   */
  async onTerminal(
    file: string,
    args: readonly string[],
    options: { cwd: string; env?: Readonly<Record<string, string>> },
  ): Promise<number> {
    if (this.#signal.aborted) throw interrupted();
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: 'inherit',
    });
    const forward = () => child.kill('SIGINT');
    this.#signal.addEventListener('abort', forward, { once: true });
    try {
      return await exitCodeOf(child);
    } finally {
      this.#signal.removeEventListener('abort', forward);
    }
  }
}

function describeEnd(file: string, result: RunResult, timeoutMs: number): string {
  if (result.exitCode === 127) return `there is no ${file} on PATH`;
  if (result.gaveUp) return `${file} did not finish within ${Math.round(timeoutMs / 1000)} s`;
  return `${file} ended with exit code ${result.exitCode}`;
}

function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES') resolve(127);
      else reject(error);
    });
    child.once('close', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

async function collect(
  child: ChildProcess,
  options: RunOptions,
  signal: AbortSignal,
): Promise<RunResult> {
  const lastLines: string[] = [];
  let gaveUp = false;
  const streams = [child.stdout, child.stderr].map((stream) => {
    const kept = { text: '' };
    if (stream === null) return kept;
    createInterface({ input: stream }).on('line', (line) => {
      kept.text = `${kept.text}${line}\n`.slice(-OUTPUT_CHARS_MAX);
      if (line.trim() === '') return;
      lastLines.push(line);
      if (lastLines.length > LAST_LINES) lastLines.shift();
      options.onLine?.(line);
    });
    return kept;
  });
  const end = () => endGroup(child);
  const stop = () => {
    gaveUp = true;
    end();
  };
  const timer = setTimeout(stop, options.timeoutMs);
  const watch = setInterval(() => options.giveUp?.() && stop(), 250);
  if (options.uninterruptible !== true) signal.addEventListener('abort', end, { once: true });
  try {
    const exitCode = await exitCodeOf(child);
    return {
      exitCode,
      stdout: streams[0]?.text ?? '',
      stderr: streams[1]?.text ?? '',
      lastLines,
      gaveUp,
    };
  } finally {
    clearTimeout(timer);
    clearInterval(watch);
    signal.removeEventListener('abort', end);
  }
}

function endGroup(child: ChildProcess): void {
  killGroup(child, 'SIGTERM');
  const timer = setTimeout(() => killGroup(child, 'SIGKILL'), TERMINATION_MS);
  child.once('close', () => clearTimeout(timer));
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // Gone between the check and the call: that is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
