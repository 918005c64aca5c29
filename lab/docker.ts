/**
 * The docker client: the few questions and orders that the lab has for an engine, each with a time
 * limit. The only file that calls `docker` (Compose apart, which is compose.ts). Finding,
 * installing and starting an engine is engine.ts.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { z } from 'zod';
import { LabError } from '#lab/errors.ts';
import type { Followed, Programs, RunOptions, RunResult } from '#lab/process.ts';

const QUESTION_TIMEOUT_MS = 20_000;
/** For orders that wait for a program: a stop has its grace period. */
const ORDER_TIMEOUT_MS = 60_000;
const DEFAULT_SOCKET = '/var/run/docker.sock';

const versionAnswer = z.object({
  Client: z.object({ Version: z.string(), Context: z.string().optional() }).nullish(),
  Server: z
    .object({
      Version: z.string(),
      ApiVersion: z.string(),
      Os: z.string(),
      Arch: z.string(),
    })
    .nullish(),
});

const infoAnswer = z.object({
  DockerRootDir: z.string(),
  OperatingSystem: z.string(),
  SecurityOptions: z.array(z.string()).nullish(),
});

export interface Engine {
  clientVersion: string;
  version: string;
  apiVersion: string;
  /** As Go names it: amd64, arm64. */
  arch: string;
  os: string;
}

/** What asking for an engine found. */
export type EngineProbe =
  | { kind: 'ready'; engine: Engine }
  /** No docker client on PATH. */
  | { kind: 'no_client' }
  /** The engine's socket is there, but this user may not use it. */
  | { kind: 'denied'; socket: string }
  /** Nothing answers; `elsewhere` names DOCKER_HOST or the context that points away from here. */
  | { kind: 'silent'; reason: string; elsewhere: string | null };

export interface Container {
  id: string;
  name: string;
  service: string;
  state: string;
  /** Docker's own words: "Up 3 seconds (healthy)". */
  status: string;
  image: string;
  ports: string;
}

const inspectAnswer = z.array(
  z.object({
    Id: z.string(),
    Name: z.string(),
    State: z.object({
      Running: z.boolean(),
      Paused: z.boolean(),
      Restarting: z.boolean(),
      StartedAt: z.string(),
    }),
    Config: z.object({
      Image: z.string(),
      User: z.string(),
      Env: z.array(z.string()).nullish(),
    }),
    Mounts: z.array(
      z.object({
        Type: z.string(),
        Name: z.string().optional(),
        Source: z.string(),
        Destination: z.string(),
        RW: z.boolean(),
      }),
    ),
    NetworkSettings: z.object({
      Ports: z.record(z.string(), z.array(z.object({ HostPort: z.string() })).nullable()),
      Networks: z.record(z.string(), z.unknown()),
    }),
  }),
);

/** What the engine tells of one container, running or not; the names are its own. */
export type Inspected = z.output<typeof inspectAnswer>[number];

export type Leftover = 'container' | 'network' | 'volume' | 'image';

export class Docker {
  readonly #programs: Programs;

  constructor(programs: Programs) {
    this.#programs = programs;
  }

  async probe(): Promise<EngineProbe> {
    const result = await this.#docker(['version', '--format', '{{json .}}']);
    if (result.exitCode === 127) return { kind: 'no_client' };
    const answer = parseJson(versionAnswer, result.stdout);
    if (result.exitCode === 0 && answer?.Server) {
      const { Version: version, ApiVersion: apiVersion, Arch: arch, Os: os } = answer.Server;
      const clientVersion = answer.Client?.Version ?? 'unknown';
      return { kind: 'ready', engine: { clientVersion, version, apiVersion, arch, os } };
    }
    const elsewhere = pointsElsewhere(answer?.Client?.Context);
    if (elsewhere === null && socketDenied()) return { kind: 'denied', socket: DEFAULT_SOCKET };
    const reason = result.gaveUp ? 'no answer in time' : (result.lastLines.at(-1) ?? 'no answer');
    return { kind: 'silent', reason, elsewhere };
  }

  /** The engine's data directory on the host, for its free space; null when it does not say. */
  async rootDirectory(): Promise<string | null> {
    const result = await this.#docker(['info', '--format', '{{json .}}']);
    return parseJson(infoAnswer, result.stdout)?.DockerRootDir ?? null;
  }

  /** The id of an image that the engine holds, or null. */
  async imageId(reference: string): Promise<string | null> {
    const result = await this.#docker(['image', 'inspect', '--format', '{{.Id}}', reference]);
    return result.exitCode === 0 ? result.stdout.trim() : null;
  }

  /** What an image takes on the engine's disk, its base included; null where it isn't held. */
  async imageBytes(reference: string): Promise<number | null> {
    const result = await this.#docker(['image', 'inspect', '--format', '{{.Size}}', reference]);
    return result.exitCode === 0 ? Number(result.stdout.trim()) : null;
  }

  /** One label of an image that the engine holds; null without the image or the label. */
  async imageLabel(reference: string, label: string): Promise<string | null> {
    const format = `{{index .Config.Labels "${label}"}}`;
    const result = await this.#docker(['image', 'inspect', '--format', format, reference]);
    return result.exitCode === 0 ? result.stdout.trim() || null : null;
  }

  /** Runs a longer docker command (pull, build, import) with the caller's limits. */
  command(args: readonly string[], options: RunOptions): Promise<RunResult> {
    return this.#programs.run('docker', args, options);
  }

  /**
   * An order that has to succeed.
   * @param what completes "could not …".
   * @throws LabError `command_failed` with the engine's words.
   */
  async must(
    args: readonly string[],
    what: string,
    timeoutMs = ORDER_TIMEOUT_MS,
  ): Promise<RunResult> {
    const result = await this.command(args, { timeoutMs });
    if (result.exitCode === 0) return result;
    throw new LabError({
      code: 'command_failed',
      message: `could not ${what}`,
      details: result.gaveUp ? ['docker did not finish in time'] : result.lastLines,
      next: ['To see how the services stand: make status'],
    });
  }

  /** One container, by its id or name. @throws LabError `command_failed` where there is none. */
  async inspect(container: string): Promise<Inspected> {
    const result = await this.must(
      ['container', 'inspect', container],
      `ask for the container ${container}`,
      QUESTION_TIMEOUT_MS,
    );
    const [inspected] = inspectAnswer.parse(JSON.parse(result.stdout));
    if (inspected === undefined) throw new Error('docker inspect answered with an empty list');
    return inspected;
  }

  /** A docker command whose lines are wanted as they come (events, an attached container). */
  follow(args: readonly string[], onLine: (line: string) => void): Followed {
    return this.#programs.follow('docker', args, onLine);
  }

  /** The containers with all these labels, running or not. */
  async containers(labels: readonly string[]): Promise<Container[]> {
    const fields = [
      '{{.ID}}',
      '{{.Names}}',
      '{{.Label "com.docker.compose.service"}}',
      '{{.State}}',
      '{{.Status}}',
      '{{.Image}}',
      '{{.Ports}}',
    ];
    const result = await this.#docker([
      ...['ps', '--all', '--no-trunc', '--format', fields.join('\t')],
      ...filters(labels),
    ]);
    return result.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [id = '', name = '', service = '', state = '', status = '', image = '', ports = ''] =
          line.split('\t');
        return { id, name, service, state, status, image, ports };
      });
  }

  /** What the containers with these labels have in one more label, each once. */
  async valuesOf(label: string, labels: readonly string[]): Promise<string[]> {
    const format = `{{.Label "${label}"}}`;
    const result = await this.#docker(['ps', '--all', '--format', format, ...filters(labels)]);
    return [...new Set(result.stdout.split('\n').filter((line) => line !== ''))];
  }

  /** Removes the unused networks of testcontainers that are older than any test could be. */
  async pruneTestNetworks(): Promise<void> {
    const filter = ['--filter', 'label=org.testcontainers=true', '--filter', 'until=15m'];
    await this.#docker(['network', 'prune', '--force', ...filter]);
  }

  /** Name of the container that publishes a port of this host, or null. */
  async publisherOf(port: number): Promise<string | null> {
    const result = await this.#docker([
      'ps',
      '--filter',
      `publish=${port}`,
      '--format',
      '{{.Names}}',
    ]);
    return result.stdout.split('\n')[0]?.trim() || null;
  }

  /**
   * Removes what carries all these labels and returns what went, as "container name". What is in
   * use by something without the labels stays.
   */
  async sweep(kinds: readonly Leftover[], labels: readonly string[]): Promise<string[]> {
    const removed: string[] = [];
    for (const kind of kinds) {
      for (const name of await this.#named(kind, labels)) {
        const args =
          kind === 'container' ? ['rm', '--force', '--volumes', name] : [kind, 'rm', name];
        const result = await this.#docker(args);
        if (result.exitCode === 0) removed.push(`${kind} ${name}`);
      }
    }
    return removed;
  }

  async #named(kind: Leftover, labels: readonly string[]): Promise<string[]> {
    const args = {
      container: ['ps', '--all', '--format', '{{.Names}}'],
      network: ['network', 'ls', '--format', '{{.Name}}'],
      volume: ['volume', 'ls', '--format', '{{.Name}}'],
      image: ['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}'],
    }[kind];
    const result = await this.#docker([...args, ...filters(labels)]);
    return result.stdout.split('\n').filter((line) => line !== '');
  }

  #docker(args: readonly string[]): Promise<RunResult> {
    return this.#programs.run('docker', args, { timeoutMs: QUESTION_TIMEOUT_MS });
  }
}

function filters(labels: readonly string[]): string[] {
  return labels.flatMap((label) => ['--filter', `label=${label}`]);
}

function parseJson<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null; // no JSON at all is an answer as well: nothing to be learnt from it
  }
}

function pointsElsewhere(context: string | undefined): string | null {
  const host = process.env.DOCKER_HOST;
  if (host !== undefined && host !== '' && host !== `unix://${DEFAULT_SOCKET}`) {
    return `DOCKER_HOST=${host}`;
  }
  return context === undefined || context === 'default' ? null : `docker context "${context}"`;
}

function socketDenied(): boolean {
  if (!existsSync(DEFAULT_SOCKET)) return false;
  try {
    accessSync(DEFAULT_SOCKET, constants.R_OK | constants.W_OK);
    return false;
  } catch {
    return true;
  }
}
