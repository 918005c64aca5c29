/**
 * Set-up: the steps that make a machine able to run the lab and its tests (engine, page, images), and the
 * environment file that says what was chosen. `up` goes on from there to the services, `test` to
 * the tests.
 */
import { existsSync, statfsSync, statSync } from 'node:fs';
import { type ComposeProgram, ensureCompose } from '#lab/compose.ts';
import type { LabConfig } from '#lab/config.ts';
import { dashboardStep } from '#lab/dashboard.ts';
import type { Docker, Engine } from '#lab/docker.ts';
import { ensureEngine } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import {
  BASE,
  ensureAppImage,
  ensureForeignImage,
  type ForeignImage,
  TOXIPROXY,
} from '#lab/images.ts';
import { CHECKOUT, type LabFiles, PATHS } from '#lab/paths.ts';
import type { Programs } from '#lab/process.ts';
import { ensureToken, writeLabEnvironment } from '#lab/state.ts';
import type { Step, StepPlan } from '#lab/steps.ts';
import { ensureCertificates, ensureTlsFolders, SERVERNAME, TLS_FILES } from '#lab/tls.ts';

/** What all commands of the lab are given. */
export interface LabContext {
  config: LabConfig;
  programs: Programs;
  docker: Docker;
  /** Where this lab's state is. */
  files: LabFiles;
  /** Aborted by Ctrl-C and signals. */
  signal: AbortSignal;
}

/** Space that images, packages and the data of a first run take, with something to spare. */
export const DISK_BYTES_MIN = 1_500_000_000;

/** What the steps have found or made, each filling in its part. */
export interface Prepared {
  engine?: Engine;
  compose?: ComposeProgram;
  base?: ForeignImage;
  toxiproxy?: ForeignImage;
  /** The image of this checkout. */
  app?: string;
}

/** The steps up to the images; `prepared` is filled in as they run, and {@link noteSetup} follows. */
export function setupSteps(context: LabContext, prepared: Prepared): StepPlan[] {
  const within = (step: Step) => ({ ...context, step, engine: known(prepared.engine) });
  return [
    {
      title: 'Docker engine',
      run: async (step) => {
        prepared.engine = await ensureEngine({ ...context, step });
        return prepared.engine.version;
      },
    },
    {
      title: 'Compose',
      run: async (step) => {
        prepared.compose = await ensureCompose({ ...context, step });
        return prepared.compose.version;
      },
    },
    {
      title: 'Images from elsewhere',
      parallel: [
        {
          title: 'base',
          run: async (step) => {
            await requireDisk(context.docker);
            prepared.base = await ensureForeignImage(BASE, within(step));
            return describeImage(prepared.base);
          },
        },
        {
          title: 'Toxiproxy',
          run: async (step) => {
            prepared.toxiproxy = await ensureForeignImage(TOXIPROXY, within(step));
            return describeImage(prepared.toxiproxy);
          },
        },
      ],
    },
    dashboardStep(context),
    {
      title: 'Holdfast image',
      run: async (step) => {
        const app = await ensureAppImage(known(prepared.base), within(step));
        prepared.app = app.reference;
        return `${app.reference}, ${app.built ? 'built' : 'unchanged'}`;
      },
    },
  ];
}

/**
 * The secret, and the environment file that every later command reads. Last, behind all that can
 * refuse: what was refused must not change how a lab is asked that runs already.
 */
export function noteSetup({ config }: LabContext, prepared: Prepared): StepPlan {
  return {
    title: 'Secret and environment',
    run: async () => {
      ensureToken();
      if (config.tls === '1') ensureCertificates();
      else ensureTlsFolders();
      writeChoices(config, known(prepared.app), known(prepared.base), known(prepared.toxiproxy));
      return '.lab/';
    },
  };
}

/** For what an earlier step has filled in. */
export function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a set-up step ran before the one it stands on');
  return value;
}

export function describeImage({ reference, origin }: ForeignImage): string {
  const from = { registry: 'from the registry', 'stand-in': 'made here', named: 'as configured' };
  return `${reference}, ${from[origin]}`;
}

function writeChoices(
  config: LabConfig,
  app: string,
  base: ForeignImage,
  toxiproxy: ForeignImage,
): void {
  const offline = base.origin === 'stand-in' || toxiproxy.origin === 'stand-in';
  writeLabEnvironment({
    COMPOSE_PROJECT_NAME: config.project,
    HOLDFAST_PROJECT: config.project,
    HOLDFAST_IMAGE: app,
    HOLDFAST_TOXIPROXY_IMAGE: toxiproxy.reference,
    HOLDFAST_CHECKOUT: CHECKOUT,
    HOLDFAST_API_PORT: String(config.apiPort),
    HOLDFAST_STATUS_PORT: String(config.statusPort),
    HOLDFAST_LINK_PORT: String(config.linkPort),
    HOLDFAST_TOXIPROXY_PORT: String(config.toxiproxyPort),
    ...tlsChoices(config.tls === '1'),
    TESTCONTAINERS_RYUK_DISABLED: offline ? 'true' : 'false',
  });
}

function tlsChoices(on: boolean) {
  return {
    HOLDFAST_LAB_TLS: on ? 'on' : 'off',
    HOLDFAST_LAB_TLS_CERT_FILE: on ? TLS_FILES.cert : '',
    HOLDFAST_LAB_TLS_KEY_FILE: on ? TLS_FILES.key : '',
    HOLDFAST_LAB_TLS_CA_FILE: on ? TLS_FILES.ca : '',
    HOLDFAST_LAB_TLS_SERVERNAME: on ? SERVERNAME : '',
  } as const;
}

/** Free bytes where the engine keeps its images (when that is on this host) and here. */
export async function freeBytes(docker: Docker): Promise<{ path: string; bytes: number }[]> {
  const engine = await docker.rootDirectory();
  const engineHere = engine !== null && existsSync(engine);
  const oneDisk = engineHere && statSync(engine).dev === statSync(PATHS.root).dev;
  const paths = [...(engineHere ? [engine] : []), ...(oneDisk ? [] : [PATHS.root])];
  return paths.map((path) => {
    const { bavail, bsize } = statfsSync(path);
    return { path, bytes: bavail * bsize };
  });
}

async function requireDisk(docker: Docker): Promise<void> {
  const short = (await freeBytes(docker)).filter(({ bytes }) => bytes < DISK_BYTES_MIN);
  if (short.length === 0) return;
  throw new LabError({
    code: 'disk_full',
    exitCode: EXIT.usage,
    message: `the lab needs ${gigabytes(DISK_BYTES_MIN)} of free disk`,
    details: short.map(({ path, bytes }) => `${path} has ${gigabytes(bytes)} left`),
    next: [
      'docker system df shows what the engine keeps; docker system prune frees what is unused.',
    ],
  });
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
