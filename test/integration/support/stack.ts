/**
 * The whole pipeline in containers, on networks of its own: collector -> Toxiproxy -> server, on
 * the real images, with nothing between the test and them but Docker and Toxiproxy's API. The
 * collector is on one network with Toxiproxy, the server on another: there is no way around the
 * link. In the collector's place the load source may stand, which is the same producer.
 *
 * What a collector captured is taken from its log (one line for each accepted frame at level
 * debug), which is outside both the queue and the store; the load source keeps a ledger.
 */
import { createWriteStream, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { getContainerRuntimeClient, Network, type StartedNetwork, Wait } from 'testcontainers';
import { Certificates, SERVERNAME, TLS_FILES } from './certificates.ts';
import { Link } from './link.ts';
import { Service, ServiceContainer } from './service.ts';
import { type TracedFile, Tracing, underStrace } from './tracing.ts';
import { fetchJson, waitUntil } from './wait.ts';

const TOKEN = 'a token for the integration tests';
const INGEST_PORT = 9000;
const API_PORT = 8080;
const STATUS_PORT = 9464;
const LINK_PORT = 9004;
const TOXIPROXY_PORT = 8474;
const LEDGER_FOLDER = '/ledger';
const EXPORT_MS_MAX = 60_000;
const READY_MS_MAX = 3_000;

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

interface SeqRange {
  readonly from: number;
  readonly to: number;
  readonly reason?: string;
}

export interface AuditCollector {
  readonly collector: string;
  readonly connected: boolean;
  readonly last_heard_at: string;
  readonly silent_since: string | null;
  readonly totals: Readonly<Record<'stored' | 'declared' | 'pending' | 'missing', number>>;
  readonly epochs: readonly { readonly epoch: string; readonly missing: readonly SeqRange[] }[];
}

export interface CollectorStatus {
  readonly collector: string;
  readonly state: string;
  readonly last_error: { readonly code: string } | null;
  readonly queue: { readonly frames: number };
  readonly counters: Readonly<
    Record<'captured' | 'accepted' | 'acked' | 'resent' | 'connections', number>
  >;
}

/** What stands at the edge, its settings, and on which side a file goes wrong. */
interface StackOptions {
  readonly program: 'collector' | 'source';
  readonly environment: Readonly<Record<string, string>>;
  readonly traced?: { readonly [side in Side]?: TracedFile };
  /** TLS on the link, with certificates for both ends. */
  readonly secured?: boolean;
}

export type Side = 'server' | 'collector';

function image(variable: string): string {
  const name = process.env[variable];
  if (name) return name;
  throw new Error(
    `${variable} is not set: run the integration tests by ./holdfast test-integration`,
  );
}

export class Stack {
  /** Where everything that is worth keeping of this stack goes. */
  readonly folder: string;
  readonly #networks: StartedNetwork[] = [];
  readonly #services = new Map<string, Service>();
  readonly #tracings = new Map<Side, Tracing>();
  readonly #certificates = new Certificates();
  #link: Link | undefined;

  private constructor(name: string) {
    this.folder = resolve('test-output', name);
  }

  /** Starts everything and waits for the first stored frame. */
  static async start(name: string, options: StackOptions): Promise<Stack> {
    const stack = new Stack(name);
    try {
      await stack.#start(options);
    } catch (error) {
      await stack.stop().catch((second) => console.error('removing the stack failed too', second));
      throw error;
    }
    return stack;
  }

  get link(): Link {
    if (this.#link === undefined) throw new Error('the stack is not started');
    return this.#link;
  }

  get server(): Service {
    return this.#service('server');
  }

  /** The collector, or the load source in its place. */
  get collector(): Service {
    return this.#service('collector');
  }

  /** Of a side that has a file that goes wrong. */
  tracing(side: Side): Tracing {
    const tracing = this.#tracings.get(side);
    if (tracing === undefined) throw new Error(`nothing of the ${side} is traced`);
    return tracing;
  }

  get services(): readonly Service[] {
    return [...this.#services.values()];
  }

  /** On this machine; only there if the load source runs. */
  get ledgerPath(): string {
    return join(this.folder, 'ledger', 'ledger.jsonl');
  }

  /** Removes all of it; keeps the logs in the folder. */
  async stop(): Promise<void> {
    const { services } = this;
    await Promise.all(services.map((service) => service.stop()));
    await Promise.all(
      services.map(async (service) => {
        const log = await service.log();
        writeFileSync(join(this.folder, `${service.name}.log`), `${log.join('\n')}\n`);
        await service.remove();
      }),
    );
    await Promise.all(this.#networks.map((network) => network.stop()));
  }

  async status(): Promise<CollectorStatus> {
    return fetchJson(`${await this.collector.url(STATUS_PORT)}/status`);
  }

  /** Rejects unless the program says that it is ready to do its work. */
  async ready(service: Service): Promise<void> {
    const port = service === this.server ? API_PORT : STATUS_PORT;
    const url = `${await service.url(port)}/readyz`;
    const { status } = await fetch(url, { signal: AbortSignal.timeout(READY_MS_MAX) });
    if (status !== 200) throw new Error(`${url} answered ${status}`);
  }

  /** The audit document as it is answered. */
  async auditDocument(): Promise<{ collectors: AuditCollector[] }> {
    return fetchJson(`${await this.server.url(API_PORT)}/api/v1/audit`);
  }

  /** The audit of the one collector that there is. */
  async audit(): Promise<AuditCollector> {
    const [collector] = (await this.auditDocument()).collectors;
    if (collector === undefined) throw new Error('the server knows no collector');
    return collector;
  }

  async exported(): Promise<Exported[]> {
    const response = await this.#export();
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line));
  }

  /** Writes the export to a file, as it is answered. */
  async exportTo(path: string): Promise<void> {
    const { body } = await this.#export();
    if (body === null) throw new Error('the export has no body');
    await pipeline(Readable.fromWeb(body), createWriteStream(path));
  }

  /** What the collector captured, once it is stopped. */
  async captured(): Promise<Captured[]> {
    const log = await this.collector.log();
    return log
      .filter((line) => line.includes('"event":"accepted"'))
      .map((line) => JSON.parse(line));
  }

  async #export(): Promise<Response> {
    const url = `${await this.server.url(API_PORT)}/api/v1/export`;
    const response = await fetch(url, { signal: AbortSignal.timeout(EXPORT_MS_MAX) });
    if (!response.ok) throw new Error(`export answered ${response.status}`);
    return response;
  }

  async #start(options: StackOptions): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
    const [edge, central] = await Promise.all([this.#network(), this.#network()]);
    await Promise.all([this.#startServer(central, options), this.#startToxiproxy(central, edge)]);
    await this.#startEdge(edge, options);
    await waitUntil(
      'the first frame is stored',
      async () => (await this.audit()).totals.stored > 0,
    );
  }

  /** A container of one of our programs, with a volume of its own. */
  #program(
    side: Side,
    { data, command, traced }: { data: string; command: string[]; traced: TracedFile | undefined },
  ): ServiceContainer {
    if (traced === undefined) {
      return new ServiceContainer(image('HOLDFAST_IMAGE'), { data }).withCommand(command);
    }
    const container = new ServiceContainer(image('HOLDFAST_TRACED_IMAGE'), { data });
    const folder = join(this.folder, `trace-${side}`);
    this.#tracings.set(side, Tracing.of(container, folder, traced));
    return container.withCommand(underStrace(command));
  }

  async #startServer(network: StartedNetwork, options: StackOptions): Promise<void> {
    const { traced, secured } = options;
    const command = ['node', 'server/main.ts', 'run'];
    const server = this.#program('server', { data: '/store', command, traced: traced?.server })
      .withNetwork(network)
      .withNetworkAliases('server')
      .withEnvironment({
        HOLDFAST_INGEST_HOST: '0.0.0.0',
        HOLDFAST_INGEST_PORT: String(INGEST_PORT),
        HOLDFAST_API_HOST: '0.0.0.0',
        HOLDFAST_STORE_PATH: '/store',
        HOLDFAST_TOKEN: TOKEN,
        // Not this machine's where the engine is elsewhere.
        HOLDFAST_API_HOSTS: (await getContainerRuntimeClient()).info.containerRuntime.host,
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
    await this.#run('server', server);
  }

  /** Toxiproxy begins beside the server and is then plugged into the collector's network too. */
  async #startToxiproxy(central: StartedNetwork, edge: StartedNetwork): Promise<void> {
    const container = new ServiceContainer(image('HOLDFAST_TOXIPROXY_IMAGE'))
      .withCommand(['-host=0.0.0.0'])
      .withEnvironment({ LOG_LEVEL: 'info' })
      .withNetwork(central)
      .withExposedPorts(TOXIPROXY_PORT)
      .withWaitStrategy(Wait.forHttp('/version', TOXIPROXY_PORT));
    const toxiproxy = await this.#run('toxiproxy', container);
    await toxiproxy.join(edge.getId(), 'toxiproxy');
    this.#link = await Link.open(await toxiproxy.url(TOXIPROXY_PORT), {
      listen: `0.0.0.0:${LINK_PORT}`,
      upstream: `server:${INGEST_PORT}`,
    });
  }

  async #startEdge(network: StartedNetwork, options: StackOptions): Promise<void> {
    const { program, environment } = options;
    const container = this.#program('collector', {
      data: '/queue',
      command:
        program === 'collector'
          ? ['node', 'collector/main.ts', 'run']
          : ['node', 'chaos/source/main.ts'],
      traced: options.traced?.collector,
    })
      .withNetwork(network)
      .withEnvironment({
        HOLDFAST_SERVER: `toxiproxy:${LINK_PORT}`,
        HOLDFAST_TOKEN: TOKEN,
        HOLDFAST_QUEUE_PATH: '/queue',
        HOLDFAST_STATUS_HOST: '0.0.0.0',
        HOLDFAST_LOG_LEVEL: 'debug',
        ...environment,
      })
      .withExposedPorts(STATUS_PORT)
      .withWaitStrategy(Wait.forHttp('/readyz', STATUS_PORT));
    if (options.secured) {
      this.#certificates
        .give(container, 'client', join(this.folder, 'tls-collector'))
        .withEnvironment({
          HOLDFAST_TLS: 'on',
          HOLDFAST_TLS_CA_FILE: TLS_FILES.ca,
          HOLDFAST_TLS_SERVERNAME: SERVERNAME,
          HOLDFAST_TLS_CERT_FILE: TLS_FILES.cert,
          HOLDFAST_TLS_KEY_FILE: TLS_FILES.key,
        });
    }
    if (program === 'source') this.#giveLedger(container);
    await this.#run('collector', container);
  }

  /** A folder of this machine, so that nothing that befalls the container takes the ledger along. */
  #giveLedger(container: ServiceContainer): void {
    container
      .withFolder(join(this.folder, 'ledger'), LEDGER_FOLDER)
      .withEnvironment({ HOLDFAST_LEDGER_PATH: `${LEDGER_FOLDER}/ledger.jsonl` });
  }

  async #network(): Promise<StartedNetwork> {
    const network = await new Network().start();
    this.#networks.push(network);
    return network;
  }

  async #run(name: string, container: ServiceContainer): Promise<Service> {
    const service = await Service.start(name, container);
    this.#services.set(name, service);
    return service;
  }

  #service(name: string): Service {
    const service = this.#services.get(name);
    if (service === undefined) throw new Error(`${name} is not started`);
    return service;
  }
}
