/**
 * The supervisor: the programs that it was told to run, and each order carried out on them. How
 * orders come is `control-server.ts`; what one program does is `program.ts`.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Ended, Order, ProgramSpec, SupervisorState } from './control.ts';
import { LogFile } from './log-file.ts';
import { logPath, tracePath } from './place.ts';
import { isAlive, MARK, markedWith } from './proc.ts';
import { OrderError, Program } from './program.ts';
import { Tampering } from './tampering.ts';

const POLL_MS = 10;
const ORPHANS_TIMEOUT_MS = 10_000;
/** What programs need of the machine's own environment. Nothing of the lab's comes by this way. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'NODE_COMPILE_CACHE'];

interface Supervised {
  readonly program: Program;
  readonly tampering: Tampering;
  readonly log: LogFile;
}

export interface SupervisorOptions {
  /** Where logs are written, and what its programs are marked with. */
  readonly folder: string;
  /** Where programs run. */
  readonly workingFolder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of its own sources. */
  readonly sources: string;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #environment: Record<string, string>;
  readonly #supervised = new Map<string, Supervised>();
  readonly #watchers = new Set<(ended: Ended) => void>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { environment, folder } = options;
    const inherited = INHERITED.flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    });
    this.#environment = { ...Object.fromEntries(inherited), [MARK]: folder };
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Calls it at the end of each program, until the function that it returns is called. */
  watch(onEnded: (ended: Ended) => void): () => void {
    this.#watchers.add(onEnded);
    return () => this.#watchers.delete(onEnded);
  }

  /** @throws OrderError when it could not be carried out. */
  async obey(order: Exclude<Order, { order: 'watch' | 'end' }>): Promise<unknown> {
    if (order.order === 'list') return this.#state();
    if (order.order === 'launch') return this.#launch(order.spec);
    const { program, tampering } = this.#known(order.name);
    switch (order.order) {
      case 'remove':
        return this.#remove(order.name);
      case 'start':
        return program.start();
      case 'stop':
        return program.stop();
      case 'kill':
        return program.kill();
      case 'freeze':
        return program.freeze();
      case 'thaw':
        return program.thaw();
      case 'signal':
        return program.signal(order.signal);
      case 'limit_files':
        return tampering.limitFiles(order.limit);
      case 'unlimit_files':
        return tampering.unlimitFiles();
      case 'trace': {
        const log = tracePath(this.#options.folder, order.name);
        rmSync(log, { force: true });
        await tampering.trace(order, log);
        return log;
      }
      case 'untrace':
        return tampering.untrace();
      default:
        return order satisfies never;
    }
  }

  /** Stops all of them, side by side. */
  async end(): Promise<void> {
    await Promise.all([...this.#supervised.keys()].map((name) => this.#remove(name)));
  }

  #state(): SupervisorState {
    const programs = [...this.#supervised.values()].map(({ program, tampering }) => ({
      ...program.state(),
      limited: tampering.limited,
      traced: tampering.traced,
    }));
    return { pid: process.pid, sources: this.#options.sources, programs };
  }

  async #launch(spec: ProgramSpec): Promise<'unchanged' | 'started'> {
    const known = this.#supervised.get(spec.name);
    if (known !== undefined) {
      const same = isDeepStrictEqual(known.program.spec, spec);
      if (same && known.program.pid !== null) return 'unchanged';
      await this.#remove(spec.name);
    }
    const { folder, workingFolder } = this.#options;
    const log = new LogFile(logPath(folder, spec.name));
    const program = new Program({
      spec,
      environment: { ...this.#environment, ...spec.environment },
      folder: workingFolder,
      log,
      onEnded: (ended) => this.#onEnded(ended),
    });
    const tampering = new Tampering(program, this.#environment);
    this.#supervised.set(spec.name, { program, tampering, log });
    await program.start();
    return 'started';
  }

  async #remove(name: string): Promise<void> {
    const { program, tampering, log } = this.#known(name);
    await tampering.untrace();
    await program.stop();
    // Another order may have been quicker.
    if (this.#supervised.get(name)?.program !== program) return;
    this.#supervised.delete(name);
    log.close();
  }

  #onEnded(ended: Ended): void {
    this.#supervised.get(ended.process)?.tampering.forget();
    for (const watcher of this.#watchers) watcher(ended);
  }

  #known(name: string): Supervised {
    const known = this.#supervised.get(name);
    if (known !== undefined) return known;
    throw new OrderError(`there is no program '${name}' under this supervisor`);
  }
}

/**
 * Ends what a supervisor of this folder left behind that was killed: it can't be taken over, since
 * its ends would be told to nobody. False when there was nothing.
 * @throws OrderError when they do not end.
 */
export async function endOrphans(folder: string): Promise<boolean> {
  const orphans = new Set<number>();
  const deadline = performance.now() + ORPHANS_TIMEOUT_MS;
  for (;;) {
    for (const pid of markedWith(folder)) orphans.add(pid);
    const left = [...orphans].filter(isAlive);
    if (left.length === 0) return orphans.size > 0;
    if (performance.now() > deadline) {
      throw new OrderError(`processes ${left.join(', ')} of an earlier lab can't be killed`);
    }
    for (const pid of left) kill(pid);
    await delay(POLL_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
