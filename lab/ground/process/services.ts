/**
 * The lab's own three services as processes: what docker-compose.yml says of them, on loopback. The
 * programs and their flags are the same; hosts, ports and folders are this machine's.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { LabConfig } from '#lab/config.ts';
import { type LabFiles, PATHS } from '#lab/paths.ts';
import { writeWhole } from '#lab/state.ts';
import { SERVERNAME } from '#lab/tls.ts';
import { PORT_IN_COMPOSE } from '../ground.ts';
import { type ProgramSpec, programSpec } from './control.ts';
import { queuePath, servicesPath, storePath, toxiproxyConfigPath } from './place.ts';

/** How much memory the programs may take, as `./holdfast` says it, which has the reasons. */
const SERVER_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=60'] as const;
const COLLECTOR_FLAGS = ['--max-semi-space-size=1'] as const;
const PROXY = 'link';
const GRACE_MS = 15_000;
const TOXIPROXY_GRACE_MS = 2_000;

export interface ServicesOptions {
  readonly files: LabFiles;
  readonly config: Pick<LabConfig, 'apiPort' | 'statusPort' | 'linkPort' | 'toxiproxyPort' | 'tls'>;
  /** Where the server takes collectors; between it and Toxiproxy alone. */
  readonly ingestPort: number;
  /** The path of Toxiproxy's program. */
  readonly toxiproxy: string;
  /** Of the programs. */
  readonly sources: string;
}

/** The command of one of our programs, by its path from the project. */
export function nodeCommand(...words: readonly string[]): string[] {
  return [process.execPath, ...words.map((word) => (isOurs(word) ? join(PATHS.root, word) : word))];
}

function isOurs(word: string): boolean {
  return /^[a-z]+\/[\w/.-]+\.ts$/.test(word) && existsSync(join(PATHS.root, word));
}

/** What a collector of this lab is told of TLS. */
export function collectorTls(on: boolean, tls: string): Record<string, string> {
  if (!on) return { HOLDFAST_TLS: 'off' };
  return {
    HOLDFAST_TLS: 'on',
    HOLDFAST_TLS_CA_FILE: join(tls, 'collector', 'ca.pem'),
    HOLDFAST_TLS_SERVERNAME: SERVERNAME,
    HOLDFAST_TLS_CERT_FILE: join(tls, 'collector', 'cert.pem'),
    HOLDFAST_TLS_KEY_FILE: join(tls, 'collector', 'key.pem'),
  };
}

function serverTls(on: boolean, tls: string): Record<string, string> {
  if (!on) return {};
  return {
    HOLDFAST_TLS_CERT_FILE: join(tls, 'server', 'cert.pem'),
    HOLDFAST_TLS_KEY_FILE: join(tls, 'server', 'key.pem'),
    HOLDFAST_TLS_CLIENT_CA_FILE: join(tls, 'server', 'ca.pem'),
  };
}

/** In the order in which they start. */
function serviceSpecs(options: ServicesOptions): ProgramSpec[] {
  const { files, config, ingestPort, toxiproxy, sources } = options;
  const folder = files.process;
  const common = { restarts: true, graceMs: GRACE_MS, role: 'service', sources } as const;
  const tls = config.tls === '1';
  return [
    {
      ...common,
      name: 'server',
      command: nodeCommand(...SERVER_FLAGS, 'server/main.ts', 'run'),
      environment: {
        NODE_ENV: 'production',
        MALLOC_ARENA_MAX: '2',
        HOLDFAST_INGEST_HOST: '127.0.0.1',
        HOLDFAST_INGEST_PORT: String(ingestPort),
        HOLDFAST_API_HOST: '127.0.0.1',
        HOLDFAST_API_PORT: String(config.apiPort),
        HOLDFAST_STORE_PATH: storePath(folder),
        HOLDFAST_LAB_TOXIPROXY: `http://127.0.0.1:${config.toxiproxyPort}`,
        HOLDFAST_LAB_LINK_EXIT: `127.0.0.1:${ingestPort}`,
        HOLDFAST_LAB_COLLECTOR_PAGE: `http://127.0.0.1:${config.statusPort}/`,
        HOLDFAST_TOKEN_FILE: files.token,
        ...serverTls(tls, files.tls),
      },
      data: storePath(folder),
      ports: { [PORT_IN_COMPOSE.api]: config.apiPort, [PORT_IN_COMPOSE.ingest]: ingestPort },
    },
    {
      ...common,
      name: 'toxiproxy',
      command: [
        toxiproxy,
        '-host=127.0.0.1',
        `-port=${config.toxiproxyPort}`,
        `-config=${toxiproxyConfigPath(folder)}`,
      ],
      environment: { LOG_LEVEL: 'info' }, // by default it traces every connection
      data: null,
      ports: {
        [PORT_IN_COMPOSE.link]: config.linkPort,
        [PORT_IN_COMPOSE.toxiproxyApi]: config.toxiproxyPort,
      },
      graceMs: TOXIPROXY_GRACE_MS,
      sources: JSON.stringify(toxiproxyConfig(options)),
    },
    {
      ...common,
      name: 'collector',
      command: nodeCommand(...COLLECTOR_FLAGS, 'collector/main.ts', 'run'),
      environment: {
        NODE_ENV: 'production',
        HOLDFAST_SERVER: `127.0.0.1:${config.linkPort}`,
        HOLDFAST_TOKEN_FILE: files.token,
        ...collectorTls(tls, files.tls),
        HOLDFAST_QUEUE_PATH: queuePath(folder),
        HOLDFAST_STATUS_HOST: '127.0.0.1',
        HOLDFAST_STATUS_PORT: String(config.statusPort),
      },
      data: queuePath(folder),
      ports: { [PORT_IN_COMPOSE.status]: config.statusPort },
    },
  ];
}

/** What Toxiproxy reads at each start: the link, whole. */
function toxiproxyConfig({ config, ingestPort }: ServicesOptions) {
  return [
    {
      name: PROXY,
      listen: `127.0.0.1:${config.linkPort}`,
      upstream: `127.0.0.1:${ingestPort}`,
      enabled: true,
    },
  ];
}

/** Notes what the services are, for every later command, and for what heals them. */
export function writeServices(options: ServicesOptions): ProgramSpec[] {
  const specs = serviceSpecs(options);
  const folder = options.files.process;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeWhole(toxiproxyConfigPath(folder), JSON.stringify(toxiproxyConfig(options)), 0o600);
  writeWhole(servicesPath(folder), JSON.stringify(specs, undefined, 2), 0o600);
  return specs;
}

/** What the last `up` noted; null when there was none. */
export function readServices({ process: folder }: LabFiles): ProgramSpec[] | null {
  const path = servicesPath(folder);
  if (!existsSync(path)) return null;
  return z.array(programSpec).parse(JSON.parse(readFileSync(path, 'utf8')));
}

/** Its ports as the settings that move them, for commands on a lab that is there. */
export function placeOfServices(files: LabFiles): Record<string, string> | null {
  const specs = readServices(files);
  if (specs === null) return null;
  const port = (service: string, number: number) =>
    String(specs.find(({ name }) => name === service)?.ports[number] ?? '');
  return {
    HOLDFAST_API_PORT: port('server', PORT_IN_COMPOSE.api),
    HOLDFAST_STATUS_PORT: port('collector', PORT_IN_COMPOSE.status),
    HOLDFAST_LINK_PORT: port('toxiproxy', PORT_IN_COMPOSE.link),
    HOLDFAST_TOXIPROXY_PORT: port('toxiproxy', PORT_IN_COMPOSE.toxiproxyApi),
  };
}
