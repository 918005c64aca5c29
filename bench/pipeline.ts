/**
 * The path that is measured: source -> Toxiproxy -> server, real processes on loopback, each part
 * with directories of its own on the disk of this checkout.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnpackedPackages } from '#lab/debian-packages.ts';
import type { Docker } from '#lab/docker.ts';
import { Link } from '#lab/link.ts';
import { freePort } from '#lab/ports.ts';
import { BenchError } from './errors.ts';
import {
  type Programs,
  type Running,
  type RunningServer,
  type RunningSource,
  TOKEN,
} from './programs.ts';
import { machineMs, type SourceStart } from './source/commands.ts';
import type { FramePlan } from './source/frames.ts';

const COLLECTOR = 'bench';
const QUEUE_LIMIT_BYTES = 4 * 1_024 ** 3;
const TOXIPROXY_WITHIN_MS = 10_000;
const POLL_MS = 20;

export type Size = 'short' | 'full';

/** What every measurement is given. */
export interface Bench {
  readonly programs: Programs;
  /** Toxiproxy's program. */
  readonly toxiproxy: string;
  /** For what concerns images; there may be no engine. */
  readonly docker: Docker;
  /** Programs out of Debian's packages, fetched at first need. Throws LabError where they can't be had. */
  readonly debianPackages: (names: readonly string[]) => Promise<UnpackedPackages>;
  /** An empty directory for queues, stores and probes. */
  readonly directory: string;
  readonly seed: number;
  /** How much is measured: `short` in minutes, `full` at large sizes with many repeats. */
  readonly size: Size;
  /** Aborted when the benchmark is interrupted. */
  readonly signal: AbortSignal;
  /** Says where a long measurement is. */
  readonly progress: (text: string) => void;
}

export interface Pipeline {
  readonly server: RunningServer;
  readonly source: RunningSource;
  readonly toxiproxy: Running;
  readonly link: Link;
  /** Opens the link and says when that was begun, by {@link machineMs}. */
  restore(): Promise<number>;
  stop(): Promise<void>;
}

/** Frames of this length, made from the benchmark's seed and captured from now on. */
export function planOf({ seed }: Bench, payloadBytes: number): FramePlan {
  return { seed, payloadBytes, startedAt: Date.now() * 1_000 };
}

/** Starts all of it, with the link cut. `name` is the directory's; the server's store is in it. */
export async function startPipeline(
  bench: Bench,
  name: string,
  plan: FramePlan,
  serverSettings: Readonly<Record<string, string>> = {},
  sourceSettings: Pick<SourceStart, 'compression' | 'keepSettledBytes'> = {},
): Promise<Pipeline> {
  const directory = join(bench.directory, name);
  await mkdir(directory);
  const server = await bench.programs.server(join(directory, 'store'), serverSettings);
  const { link, port, toxiproxy } = await startLink(bench, directory, server.port);
  await link.cut();
  const source = await bench.programs.source({
    server: { host: '127.0.0.1', port },
    token: TOKEN,
    collector: COLLECTOR,
    queuePath: join(directory, 'queue'),
    queueLimitBytes: QUEUE_LIMIT_BYTES,
    plan,
    ...sourceSettings,
  });
  return {
    server,
    source,
    toxiproxy,
    link,
    restore: async () => {
      const at = machineMs();
      await link.restore();
      return at;
    },
    stop: async () => {
      await source.stop();
      await toxiproxy.stop();
      await server.stop();
    },
  };
}

/** A Toxiproxy of its own before a port of this machine, open; `directory` is for its file. */
export async function startLink(bench: Bench, directory: string, serverPort: number) {
  const [port, apiPort] = [await freePort(), await freePort()];
  const proxies = [
    {
      name: 'link',
      listen: `127.0.0.1:${port}`,
      upstream: `127.0.0.1:${serverPort}`,
      enabled: true,
    },
  ];
  const config = join(directory, 'toxiproxy.json');
  await writeFile(config, JSON.stringify(proxies));
  const args = ['-host', '127.0.0.1', '-port', String(apiPort), '-config', config];
  const toxiproxy = bench.programs.start(bench.toxiproxy, args);
  const link = new Link(apiPort);
  await answering(link);
  return { link, port, toxiproxy };
}

async function answering(link: Link): Promise<void> {
  const deadline = performance.now() + TOXIPROXY_WITHIN_MS;
  for (;;) {
    try {
      await link.read();
      return;
    } catch (cause) {
      if (performance.now() > deadline) {
        throw new BenchError('Toxiproxy was started but does not answer', { cause });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
