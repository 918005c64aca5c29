/** A service of the processes' lab: what can be done to it, and seen of it, through its supervisor. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { EXIT, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
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
import type { ControlClient } from './client.ts';
import type { Ended, ProgramSpec, ProgramState } from './control.ts';
import { commandHere } from './launch.ts';
import { readLog } from './log-file.ts';
import { logPath } from './place.ts';
import { diskBytes, usageOf } from './proc.ts';

const RUN_TIMEOUT_MS = 300_000;
const NO_NETWORK = 'a process on loopback has no network of its own';

/** Why a ground of processes can't, in words. */
export const CANNOT = {
  unplug: `${NO_NETWORK} that it could be unplugged from; HOLDFAST_GROUND=compose has one`,
  traffic: `${NO_NETWORK}, so its traffic isn't counted; HOLDFAST_GROUND=compose has one`,
} as const;

export class ProcessService implements Service {
  readonly name: string;
  readonly dataPath: string | null;
  readonly spec: ProgramSpec;
  readonly exits: Exit[] = [];
  readonly #client: ControlClient;
  readonly #folder: string;

  constructor(spec: ProgramSpec, client: ControlClient, folder: string) {
    this.name = spec.name;
    this.dataPath = spec.data;
    this.spec = spec;
    this.#client = client;
    this.#folder = folder;
  }

  /** Takes note of an end of it, on the clock of this process. */
  noteEnd({ wall_us, machine_ms, code, signal, injected }: Ended): void {
    const sinceMs = Number(process.hrtime.bigint()) / 1e6 - machine_ms;
    const at = { wall_us, monotonic_ms: performance.now() - sinceMs };
    this.exits.push({ at, process: this.name, code, signal, injected });
  }

  async state(): Promise<ServiceState> {
    const { pid, frozen, generation } = await this.#state();
    return { running: pid !== null, frozen, generation };
  }

  async url(port: number): Promise<string> {
    await this.#pid();
    return `http://127.0.0.1:${portOf(this.spec, port)}`;
  }

  async kill(): Promise<void> {
    await this.#client.order({ order: 'kill', name: this.name });
  }

  async signal(name: 'TERM' | 'HUP' | 'USR2'): Promise<void> {
    await this.#client.order({ order: 'signal', name: this.name, signal: name });
  }

  async freeze(): Promise<void> {
    await this.#client.order({ order: 'freeze', name: this.name });
  }

  async thaw(): Promise<void> {
    await this.#client.order({ order: 'thaw', name: this.name });
  }

  async stop(): Promise<void> {
    await this.#client.order({ order: 'stop', name: this.name });
  }

  async start(): Promise<void> {
    await this.#client.order({ order: 'start', name: this.name });
  }

  run(command: readonly string[]): Promise<Ran> {
    const [file = '', ...args] = commandHere(command);
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(file, args, {
      cwd: PATHS.root,
      env: { PATH, HOME, ...this.spec.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: RUN_TIMEOUT_MS,
      detached: true, // a Ctrl-C is not for it: what it mends is to be mended
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
        resolve({ exitCode, output });
      });
    });
  }

  async log(since: Date): Promise<string[]> {
    return readLog(logPath(this.#folder, this.name))
      .filter(({ at }) => at >= since)
      .map(({ text }) => text);
  }

  async usage(): Promise<Usage> {
    const { pid } = await this.#state();
    const used = pid === null ? { resident_bytes: 0, open_files: 0 } : usageOf(pid);
    return { ...used, disk_bytes: this.dataPath === null ? 0 : diskBytes(this.dataPath) };
  }

  async traffic(): Promise<Traffic> {
    throw unable(CANNOT.traffic);
  }

  async failCalls({ path, calls, how }: CallFault): Promise<InForce> {
    const injection = 'error' in how ? `error=${how.error}` : `delay_enter=${how.delayMs * 1_000}`;
    const { name } = this;
    const log = String(
      await this.#client.order({ order: 'trace', name, path, calls: [...calls], injection }),
    );
    return {
      count: () => (existsSync(log) ? wrongCalls(readFileSync(log, 'utf8')) : 0),
      lift: async () => {
        await this.#client.order({ order: 'untrace', name: this.name });
      },
    };
  }

  async limitFiles(limit: number): Promise<InForce> {
    await this.#client.order({ order: 'limit_files', name: this.name, limit });
    return {
      count: () => 0, // the kernel counts none; what shows is what the program says
      lift: async () => {
        await this.#client.order({ order: 'unlimit_files', name: this.name });
      },
    };
  }

  async unplug(): Promise<void> {
    throw unable(CANNOT.unplug);
  }

  async plug(): Promise<void> {
    throw unable(CANNOT.unplug);
  }

  async #state(): Promise<ProgramState> {
    const { programs } = await this.#client.list();
    const own = programs.find(({ spec }) => spec.name === this.name);
    if (own !== undefined) return own;
    throw failed(`${this.name} is not there any more`);
  }

  async #pid(): Promise<number> {
    const { pid } = await this.#state();
    if (pid === null) throw failed(`${this.name} does not run now`);
    return pid;
  }
}

/** Which port of this machine that port of Compose is. */
export function portOf({ name, ports }: ProgramSpec, port: number): number {
  const here = ports[port];
  if (here === undefined) throw new Error(`${name} has no port ${port} that is reached from here`);
  return here;
}

function wrongCalls(log: string): number {
  return log.match(/\((?:INJECTED|DELAYED)\)$/gm)?.length ?? 0;
}

function failed(message: string): LabError {
  return new LabError({ code: 'ground_failed', exitCode: EXIT.failed, message });
}

function unable(message: string): LabError {
  return new LabError({ code: 'ground_failed', exitCode: EXIT.usage, message });
}
