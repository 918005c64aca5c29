/**
 * One program in a container, run as Compose runs it: an init process, no capabilities, a read-only
 * root file system, brought back by its restart policy. What can be done to it from outside is here
 * (kill, freeze, signals), and so is what can be seen of it (state, ends, traffic, log); what it
 * says of itself is for those who know its API.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  GenericContainer,
  getContainerRuntimeClient,
  type StartedTestContainer,
} from 'testcontainers';
import type { Moment } from '#chaos/oracle/observations.ts';
import { LABELS } from './labels.ts';
import { now } from './moment.ts';

const STOP_MS = 10_000;
const LOG_MS_MAX = 10_000;

/** A program that ended, as the engine told it. */
export interface Exit {
  readonly at: Moment;
  readonly process: string;
  readonly code: number;
  /** It ended because of what was done to it here. */
  readonly injected: boolean;
}

/** What has gone over all of a container's interfaces. */
export interface Traffic {
  readonly rxBytes: number;
  readonly rxPackets: number;
}

/** A container in the manner of docker-compose.yml. */
export class ServiceContainer extends GenericContainer {
  /** `data`: a folder of the image that becomes a volume of this container's own. */
  constructor(image: string, options: { data?: string } = {}) {
    super(image);
    Object.assign(this.hostConfig, {
      Init: true,
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
      Tmpfs: { '/tmp': 'size=64m,mode=1777,noexec,nosuid,nodev' },
      RestartPolicy: { Name: 'unless-stopped' },
    });
    if (options.data !== undefined) this.createOpts.Volumes = { [options.data]: {} };
    this.withLabels(LABELS);
  }

  /** Makes a folder of this machine and gives the container leave to write to it. */
  withFolder(source: string, target: string): this {
    mkdirSync(source);
    chmodSync(source, 0o777); // the container's user is not this one
    this.hostConfig.Binds = [...(this.hostConfig.Binds ?? []), `${source}:${target}:rw`];
    return this;
  }
}

export class Service {
  readonly name: string;
  readonly #container: StartedTestContainer;
  readonly #client: Awaited<ReturnType<typeof getContainerRuntimeClient>>;
  readonly #exits: Exit[] = [];
  /** The engine publishes other ports after each start, so they are asked for anew. */
  readonly #ports = new Map<number, number>();
  #events: Readable | undefined;
  #injected = 0;

  static async start(name: string, container: ServiceContainer): Promise<Service> {
    const started = await container.start();
    const service = new Service(name, started, await getContainerRuntimeClient());
    await service.#watch();
    return service;
  }

  private constructor(
    name: string,
    container: StartedTestContainer,
    client: Awaited<ReturnType<typeof getContainerRuntimeClient>>,
  ) {
    this.name = name;
    this.#container = container;
    this.#client = client;
  }

  /** All ends so far, whoever caused them. */
  get exits(): readonly Exit[] {
    return this.#exits;
  }

  get id(): string {
    return this.#container.getId();
  }

  /** Where a port of the container is reached from here. Rejects while it isn't running. */
  async url(port: number): Promise<string> {
    const known = this.#ports.get(port) ?? (await this.#publishedPort(port));
    this.#ports.set(port, known);
    return `http://${this.#container.getHost()}:${known}`;
  }

  async state(): Promise<{ running: boolean; paused: boolean; startedAt: string }> {
    const { State } = await this.#inspect();
    return { running: State.Running, paused: State.Paused, startedAt: State.StartedAt };
  }

  /**
   * SIGKILL from inside the container, to all but the init process. The engine's own `kill` would
   * count as a stop by hand and keep the restart policy from bringing the program back.
   */
  async kill(): Promise<void> {
    this.expectEnd();
    await this.signal('KILL');
  }

  /** Its next end is caused by what is done to it from outside. */
  expectEnd(): void {
    this.#injected += 1;
  }

  /** To all but the init process. */
  async signal(name: 'KILL' | 'USR2'): Promise<void> {
    const { exitCode, output } = await this.#container.exec(['sh', '-c', `kill -s ${name} -- -1`]);
    // Where the init process follows its child, the shell goes with it: 137.
    if (exitCode !== 0 && exitCode !== 137) {
      throw new Error(`SIG${name} to ${this.name} failed with ${exitCode}: ${output}`);
    }
  }

  async freeze(): Promise<void> {
    await this.#handle.pause();
  }

  async thaw(): Promise<void> {
    await this.#handle.unpause();
  }

  async traffic(): Promise<Traffic> {
    const { networks } = await this.#handle.stats({ stream: false, 'one-shot': true });
    const all = Object.values(networks);
    return {
      rxBytes: all.reduce((sum, one) => sum + one.rx_bytes, 0),
      rxPackets: all.reduce((sum, one) => sum + one.rx_packets, 0),
    };
  }

  /** Plugs it into one more network, under an alias. */
  async join(networkId: string, alias: string): Promise<void> {
    const { container, network } = this.#client;
    await container.connectToNetwork(this.#handle, network.getById(networkId), [alias]);
    // Which may have given its published ports other numbers.
    this.#ports.clear();
  }

  /** SIGTERM, then SIGKILL; the container and its log stay. */
  async stop(): Promise<void> {
    this.expectEnd();
    await this.#container.stop({ timeout: STOP_MS, remove: false });
  }

  /** The whole log of a stopped container, line by line. */
  async log(): Promise<string[]> {
    const stream = await this.#client.container.logs(this.#handle);
    const chunks: string[] = [];
    stream.on('data', (chunk: Buffer | string) => chunks.push(chunk.toString()));
    await Promise.race([
      new Promise((resolve) => stream.once('close', resolve).once('end', resolve)),
      delay(LOG_MS_MAX, undefined, { ref: false }),
    ]);
    stream.destroy();
    return chunks
      .join('')
      .split('\n')
      .filter((line) => line !== '');
  }

  /** Removes the container with its volumes. */
  async remove(): Promise<void> {
    this.#events?.destroy();
    await this.#handle.remove({ force: true, v: true });
  }

  get #handle() {
    return this.#client.container.getById(this.id);
  }

  #inspect() {
    return this.#client.container.inspect(this.#handle);
  }

  async #publishedPort(port: number): Promise<number> {
    const { NetworkSettings } = await this.#inspect();
    const published = NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort;
    if (published === undefined) throw new Error(`${this.name} publishes no port ${port} now`);
    return Number(published);
  }

  async #watch(): Promise<void> {
    this.#events = await this.#client.container.events(this.#handle, ['die']);
    let rest = '';
    this.#events.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') this.#onDie(JSON.parse(line));
    });
    // Ends with `remove`, or with the engine, which everything else will tell.
    this.#events.on('error', () => undefined);
  }

  #onDie(event: { Actor: { Attributes: { exitCode: string } } }): void {
    this.#ports.clear();
    const injected = this.#injected > 0;
    if (injected) this.#injected -= 1;
    const code = Number(event.Actor.Attributes.exitCode);
    this.#exits.push({ at: now(), process: this.name, code, injected });
  }
}
