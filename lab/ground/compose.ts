/**
 * The Compose lab as a ground: its three services, and what is launched beside them. Everything is
 * found by label on the engine, so a lab that `make up` started is all that it needs. The link is
 * `lab/link.ts`.
 */
import type { LabConfig } from '#lab/config.ts';
import { Docker } from '#lab/docker.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { BASE, ensureForeignImage } from '#lab/images.ts';
import { Programs } from '#lab/process.ts';
import type { LabContext } from '#lab/setup.ts';
import type { Step } from '#lab/steps.ts';
import { ensureTracedImage, tracedImage } from '#lab/traced-image.ts';
import { ContainerService } from './compose/container-service.ts';
import { Ends } from './compose/ends.ts';
import type { Helpers } from './compose/helper.ts';
import { copyData, create, discard } from './compose/launched.ts';
import { mend, ownContainers, SERVICES, type ServiceName } from './compose/mend.ts';
import { restoreSecret, spoilSecret } from './compose/secret.ts';
import {
  type Ability,
  type Ground,
  type InForce,
  type Launch,
  PORT_IN_COMPOSE,
  SECURED,
  type Service,
} from './ground.ts';
import { LINK_EXIT_IN_COMPOSE, LINK_LISTEN_IN_COMPOSE } from './link-of-lab.ts';

const DATA: Readonly<Record<ServiceName, string | null>> = {
  server: '/store',
  toxiproxy: null,
  collector: '/queue',
};

export class ComposeGround implements Ground {
  readonly kind = 'compose';
  readonly toxiproxyUrl: string;
  readonly linkEntrance = `toxiproxy:${PORT_IN_COMPOSE.link}`;
  readonly linkListen = LINK_LISTEN_IN_COMPOSE;
  readonly linkExit = LINK_EXIT_IN_COMPOSE;
  readonly #helpers: Helpers;
  readonly #tracedImage: string | null;
  readonly #secured: boolean;
  readonly #ends: Ends;
  readonly #services = new Map<string, ContainerService>();

  /**
   * Makes what the ability `trace` needs, unless it is there: an image with strace. Without it the
   * ground is opened all the same.
   * @returns why it can't be made, in words; null when it is there.
   * @throws LabError `lab_missing`, `interrupted`
   */
  static async prepare(context: LabContext, step: Step): Promise<string | null> {
    const { config, docker } = context;
    const probe = await docker.probe();
    if (probe.kind !== 'ready') throw missing(SERVICES);
    const server = (await ownContainers(docker, config.project)).get('server');
    if (server === undefined) throw missing(['server']);
    const image = (await docker.inspect(server)).Config.Image;
    const within = { ...context, engine: probe.engine, step };
    try {
      await ensureTracedImage(image, await ensureForeignImage(BASE, within), within);
      return null;
    } catch (error) {
      if (error instanceof LabError && error.code !== 'interrupted') return error.message;
      throw error;
    }
  }

  /**
   * On the lab of that project, which may stand in any state; `heal` makes it whole. What it does
   * to the lab is not ended by Ctrl-C: what was done has to be undone then.
   * @throws LabError `lab_missing` where there is no lab.
   */
  static async open({
    config,
  }: {
    readonly config: Pick<LabConfig, 'project' | 'toxiproxyPort'>;
  }): Promise<ComposeGround> {
    const docker = new Docker(new Programs(new AbortController().signal));
    const own = await ownContainers(docker, config.project);
    const server = own.get('server');
    if (server === undefined || own.size < SERVICES.length) {
      throw missing(SERVICES.filter((name) => !own.has(name)));
    }
    const { Image: image, Env } = (await docker.inspect(server)).Config;
    const traced = tracedImage(image);
    const hasTraced = (await docker.imageId(traced)) !== null;
    const helpers = { docker, project: config.project, image };
    return new ComposeGround(helpers, own, {
      toxiproxyPort: config.toxiproxyPort,
      traced: hasTraced ? traced : null,
      // Compose gives it an empty one where TLS is off.
      secured: Env?.some((one) => /^HOLDFAST_TLS_CERT_FILE=./.test(one)) === true,
    });
  }

  private constructor(
    helpers: Helpers,
    own: ReadonlyMap<ServiceName, string>,
    of: { toxiproxyPort: number; traced: string | null; secured: boolean },
  ) {
    this.#helpers = helpers;
    this.#tracedImage = of.traced;
    this.#secured = of.secured;
    this.toxiproxyUrl = `http://127.0.0.1:${of.toxiproxyPort}`;
    this.#ends = new Ends(helpers.docker, helpers.project);
    for (const [name, container] of own) this.#add(name, container, DATA[name]);
  }

  cannot(ability: Ability): string | null {
    if (ability === 'trace' && this.#tracedImage === null) {
      return 'the image with strace is not there';
    }
    return ability === 'plain' && this.#secured ? SECURED : null;
  }

  service(name: string): ContainerService {
    const service = this.#services.get(name);
    if (service !== undefined) return service;
    throw new Error(`the lab has no service ${name}; it has ${[...this.#services.keys()]}`);
  }

  get services(): readonly Service[] {
    return [...this.#services.values()];
  }

  async launch(launch: Launch): Promise<Service> {
    const { docker } = this.#helpers;
    if (this.#services.has(launch.name)) throw new Error(`there is a ${launch.name} already`);
    const collector = await this.service('collector').inspect();
    const container = await create({ ...this.#helpers, collector }, launch);
    const service = this.#add(launch.name, container, launch.data ?? null);
    try {
      if (launch.copyOf !== undefined) await this.#copy(this.service(launch.copyOf), service);
      await service.start();
    } catch (error) {
      this.#forget(service);
      await discard(docker, container);
      throw error;
    }
    return service;
  }

  async remove(service: Service): Promise<void> {
    const known = this.service(service.name);
    if (isOwn(known)) throw new Error(`${known.name} is the lab's own`);
    this.#forget(known);
    await discard(this.#helpers.docker, known.container);
  }

  address(service: Service, port: number): string {
    return `${service.name}:${port}`;
  }

  async changeSecret(): Promise<InForce> {
    const server = this.service('server');
    spoilSecret(await this.#secrets());
    await server.restart();
    return {
      count: () => 0,
      lift: async () => {
        if (restoreSecret(await this.#secrets())) await server.restart();
      },
    };
  }

  async heal(): Promise<string[]> {
    const launched = [...this.#services.values()].filter((one) => !isOwn(one));
    for (const service of launched) this.#forget(service);
    const { docker, project } = this.#helpers;
    const restartServer = () => this.service('server').restart();
    return mend({ docker, project, starts: true, restartServer });
  }

  leave(): Promise<void> {
    return this.#ends.close();
  }

  async close(): Promise<void> {
    await this.heal();
    await this.leave();
  }

  async #secrets() {
    const [server, collector] = await Promise.all([
      this.service('server').inspect(),
      this.service('collector').inspect(),
    ]);
    return { server, collector };
  }

  /** Of a moment: while it is copied, the program that writes there stands still. */
  async #copy(from: ContainerService, to: ContainerService): Promise<void> {
    if (from.dataPath === null || to.dataPath === null) {
      throw new Error(
        `${to.name} cannot begin with a copy of ${from.name}: one has no data folder`,
      );
    }
    const { running, frozen } = await from.state();
    const held = running && !frozen;
    if (held) await from.freeze();
    try {
      await copyData(
        this.#helpers,
        { inspected: await from.inspect(), path: from.dataPath },
        { inspected: await to.inspect(), path: to.dataPath },
      );
    } finally {
      if (held) await from.thaw();
    }
  }

  #add(name: string, container: string, dataPath: string | null): ContainerService {
    const service = new ContainerService({
      ...{ ...this.#helpers, name, container, dataPath },
      ...{ ends: this.#ends, tracedImage: this.#tracedImage },
    });
    this.#services.set(name, service);
    return service;
  }

  #forget(service: ContainerService): void {
    this.#services.delete(service.name);
    this.#ends.forget(service.container);
  }
}

function missing(services: readonly ServiceName[]): LabError {
  return new LabError({
    code: 'lab_missing',
    exitCode: EXIT.usage,
    message: `the lab is not there: the engine has no container of ${services.join(', ')}`,
    next: ['To start it: make up'],
  });
}

function isOwn({ name }: Service): boolean {
  return SERVICES.some((own) => own === name);
}
