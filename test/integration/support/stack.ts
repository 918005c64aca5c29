/**
 * The whole pipeline in containers, on networks of its own: collector -> Toxiproxy -> server, on
 * the real images, with nothing between the test and them but Docker and Toxiproxy's API. The
 * collector is on one network with Toxiproxy, the server on another: there is no way around the
 * link.
 *
 * What a collector captured is taken from its log (one line for each accepted frame at level
 * debug), which is outside both the queue and the store.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  GenericContainer,
  getContainerRuntimeClient,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';
import type { Proxy as Link } from 'toxiproxy-node-client';
import { Toxiproxy } from 'toxiproxy-node-client';
import { LABELS } from './labels.ts';
import { fetchJson, waitUntil } from './wait.ts';

const TOKEN = 'a token for the integration tests';
const INGEST_PORT = 9000;
const API_PORT = 8080;
const STATUS_PORT = 9464;
const LINK_PORT = 9004;
const TOXIPROXY_PORT = 8474;

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
  readonly state: string;
  readonly last_error: { readonly code: string } | null;
  readonly queue: { readonly frames: number };
  readonly counters: Readonly<Record<'captured' | 'accepted' | 'acked' | 'connections', number>>;
}

function image(variable: string): string {
  const name = process.env[variable];
  if (name) return name;
  throw new Error(
    `${variable} is not set: run the integration tests by ./holdfast test-integration`,
  );
}

export class Stack {
  readonly #name: string;
  readonly #networks: StartedNetwork[] = [];
  readonly #containers = new Map<string, StartedTestContainer>();
  readonly #logs = new Map<string, string[]>();
  #link: Link | undefined;

  private constructor(name: string) {
    this.#name = name;
  }

  /** Starts everything and waits for the first stored frame. */
  static async start(name: string, options: { sampleIntervalMs: number }): Promise<Stack> {
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

  /** Removes all of it; keeps the logs in test-output/. */
  async stop(): Promise<void> {
    this.#keepLogs();
    await Promise.all([...this.#containers.values()].map((one) => one.stop({ timeout: 5_000 })));
    await Promise.all(this.#networks.map((network) => network.stop()));
  }

  async cut(): Promise<void> {
    await this.#enable(false);
  }

  async restore(): Promise<void> {
    await this.#enable(true);
  }

  /** Stops the collector as an operator would, so that nothing more is captured. */
  async stopCollector(): Promise<void> {
    await this.#container('collector').stop({ timeout: 10_000, remove: false });
    await waitUntil("the collector's last line is read", () =>
      this.#lines('collector').some((line) => line.includes('"event":"stopped"')),
    );
  }

  status(): Promise<CollectorStatus> {
    return fetchJson(this.#url('collector', STATUS_PORT, '/status'));
  }

  /** The audit of the one collector that there is. */
  async audit(): Promise<AuditCollector> {
    const url = this.#url('server', API_PORT, '/api/v1/audit');
    const { collectors } = await fetchJson<{ collectors: AuditCollector[] }>(url);
    const [collector] = collectors;
    if (collector === undefined) throw new Error('the server knows no collector');
    return collector;
  }

  async exported(): Promise<Exported[]> {
    const response = await fetch(this.#url('server', API_PORT, '/api/v1/export'));
    if (!response.ok) throw new Error(`export answered ${response.status}`);
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line));
  }

  captured(): Captured[] {
    return this.#lines('collector')
      .filter((line) => line.includes('"event":"accepted"'))
      .map((line) => JSON.parse(line));
  }

  async #start({ sampleIntervalMs }: { sampleIntervalMs: number }): Promise<void> {
    const [edge, central] = await Promise.all([this.#network(), this.#network()]);
    await Promise.all([this.#startServer(central), this.#startToxiproxy(central, edge)]);
    const collector = new GenericContainer(image('HOLDFAST_IMAGE'))
      .withCommand(['node', 'collector/main.ts', 'run'])
      .withNetwork(edge)
      .withEnvironment({
        HOLDFAST_SERVER: `toxiproxy:${LINK_PORT}`,
        HOLDFAST_TOKEN: TOKEN,
        HOLDFAST_QUEUE_PATH: '/queue',
        HOLDFAST_STATUS_HOST: '0.0.0.0',
        HOLDFAST_SAMPLE_INTERVAL_MS: String(sampleIntervalMs),
        HOLDFAST_LOG_LEVEL: 'debug',
      })
      .withExposedPorts(STATUS_PORT)
      .withWaitStrategy(Wait.forHttp('/readyz', STATUS_PORT));
    await this.#run('collector', collector);
    await waitUntil(
      'the first frame is stored',
      async () => (await this.audit()).totals.stored > 0,
    );
  }

  async #startServer(network: StartedNetwork): Promise<void> {
    const server = new GenericContainer(image('HOLDFAST_IMAGE'))
      .withCommand(['node', 'server/main.ts', 'run'])
      .withNetwork(network)
      .withNetworkAliases('server')
      .withEnvironment({
        HOLDFAST_INGEST_HOST: '0.0.0.0',
        HOLDFAST_INGEST_PORT: String(INGEST_PORT),
        HOLDFAST_API_HOST: '0.0.0.0',
        HOLDFAST_STORE_PATH: '/store',
        HOLDFAST_TOKEN: TOKEN,
      })
      .withExposedPorts(API_PORT)
      .withWaitStrategy(Wait.forHttp('/readyz', API_PORT));
    await this.#run('server', server);
  }

  /** Toxiproxy begins beside the server and is then plugged into the collector's network too. */
  async #startToxiproxy(central: StartedNetwork, edge: StartedNetwork): Promise<void> {
    const toxiproxy = new GenericContainer(image('HOLDFAST_TOXIPROXY_IMAGE'))
      .withCommand(['-host=0.0.0.0'])
      .withNetwork(central)
      .withExposedPorts(TOXIPROXY_PORT)
      .withWaitStrategy(Wait.forHttp('/version', TOXIPROXY_PORT));
    const started = await this.#run('toxiproxy', toxiproxy);
    const client = await getContainerRuntimeClient();
    await client.container.connectToNetwork(
      client.container.getById(started.getId()),
      client.network.getById(edge.getId()),
      ['toxiproxy'],
    );
    // Plugging a container into a network may give its published ports other numbers.
    const { NetworkSettings } = await client.container.inspect(
      client.container.getById(started.getId()),
    );
    const port = NetworkSettings.Ports[`${TOXIPROXY_PORT}/tcp`]?.[0]?.HostPort;
    const api = new Toxiproxy(`http://${started.getHost()}:${port}`);
    this.#link = await api.createProxy({
      name: 'link',
      listen: `0.0.0.0:${LINK_PORT}`,
      upstream: `server:${INGEST_PORT}`,
    });
  }

  async #network(): Promise<StartedNetwork> {
    const network = await new Network().start();
    this.#networks.push(network);
    return network;
  }

  async #run(name: string, container: GenericContainer): Promise<StartedTestContainer> {
    const lines: string[] = [];
    this.#logs.set(name, lines);
    let rest = '';
    const started = await container
      .withLabels(LABELS)
      .withLogConsumer((stream) => {
        stream.on('data', (chunk: Buffer) => {
          const parts = (rest + chunk.toString('utf8')).split('\n');
          rest = parts.pop() ?? '';
          lines.push(...parts);
        });
      })
      .start();
    this.#containers.set(name, started);
    return started;
  }

  async #enable(enabled: boolean): Promise<void> {
    const { listen, upstream } = this.link;
    this.#link = await this.link.update({ enabled, listen, upstream });
    if (this.#link.enabled !== enabled) throw new Error(`the link did not become ${enabled}`);
  }

  #container(name: string): StartedTestContainer {
    const container = this.#containers.get(name);
    if (container === undefined) throw new Error(`${name} is not started`);
    return container;
  }

  #url(name: string, port: number, path: string): string {
    const container = this.#container(name);
    return `http://${container.getHost()}:${container.getMappedPort(port)}${path}`;
  }

  #lines(name: string): readonly string[] {
    return this.#logs.get(name) ?? [];
  }

  #keepLogs(): void {
    const folder = join('test-output', this.#name);
    mkdirSync(folder, { recursive: true });
    for (const [name, lines] of this.#logs) {
      writeFileSync(join(folder, `${name}.log`), `${lines.join('\n')}\n`);
    }
  }
}
