/**
 * One container of the lab as a service: what can be done to it and seen of it from outside. Signals
 * come from inside, by a helper: after the engine's own `kill` the restart policy would not bring
 * the program back.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Inspected } from '#lab/docker.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import type {
  CallFault,
  Exit,
  InForce,
  Ran,
  Service,
  ServiceState,
  Traffic,
  Usage,
} from '../ground.ts';
import { traceCalls } from './call-fault.ts';
import type { End, Ends } from './ends.ts';
import { HARDENING, type Helpers, help, mustHelp } from './helper.ts';
import { labelled } from './labels.ts';
import {
  INTERFACES,
  PROCESS_TABLE,
  type Process,
  programOf,
  readProcesses,
  readTraffic,
} from './processes.ts';

/** For an end that was ordered; a graceful one has its grace period. */
const END_TIMEOUT_MS = 30_000;
const FREEZE_TIMEOUT_MS = 10_000;
const RUN_TIMEOUT_MS = 600_000;
const LOG_TIMEOUT_MS = 60_000;
const POLL_MS = 10;
const SIGNAL_EXIT = 128;
const SIGNAL_NUMBERS = { HUP: 1, KILL: 9, USR2: 12, TERM: 15 } as const;
type SignalName = keyof typeof SIGNAL_NUMBERS;

const SET_LIMIT = 'limit=$1; shift; for pid; do prlimit --pid "$pid" --nofile="$limit:"; done';

export interface ContainerServiceOptions extends Helpers {
  readonly name: string;
  readonly container: string;
  readonly dataPath: string | null;
  readonly ends: Ends;
  /** With strace in it; null where there is none. */
  readonly tracedImage: string | null;
}

export class ContainerService implements Service {
  readonly name: string;
  readonly dataPath: string | null;
  readonly container: string;
  readonly exits: Exit[] = [];
  readonly #options: ContainerServiceOptions;
  /** Published ports; the engine may choose others at each start. */
  readonly #ports = new Map<number, string>();
  /** Orders under way that end it. */
  #ending = 0;
  /** Exit codes of signals that a program needn't know: it may end by them. */
  readonly #sent = new Set<number>();
  #tracing: { readonly fault: CallFault; readonly inForce: InForce } | null = null;

  constructor(options: ContainerServiceOptions) {
    this.name = options.name;
    this.dataPath = options.dataPath;
    this.container = options.container;
    this.#options = options;
    options.ends.of(options.container, (end) => this.#onEnd(end));
  }

  async state(): Promise<ServiceState> {
    const { State } = await this.inspect();
    return {
      running: State.Running && !State.Restarting,
      frozen: State.Paused,
      generation: State.StartedAt,
    };
  }

  async url(port: number): Promise<string> {
    const known = this.#ports.get(port);
    if (known !== undefined) return known;
    const { State, NetworkSettings } = await this.inspect();
    const published = NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort;
    if (!State.Running || State.Restarting) throw this.#failure('does not run now');
    if (published === undefined) throw this.#failure(`publishes no port ${port} now`);
    const url = `http://127.0.0.1:${published}`;
    this.#ports.set(port, url);
    return url;
  }

  async kill(): Promise<void> {
    await this.#untilEnded(async () => {
      await this.#send('KILL');
      // Frozen processes die when they are thawed.
      await this.thaw();
    });
  }

  async signal(name: 'TERM' | 'HUP' | 'USR2'): Promise<void> {
    if (name !== 'TERM' || (await this.state()).frozen) {
      this.#sent.add(SIGNAL_EXIT + SIGNAL_NUMBERS[name]);
      if (name === 'TERM') this.#sent.add(0);
      return this.#send(name);
    }
    await this.#untilEnded(() => this.#send(name));
  }

  /** On a busy machine a kernel with cgroups v1 does not always manage at once; it is asked again. */
  async freeze(): Promise<void> {
    if ((await this.state()).frozen) return;
    const deadline = performance.now() + FREEZE_TIMEOUT_MS;
    for (;;) {
      try {
        return await this.#order(['pause'], 'freeze');
      } catch (error) {
        const { running } = await this.state();
        if (!running || performance.now() > deadline) throw error;
      }
      await delay(POLL_MS);
    }
  }

  async thaw(): Promise<void> {
    if (!(await this.state()).frozen) return;
    await this.#order(['unpause'], 'thaw');
  }

  async stop(): Promise<void> {
    const { running } = await this.state();
    // The engine thaws what is frozen, so that SIGTERM reaches it.
    const stop = () => this.#order(['stop'], 'stop');
    await (running ? this.#untilEnded(stop) : stop());
    this.#ports.clear();
  }

  async start(): Promise<void> {
    this.#ports.clear();
    await this.#order(['start'], 'start');
  }

  /** Stopped and started, as an end that was ordered. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async run(command: readonly string[]): Promise<Ran> {
    const { docker, project } = this.#options;
    const { Config } = await this.inspect();
    const [program = '', ...args] = command;
    // Beside it and not in it: what it takes of memory is not the service's, and no fault meets it.
    const result = await docker.command(
      [
        ...['run', '--rm', ...labelled(project, 'helper'), ...HARDENING, '--network', 'none'],
        ...['--user', Config.User, '--memory', '512m', '--volumes-from', this.container],
        ...(Config.Env ?? []).flatMap((variable) => ['--env', variable]),
        ...['--entrypoint', program, Config.Image, ...args],
      ],
      { timeoutMs: RUN_TIMEOUT_MS },
    );
    return { exitCode: result.exitCode, output: `${result.stdout}${result.stderr}` };
  }

  async log(since: Date): Promise<string[]> {
    const lines: string[] = [];
    const args = ['logs', '--timestamps', '--since', since.toISOString(), this.container];
    const result = await this.#options.docker.command(args, {
      timeoutMs: LOG_TIMEOUT_MS,
      onLine: (line) => lines.push(line),
    });
    if (result.exitCode !== 0) throw this.#failure('has no log', result.lastLines);
    // The two streams of a container come apart; the engine has stamped their lines.
    return lines.sort(byStamp).map((line) => line.slice(line.indexOf(' ') + 1));
  }

  async usage(): Promise<Usage> {
    const { running } = await this.state();
    const path = this.dataPath;
    const disk = path === null ? '' : `echo "disk $(du -s -B 1 ${path} 2>/dev/null | cut -f 1)"`;
    const where = {
      ...(running ? { inside: this.container } : {}),
      ...(path === null ? {} : { options: ['--volumes-from', `${this.container}:ro`] }),
    };
    const script = `${running ? PROCESS_TABLE : ''}\n${disk}`;
    const text = await mustHelp(this.#options, where, `see what ${this.name} takes`, script);
    const processes = running ? readProcesses(text) : [];
    return {
      resident_bytes: processes.reduce((sum, one) => sum + one.residentBytes, 0),
      open_files: processes.reduce((sum, one) => sum + one.openFiles, 0),
      disk_bytes: Number(/^disk (\d+)$/m.exec(text)?.[1] ?? 0),
    };
  }

  async traffic(): Promise<Traffic> {
    const what = `see the traffic of ${this.name}`;
    const where = { inside: this.container };
    return readTraffic(await mustHelp(this.#options, where, what, INTERFACES));
  }

  async failCalls(fault: CallFault): Promise<InForce> {
    const { tracedImage } = this.#options;
    if (tracedImage === null) throw this.#failure('cannot be traced: there is no image of strace');
    const pids = (await this.#program()).map(({ pid }) => pid);
    const tracer = { ...this.#options, image: tracedImage, service: this.name };
    const inForce = await traceCalls(tracer, pids, fault);
    const tracing = { fault, inForce };
    this.#tracing = tracing;
    return {
      count: () => inForce.count(),
      lift: async () => {
        await inForce.lift();
        if (this.#tracing === tracing) this.#tracing = null;
      },
    };
  }

  /** What fails over it is not counted here; the program tells. */
  async limitFiles(limit: number): Promise<InForce> {
    const { generation } = await this.state();
    const before = await this.#program();
    await this.#setLimit(limit, before);
    return {
      count: () => 0,
      lift: async () => {
        const now = await this.state();
        if (!now.running || now.generation !== generation) return;
        for (const one of before) await this.#setLimit(one.softLimit, [one]);
      },
    };
  }

  async unplug(): Promise<void> {
    const network = this.#edge();
    if (!(await this.#isIn(network))) throw this.#failure(`is not in the network ${network}`);
    await this.#options.docker.must(
      ['network', 'disconnect', network, this.container],
      `unplug ${this.name} from ${network}`,
    );
    this.#ports.clear();
  }

  async plug(): Promise<void> {
    const network = this.#edge();
    if (await this.#isIn(network)) return;
    await this.#options.docker.must(
      ['network', 'connect', '--alias', this.name, network, this.container],
      `plug ${this.name} into ${network}`,
    );
    this.#ports.clear();
  }

  inspect(): Promise<Inspected> {
    return this.#options.docker.inspect(this.container);
  }

  #edge(): string {
    return `${this.#options.project}_edge`;
  }

  async #isIn(network: string): Promise<boolean> {
    return network in (await this.inspect()).NetworkSettings.Networks;
  }

  async #order(order: readonly string[], what: string): Promise<void> {
    await this.#options.docker.must([...order, this.container], `${what} ${this.name}`);
  }

  async #program(): Promise<Process[]> {
    const where = { inside: this.container };
    const what = `see the processes of ${this.name}`;
    return programOf(readProcesses(await mustHelp(this.#options, where, what, PROCESS_TABLE)));
  }

  async #setLimit(limit: number, processes: readonly Process[]): Promise<void> {
    await mustHelp(
      this.#options,
      { inside: this.container },
      `limit the open files of ${this.name} to ${limit}`,
      SET_LIMIT,
      [limit, ...processes.map(({ pid }) => pid)].map(String),
    );
  }

  /** To all but the init process, which ends when its child has. */
  async #send(name: SignalName): Promise<void> {
    const script = `kill -s ${name} -- -1`;
    const { exitCode, lastLines } = await help(this.#options, { inside: this.container }, script);
    // Where the container ends at once, the helper in its process namespace goes with it.
    if (exitCode === 0 || exitCode === SIGNAL_EXIT + SIGNAL_NUMBERS.KILL) return;
    throw this.#failure(`was not sent SIG${name}`, lastLines);
  }

  /** Gives an order that ends it, and waits until the engine has told the end. */
  async #untilEnded(order: () => Promise<void>): Promise<void> {
    const ends = this.exits.length;
    this.#ending += 1;
    try {
      await order();
      const deadline = performance.now() + END_TIMEOUT_MS;
      while (this.exits.length === ends) {
        if (performance.now() > deadline) throw this.#failure('did not end in time');
        await delay(POLL_MS);
      }
    } finally {
      this.#ending -= 1;
    }
  }

  #onEnd({ at, code }: End): void {
    this.#ports.clear();
    const injected = this.#ending > 0 || this.#sent.has(code) || this.#endsByItsDisk();
    this.#sent.clear();
    this.exits.push({ at, process: this.name, code, signal: signalOf(code), injected });
  }

  /** A program may end itself over an EIO, since it can't know what is on the disk; not over ENOSPC. */
  #endsByItsDisk(): boolean {
    const how = this.#tracing?.fault.how;
    if (how === undefined || !('error' in how) || how.error !== 'EIO') return false;
    return (this.#tracing?.inForce.count() ?? 0) > 0;
  }

  #failure(what: string, details: readonly string[] = []): LabError {
    return new LabError({
      code: 'command_failed',
      exitCode: EXIT.failed,
      message: `${this.name} ${what}`,
      details,
      next: ['To see how the services stand: make status'],
    });
  }
}

/** Docker's init makes one exit code of a signal and of the same number. */
function signalOf(code: number): string | null {
  const found = Object.entries(SIGNAL_NUMBERS).find(([, number]) => SIGNAL_EXIT + number === code);
  return found === undefined ? null : `SIG${found[0]}`;
}

function byStamp(one: string, other: string): number {
  const [a = '', b = ''] = [one.split(' ', 1)[0], other.split(' ', 1)[0]];
  return a < b ? -1 : a > b ? 1 : 0;
}
