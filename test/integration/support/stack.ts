/**
 * The whole pipeline in containers, on networks of its own: collector -> Toxiproxy -> server, on
 * the real images, with nothing between the test and them but Docker and Toxiproxy's API. The
 * collector is on one network with Toxiproxy, the server on another: there is no way around the
 * link. It is made by testcontainers in the likeness of the Compose lab, so what can be done to it
 * is the Compose lab's ground: load sources are launched beside its collector.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  getContainerRuntimeClient,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';
import type { AuditCollector, AuditDocument, CollectorStatus } from '#chaos/observe/observer.ts';
import { fetchJson, waitUntil } from '#chaos/observe/wait.ts';
import { ComposeGround } from '#lab/ground/compose.ts';
import type { Ability, Ground, InForce, Launch, Service } from '#lab/ground/ground.ts';
import { linkOf } from '#lab/ground/link-of-lab.ts';
import type { Link } from '#lab/link.ts';
import { PATHS } from '#lab/paths.ts';
import { freePort } from '#lab/ports.ts';
import { TEST_PROJECT } from '#lab/stop.ts';
import { Certificates, SERVERNAME, TLS_FILES } from './certificates.ts';
import { ServiceContainer } from './container.ts';

const TOKEN = 'a token for the integration tests';
const TOKEN_FILE = '/run/secrets/holdfast_token';
const COLLECTOR = 'collector';
const INGEST_PORT = 9000;
const API_PORT = 8080;
const STATUS_PORT = 9464;
const LINK_PORT = 9004;
const TOXIPROXY_PORT = 8474;
const EXPORT_MS_MAX = 60_000;
const NAME_BYTES = 4;
const BEGINNING = new Date(0);

/** One accepted frame, as the collector logged it when its queue had it on disk. */
export interface Captured {
  readonly epoch: string;
  readonly seq: number;
  readonly captured_at: string;
  readonly payload_sha256: string;
}

/** One row of the server's export. */
export interface Exported {
  readonly collector: string;
  readonly epoch: string;
  readonly seq: number;
  readonly captured_at: string;
  readonly received_at: string;
  readonly crc32: string;
  readonly payload_base64: string;
}

interface StackOptions {
  /** Of the collector. */
  readonly environment?: Readonly<Record<string, string>>;
  /** TLS on the link, with certificates for both ends. */
  readonly secured?: boolean;
}

function image(variable: string): string {
  const name = process.env[variable];
  if (name) return name;
  throw new Error(
    `${variable} is not set: run the integration tests by ./holdfast test-integration`,
  );
}

export class Stack implements Ground {
  readonly kind = 'containers';
  /** Where everything that is worth keeping of this stack goes. */
  readonly folder: string;
  readonly #project: string;
  readonly #networks: StartedNetwork[] = [];
  readonly #containers: StartedTestContainer[] = [];
  readonly #certificates = new Certificates();
  #toxiproxyPort = 0;
  #opened: ComposeGround | undefined;

  private constructor(name: string) {
    this.folder = resolve('test-output', name);
    this.#project = `${TEST_PROJECT}-${randomBytes(NAME_BYTES).toString('hex')}`;
  }

  /** Starts everything and waits for the first stored frame. */
  static async start(name: string, options: StackOptions = {}): Promise<Stack> {
    const stack = new Stack(name);
    try {
      await stack.#start(options);
    } catch (error) {
      await stack.stop().catch((second) => console.error('removing the stack failed too', second));
      throw error;
    }
    return stack;
  }

  // The ground of the Compose lab, on these containers.

  cannot(ability: Ability): string | null {
    return this.#ground.cannot(ability);
  }

  service(name: string): Service {
    return this.#ground.service(name);
  }

  get services(): readonly Service[] {
    return this.#ground.services;
  }

  launch(launch: Launch): Promise<Service> {
    return this.#ground.launch(launch);
  }

  remove(service: Service): Promise<void> {
    return this.#ground.remove(service);
  }

  get toxiproxyUrl(): string {
    return this.#ground.toxiproxyUrl;
  }

  get linkListen(): string {
    return this.#ground.linkListen;
  }

  get linkEntrance(): string {
    return this.#ground.linkEntrance;
  }

  get linkExit(): string {
    return this.#ground.linkExit;
  }

  address(service: Service, port: number): string {
    return this.#ground.address(service, port);
  }

  changeSecret(): Promise<InForce> {
    return this.#ground.changeSecret();
  }

  heal(): Promise<string[]> {
    return this.#ground.heal();
  }

  leave(): Promise<void> {
    return this.#ground.leave();
  }

  close(): Promise<void> {
    return this.#ground.close();
  }

  // What the tests ask of it beside that.

  get link(): Link {
    return linkOf(this);
  }

  get collector(): Service {
    return this.service('collector');
  }

  /** Removes all of it; keeps the logs in the folder. */
  async stop(): Promise<void> {
    for (const service of this.#opened?.services ?? []) {
      const log = await service.log(BEGINNING);
      writeFileSync(join(this.folder, `${service.name}.log`), `${log.join('\n')}\n`);
    }
    await this.#opened?.close();
    const client = await getContainerRuntimeClient();
    await Promise.all(
      this.#containers.map((one) =>
        client.container.getById(one.getId()).remove({ force: true, v: true }),
      ),
    );
    await Promise.all(this.#networks.map((network) => network.stop()));
  }

  async status(): Promise<CollectorStatus> {
    return fetchJson(`${await this.collector.url(STATUS_PORT)}/status`);
  }

  /** The audit of the lab's own collector. */
  async audit(): Promise<AuditCollector> {
    const url = `${await this.#api()}/audit?collector=${COLLECTOR}`;
    const [found] = (await fetchJson<AuditDocument>(url)).collectors;
    if (found === undefined) throw new Error(`the server knows no ${COLLECTOR}`);
    return found;
  }

  async exported(): Promise<Exported[]> {
    const url = `${await this.#api()}/export`;
    const response = await fetch(url, { signal: AbortSignal.timeout(EXPORT_MS_MAX) });
    if (!response.ok) throw new Error(`export answered ${response.status}`);
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line));
  }

  /** What the collector captured, by its log at level debug. */
  async captured(): Promise<Captured[]> {
    const log = await this.collector.log(BEGINNING);
    return log
      .filter((line) => line.includes('"event":"accepted"'))
      .map((line) => JSON.parse(line));
  }

  async #api(): Promise<string> {
    return `${await this.service('server').url(API_PORT)}/api/v1`;
  }

  get #ground(): ComposeGround {
    if (this.#opened === undefined) throw new Error('the stack is not started');
    return this.#opened;
  }

  async #start({ environment = {}, secured = false }: StackOptions): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(join(this.folder, 'secrets'), { recursive: true, mode: 0o700 });
    const [edge, central] = await Promise.all([this.#network('edge'), this.#network('central')]);
    await Promise.all([this.#startServer(central, secured), this.#startToxiproxy(central, edge)]);
    await this.#startCollector(edge, environment, secured);
    const config = { project: this.#project, toxiproxyPort: this.#toxiproxyPort };
    this.#opened = await ComposeGround.open({ config });
    await waitUntil(
      'the first frame is stored',
      async () => (await this.audit()).totals.stored > 0,
    );
  }

  async #startServer(network: StartedNetwork, secured: boolean): Promise<void> {
    const server = this.#program('server', ['node', 'server/main.ts', 'run'], '/store')
      .withNetwork(network)
      .withNetworkAliases('server')
      .withEnvironment({
        HOLDFAST_INGEST_HOST: '0.0.0.0',
        HOLDFAST_INGEST_PORT: String(INGEST_PORT),
        HOLDFAST_API_HOST: '0.0.0.0',
        HOLDFAST_STORE_PATH: '/store',
      })
      .withExposedPorts(API_PORT)
      .withWaitStrategy(Wait.forHttp('/readyz', API_PORT));
    if (secured) {
      this.#certificates.give(server, 'server', join(this.folder, 'tls-server')).withEnvironment({
        HOLDFAST_TLS_CERT_FILE: TLS_FILES.cert,
        HOLDFAST_TLS_KEY_FILE: TLS_FILES.key,
        HOLDFAST_TLS_CLIENT_CA_FILE: TLS_FILES.ca,
      });
    }
    this.#containers.push(await server.start());
  }

  /** Toxiproxy begins beside the server and is then plugged into the collector's network too. */
  async #startToxiproxy(central: StartedNetwork, edge: StartedNetwork): Promise<void> {
    this.#toxiproxyPort = await freePort();
    const config = join(PATHS.root, 'lab', 'toxiproxy.json');
    const member = { project: this.#project, service: 'toxiproxy' };
    const toxiproxy = new ServiceContainer(image('HOLDFAST_TOXIPROXY_IMAGE'), member)
      .withCommand(['-host=0.0.0.0', '-config=/config/toxiproxy.json'])
      .withReadOnly(config, '/config/toxiproxy.json')
      .withEnvironment({ LOG_LEVEL: 'info' })
      .withNetwork(central)
      // The same after each start: whoever speaks to it is told once.
      .withExposedPorts({ container: TOXIPROXY_PORT, host: this.#toxiproxyPort }, LINK_PORT)
      .withWaitStrategy(Wait.forHttp('/version', TOXIPROXY_PORT));
    const started = await toxiproxy.start();
    this.#containers.push(started);
    const { container, network } = await getContainerRuntimeClient();
    const handle = container.getById(started.getId());
    await container.connectToNetwork(handle, network.getById(edge.getId()), ['toxiproxy']);
  }

  async #startCollector(
    network: StartedNetwork,
    environment: Readonly<Record<string, string>>,
    secured: boolean,
  ): Promise<void> {
    const collector = this.#program('collector', ['node', 'collector/main.ts', 'run'], '/queue')
      .withNetwork(network)
      .withEnvironment({
        HOLDFAST_SERVER: `toxiproxy:${LINK_PORT}`,
        HOLDFAST_COLLECTOR_ID: COLLECTOR,
        HOLDFAST_QUEUE_PATH: '/queue',
        HOLDFAST_STATUS_HOST: '0.0.0.0',
        HOLDFAST_LOG_LEVEL: 'debug',
        ...environment,
      })
      .withExposedPorts(STATUS_PORT)
      .withWaitStrategy(Wait.forHttp('/readyz', STATUS_PORT));
    if (secured) {
      this.#certificates
        .give(collector, 'client', join(this.folder, 'tls-collector'))
        .withEnvironment({
          HOLDFAST_TLS: 'on',
          HOLDFAST_TLS_CA_FILE: TLS_FILES.ca,
          HOLDFAST_TLS_SERVERNAME: SERVERNAME,
          HOLDFAST_TLS_CERT_FILE: TLS_FILES.cert,
          HOLDFAST_TLS_KEY_FILE: TLS_FILES.key,
        });
    }
    this.#containers.push(await collector.start());
  }

  /** One of our programs, with a volume and a copy of the secret of its own. */
  #program(service: 'server' | 'collector', command: string[], data: string): ServiceContainer {
    const secret = join(this.folder, 'secrets', service);
    writeFileSync(secret, TOKEN, { mode: 0o444 });
    const member = { project: this.#project, service };
    return new ServiceContainer(image('HOLDFAST_IMAGE'), member, data)
      .withCommand(command)
      .withReadOnly(secret, TOKEN_FILE)
      .withEnvironment({ HOLDFAST_TOKEN_FILE: TOKEN_FILE });
  }

  async #network(name: 'edge' | 'central'): Promise<StartedNetwork> {
    const network = await new Network({ nextUuid: () => `${this.#project}_${name}` }).start();
    this.#networks.push(network);
    return network;
  }
}
