/**
 * The ground of processes: the lab under its supervisor, as faults and runs see it. What a service
 * of it can do is `service.ts`; it holds no state of its own, so that another one heals what is left.
 */
import { randomBytes } from 'node:crypto';
import { accessSync, constants, cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { hasCapability } from '#lab/capabilities.ts';
import { findProgram } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import type { LabFiles } from '#lab/paths.ts';
import { writeWhole } from '#lab/state.ts';
import {
  type Ability,
  type Ground,
  type InForce,
  type Launch,
  PORT_IN_COMPOSE,
  SECURED,
  type Service,
} from '../ground.ts';
import { ControlClient } from './client.ts';
import type { ProgramSpec, ProgramState } from './control.ts';
import { launchedSpec } from './launch.ts';
import { launchedPath, otherTokenPath } from './place.ts';
import { CANNOT, ProcessService, portOf } from './service.ts';
import { readServices } from './services.ts';

const TOKEN_BYTES = 32;

export class ProcessGround implements Ground {
  readonly kind = 'process';
  readonly #files: LabFiles;
  readonly #client: ControlClient;
  /** The lab's own, as `up` made them. */
  readonly #specs: readonly ProgramSpec[];
  readonly #services = new Map<string, ProcessService>();

  /** @throws LabError `lab_missing` when no lab runs as processes here. */
  static async open(files: LabFiles): Promise<ProcessGround> {
    const specs = readServices(files);
    const client = specs === null ? null : await ControlClient.connect(files.process);
    if (specs === null || client === null) throw missing();
    const ground = new ProcessGround(files, client, specs);
    await client.watch((ended) => ground.#services.get(ended.process)?.noteEnd(ended));
    for (const { spec } of (await client.list()).programs) {
      if (spec.role === 'launched') ground.#add(spec);
    }
    return ground;
  }

  private constructor(files: LabFiles, client: ControlClient, specs: readonly ProgramSpec[]) {
    this.#files = files;
    this.#client = client;
    this.#specs = specs;
    for (const spec of specs) this.#add(spec);
  }

  cannot(ability: Ability): string | null {
    switch (ability) {
      case 'trace':
        return whyNoTrace();
      case 'limit_files':
        return findProgram('prlimit') === null
          ? 'prlimit (package util-linux) is not on this machine'
          : null;
      case 'unplug':
      case 'traffic':
        return CANNOT[ability];
      case 'plain':
        return this.#secured ? SECURED : null;
      default:
        return ability satisfies never;
    }
  }

  service(name: string): ProcessService {
    const service = this.#services.get(name);
    if (service !== undefined) return service;
    throw new Error(
      `there is no service '${name}'; there are: ${[...this.#services.keys()].join(', ')}`,
    );
  }

  get services(): readonly ProcessService[] {
    return [...this.#services.values()];
  }

  async launch(launch: Launch): Promise<Service> {
    if (this.#services.has(launch.name)) {
      throw new Error(`there is a service '${launch.name}' already`);
    }
    const spec = await launchedSpec(launch, { files: this.#files, secured: this.#secured });
    const folder = launchedPath(this.#files.process, launch.name);
    rmSync(folder, { recursive: true, force: true });
    if (launch.copyOf !== undefined) await this.#copyData(this.service(launch.copyOf), spec);
    await this.#client.order({ order: 'launch', spec });
    return this.#add(spec);
  }

  async remove({ name }: Pick<Service, 'name'>): Promise<void> {
    await this.#client.order({ order: 'remove', name });
    this.#services.delete(name);
    rmSync(launchedPath(this.#files.process, name), { recursive: true, force: true });
  }

  get toxiproxyUrl(): string {
    return `http://${this.address(this.service('toxiproxy'), PORT_IN_COMPOSE.toxiproxyApi)}`;
  }

  /** On loopback it listens where it is dialled. */
  get linkListen(): string {
    return this.linkEntrance;
  }

  get linkEntrance(): string {
    return this.address(this.service('toxiproxy'), PORT_IN_COMPOSE.link);
  }

  get linkExit(): string {
    return this.address(this.service('server'), PORT_IN_COMPOSE.ingest);
  }

  address({ name }: Service, port: number): string {
    return `127.0.0.1:${portOf(this.service(name).spec, port)}`;
  }

  async changeSecret(): Promise<InForce> {
    const path = otherTokenPath(this.#files.process);
    const { spec } = this.service('server');
    writeWhole(path, randomBytes(TOKEN_BYTES).toString('hex'), 0o400);
    const environment = { ...spec.environment, HOLDFAST_TOKEN_FILE: path };
    await this.#client.order({ order: 'launch', spec: { ...spec, environment } });
    return {
      count: () => 0, // whom the server refuses, it says itself
      lift: async () => {
        await this.#client.order({ order: 'launch', spec });
        rmSync(path, { force: true });
      },
    };
  }

  async heal(): Promise<string[]> {
    const mended: string[] = [];
    const { programs } = await this.#client.list();
    for (const { spec } of programs) {
      if (spec.role !== 'launched') continue;
      await this.remove(spec);
      mended.push(`removed ${spec.name}`);
    }
    for (const spec of this.#specs) {
      const is = programs.find((one) => one.spec.name === spec.name);
      mended.push(...(await this.#mend(spec, is)));
    }
    rmSync(otherTokenPath(this.#files.process), { force: true });
    return mended;
  }

  async leave(): Promise<void> {
    this.#client.close();
  }

  async close(): Promise<void> {
    await this.heal();
    await this.leave();
  }

  get #secured(): boolean {
    const { environment } = this.service('server').spec;
    return environment.HOLDFAST_TLS_CERT_FILE !== undefined;
  }

  #add(spec: ProgramSpec): ProcessService {
    const service = new ProcessService(spec, this.#client, this.#files.process);
    this.#services.set(spec.name, service);
    return service;
  }

  async #mend(spec: ProgramSpec, is: ProgramState | undefined): Promise<string[]> {
    const { name } = spec;
    if (is === undefined || !isDeepStrictEqual(is.spec, spec)) {
      await this.#client.order({ order: 'launch', spec });
      return [`started ${name} anew, as make up had made it`];
    }
    const mended: string[] = [];
    const mend = async (
      order: 'untrace' | 'unlimit_files' | 'thaw' | 'start',
      what: string,
    ): Promise<void> => {
      await this.#client.order({ order, name });
      mended.push(`${what} ${name}`);
    };
    if (is.traced) await mend('untrace', 'took strace off');
    if (is.limited) await mend('unlimit_files', 'lifted the limit on files of');
    if (is.frozen) await mend('thaw', 'thawed');
    if (!is.wanted) await mend('start', 'started');
    return mended;
  }

  /** As a power cut would find it: the one that writes it stands still meanwhile. */
  async #copyData(from: ProcessService, { name, data }: ProgramSpec): Promise<void> {
    if (from.dataPath === null || data === null) {
      throw new Error(`${name} can't begin with the data of ${from.name}: not both have any`);
    }
    const { running, frozen } = await from.state();
    const moves = running && !frozen;
    if (moves) await from.freeze();
    try {
      if (existsSync(from.dataPath)) cpSync(from.dataPath, data, { recursive: true });
    } finally {
      if (moves) await from.thaw();
    }
  }
}

function whyNoTrace(): string | null {
  if (findProgram('strace') === null) return 'strace is not on this machine';
  if (hasCapability('sys_ptrace') || yamaScope() === 0) return null;
  return 'this user may not trace other processes (kernel.yama.ptrace_scope is not 0)';
}

/** 0 where a user may trace his own processes. */
function yamaScope(): number {
  const path = '/proc/sys/kernel/yama/ptrace_scope';
  try {
    accessSync(path, constants.R_OK);
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return 0; // a kernel without it
  }
}

function missing(): LabError {
  return new LabError({
    code: 'lab_missing',
    exitCode: EXIT.usage,
    message: 'no lab runs as processes here',
    next: ['To start it: HOLDFAST_GROUND=process make up'],
  });
}
