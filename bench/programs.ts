/**
 * The processes that a benchmark measures: the server, the source and the collector, each as it
 * runs in earnest, on loopback, and each ended with the benchmark.
 *
 * Invariant: every process started here is in `#running` until it has ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import { PATHS } from '#lab/paths.ts';
import { Child } from './child.ts';
import { BenchError } from './errors.ts';
import type { FleetCommand, FleetFacts } from './fleet/commands.ts';
import type { RivalCommand, RivalFacts } from './rivals/commands.ts';
import type { Command, Facts, SourceStart } from './source/commands.ts';
import type { StepCommand } from './steps/commands.ts';
import type { WireCommand, WireFacts } from './wire/commands.ts';

export const TOKEN = 'a-token-of-the-benchmark';
const STARTED_WITHIN_MS = 30_000;
const LAST_LINES = 10;

/** The part of a process's life that the others need. */
export interface Running {
  readonly pid: number;
  /** Ends it orderly, and waits until it has. */
  stop(): Promise<void>;
}

interface Killable extends Running {
  /** Ends it at once, whatever it is doing, and waits until it has. */
  kill(): Promise<void>;
}

export interface RunningCollector extends Running {
  /** Where it tells of itself. */
  readonly status: string;
}

export interface RunningServer extends Killable {
  readonly port: number;
  readonly api: string;
}

export interface RunningMangler extends Running {
  readonly port: number;
  /** The URL of its control API. */
  readonly control: string;
}

export class Programs {
  readonly #signal: AbortSignal;
  /** What every child is given beside its own variables, such as the way to profile it. */
  readonly #environment: Readonly<Record<string, string>>;
  readonly #running = new Set<ChildProcess>();

  constructor(signal: AbortSignal, environment: Readonly<Record<string, string>>) {
    this.#signal = signal;
    this.#environment = environment;
  }

  /** Kills whatever still runs. */
  async end(): Promise<void> {
    const running = [...this.#running];
    const ended = running.map((child) => once(child, 'exit'));
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(ended);
  }

  /** Starts any program, and ends it with the benchmark. */
  start(file: string, args: readonly string[], environment = {}): Running {
    const child = this.#spawn(file, args, environment);
    child.stdout?.resume();
    child.stderr?.resume();
    return running(child);
  }

  /** `settings` are variables of its own beside the usual ones: it takes free ports unless told. */
  async server(
    storePath: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<RunningServer> {
    // As ./holdfast and Compose start it.
    const flags = ['--max-semi-space-size=4', '--heap-growing-percent=60'];
    const child = this.#node('server/main.ts', flags, {
      MALLOC_ARENA_MAX: '2',
      HOLDFAST_TOKEN: TOKEN,
      HOLDFAST_STORE_PATH: storePath,
      HOLDFAST_INGEST_PORT: '0',
      HOLDFAST_API_PORT: '0',
      ...settings,
    });
    const { ingest, api } = await logged(child, 'started');
    const port = Number(String(ingest).split(':').at(-1));
    return { ...running(child), port, api: String(api) };
  }

  /**
   * The collector as a user runs it; resolves when its status is served, before its queue is open.
   * `settings` are variables of its own beside the usual ones.
   */
  async collector(
    queuePath: string,
    serverPort: number,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<RunningCollector> {
    const child = this.#node('collector/main.ts', ['--max-semi-space-size=1'], {
      HOLDFAST_TOKEN: TOKEN,
      HOLDFAST_SERVER: `127.0.0.1:${serverPort}`,
      HOLDFAST_QUEUE_PATH: queuePath,
      HOLDFAST_STATUS_PORT: '0',
      ...settings,
    });
    const { port } = await logged(child, 'status_listening');
    return { ...running(child), status: `http://127.0.0.1:${port}/status` };
  }

  async source(start: SourceStart): Promise<RunningSource> {
    const source: RunningSource = this.#helper('bench/source/main.ts', { type: 'close' });
    await source.ask({ type: 'open', ...start });
    return source;
  }

  /** A rival that sends nothing yet. */
  async rival(start: Omit<Extract<RivalCommand, { type: 'open' }>, 'type'>): Promise<RunningRival> {
    const rival: RunningRival = this.#helper('bench/rivals/main.ts', { type: 'close' });
    await rival.ask({ type: 'open', ...start });
    return rival;
  }

  /** A process that has nothing but Node.js yet. */
  steps(): RunningSteps {
    return this.#helper('bench/steps/main.ts', { type: 'close' });
  }

  /** A relay to a port of this machine that can black-hole a connection (docs/mangler.md). */
  async mangler(upstreamPort: number): Promise<RunningMangler> {
    const child = this.#node('chaos/mangler/main.ts', [], {
      HOLDFAST_MANGLER_UPSTREAM: `127.0.0.1:${upstreamPort}`,
      HOLDFAST_MANGLER_PORT: '0',
      HOLDFAST_MANGLER_CONTROL_PORT: '0',
    });
    const { port, control } = await logged(child, 'started');
    return { ...running(child), port: Number(port), control: `http://127.0.0.1:${control}` };
  }

  /** Connections that load a server, joined as `start` says; none when it is left out. */
  async wire(start?: Omit<Extract<WireCommand, { type: 'open' }>, 'type'>): Promise<RunningWire> {
    const wire: RunningWire = this.#helper('bench/wire/main.ts', { type: 'close' });
    if (start !== undefined) await wire.ask({ type: 'open', ...start });
    return wire;
  }

  /** Collectors in one process; resolves when all are Ready. */
  async fleet(start: Omit<Extract<FleetCommand, { type: 'open' }>, 'type'>): Promise<RunningFleet> {
    const fleet: RunningFleet = this.#helper('bench/fleet/main.ts', { type: 'close' });
    await fleet.ask({ type: 'open', ...start });
    return fleet;
  }

  #helper<C extends { readonly type: string }, F>(main: string, closing: C): RunningChild<C, F> {
    const child = this.#spawn(process.execPath, [join(PATHS.root, main)], {}, true);
    return new RunningChild(child, closing);
  }

  #node(
    main: string,
    flags: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): ChildProcess {
    return this.#spawn(process.execPath, [...flags, join(PATHS.root, main)], environment);
  }

  #spawn(
    file: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    channel = false,
  ): ChildProcess {
    const child = spawn(file, args, {
      env: { ...this.#environment, ...environment },
      stdio: ['ignore', 'pipe', 'pipe', ...(channel ? ['ipc' as const] : [])],
      signal: this.#signal,
      killSignal: 'SIGKILL',
    });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    // An abort is told as an error too; that child still has to end. One without a process can't.
    child.on('error', () => child.pid === undefined && this.#running.delete(child));
    return child;
  }
}

/** A helper process and what to ask it. */
export class RunningChild<C extends { readonly type: string }, F> implements Killable {
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #child: Child<C, F>;
  readonly #closing: C;

  /** `closing` is the command that ends it. */
  constructor(child: ChildProcess, closing: C) {
    this.pid = running(child).pid;
    this.#process = child;
    const stderr = lastLines(child.stderr);
    child.stdout?.resume();
    this.#child = new Child(child, () => stderr.kept);
    this.#closing = closing;
  }

  /** Resolves when it is done. Throws BenchError when it failed or the child has ended. */
  ask(command: C): Promise<F> {
    return this.#child.ask(command);
  }

  async stop(): Promise<void> {
    if (!hasEnded(this.#process)) await this.#child.close(this.#closing);
  }

  kill(): Promise<void> {
    return running(this.#process).kill();
  }
}

export type RunningSource = RunningChild<Command, Facts>;
export type RunningFleet = RunningChild<FleetCommand, FleetFacts>;
export type RunningRival = RunningChild<RivalCommand, RivalFacts>;
export type RunningSteps = RunningChild<StepCommand, void>;
export type RunningWire = RunningChild<WireCommand, WireFacts>;

function running(child: ChildProcess): Killable {
  const { pid } = child;
  if (pid === undefined) throw new BenchError(`${child.spawnfile} could not be started`);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  return { pid, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** A line of the log, once it is there; the rest is read and dropped. */
async function logged(child: ChildProcess, event: string): Promise<Record<string, unknown>> {
  const stderr = lastLines(child.stderr);
  const stdout = lastLines(child.stdout);
  const found = Promise.withResolvers<Record<string, unknown>>();
  const fail = (what: string) =>
    found.reject(new BenchError([what, ...stdout.kept, ...stderr.kept].join('\n')));
  const timer = setTimeout(() => fail(`"${event}" was not logged in time`), STARTED_WITHIN_MS);
  child.once('exit', () => fail(`a program ended before it logged "${event}"`));
  stdout.lines?.on('line', (line) => {
    if (line.includes(`"event":"${event}"`)) found.resolve(JSON.parse(line));
  });
  try {
    return await found.promise;
  } finally {
    clearTimeout(timer);
  }
}

/** Kept up to date with the end of what a program says. */
function lastLines(stream: Readable | null): { lines?: Interface; kept: readonly string[] } {
  const kept: string[] = [];
  if (stream === null) return { kept };
  const lines = createInterface({ input: stream });
  lines.on('line', (line) => {
    kept.push(line);
    if (kept.length > LAST_LINES) kept.shift();
  });
  return { lines, kept };
}
