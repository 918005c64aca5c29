/**
 * Toxiproxy as a program of this host, for what runs on loopback without containers: named by a
 * setting, found on PATH, taken out of the image that the lab uses, or, where no engine answers,
 * built from its Go module. Nothing is installed for it but, where there is neither Go nor pip, pip.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { LAB_SETTINGS } from '#lab/config.ts';
import type { Engine } from '#lab/docker.ts';
import { findProgram } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { ensureForeignImage, type ForeignImage, TOXIPROXY } from '#lab/images.ts';
import { withLock } from '#lab/lock.ts';
import { PATHS } from '#lab/paths.ts';
import { describeImage, known, type LabContext } from '#lab/setup.ts';
import { makeToxiproxyProgram, TOXIPROXY_VERSION } from '#lab/stand-ins.ts';
import { runSteps, type Step, type StepPlan } from '#lab/steps.ts';

const COPY_TIMEOUT_MS = 60_000;
const VERSION_TIMEOUT_MS = 10_000;
/** Packages call it by the first name, the image and its Go module by the others. */
const NAMES_ON_PATH = ['toxiproxy-server', 'toxiproxy'];

type Context = Pick<LabContext, 'config' | 'programs' | 'docker'>;

/**
 * The path of the program, fetched or built at first need.
 * @throws LabError `image_unavailable` off Linux and where it can be had in no way, and
 *   `bad_configuration` when the one that is named can't be run.
 */
export async function toxiproxyProgram(
  context: LabContext,
  print: (line: string) => void,
): Promise<string> {
  const here = await toxiproxyHere(context);
  if (here !== null) return here;
  const waiting = () => print('Another ./holdfast is setting up in this checkout; waiting for it.');
  return withLock('lab', waiting, context.signal, async () => {
    let path: string | undefined;
    const found = (at: string) => {
      path = at;
    };
    await runSteps([toxiproxyStep(context, found)]);
    return known(path);
  });
}

/** The step of a set-up that gets it; the caller holds the lab's lock. */
export function toxiproxyStep(context: Context, found: (path: string) => void): StepPlan {
  return {
    title: 'Toxiproxy program',
    run: async (step) => {
      const path = (await toxiproxyHere(context)) ?? (await fetch({ ...context, step }));
      found(path);
      return path;
    },
  };
}

/** The one that is named, that was fetched before, or that is on PATH in the lab's version. */
export async function toxiproxyHere({ config, programs }: Context): Promise<string | null> {
  requireLinux();
  if (config.toxiproxyProgram !== undefined) return named(config.toxiproxyProgram);
  const path = fetchedPath(config);
  if (existsSync(path)) return path;
  for (const name of config.toxiproxyImage === undefined ? NAMES_ON_PATH : []) {
    const onPath = findProgram(name);
    if (onPath === null) continue;
    const { stdout } = await programs.run(onPath, ['-version'], { timeoutMs: VERSION_TIMEOUT_MS });
    if (stdout.trim().endsWith(` ${TOXIPROXY_VERSION}`)) return onPath;
  }
  return null;
}

function named(path: string): string {
  const whole = resolve(PATHS.root, path);
  try {
    accessSync(whole, constants.X_OK);
    if (statSync(whole).isFile()) return whole;
  } catch {
    // No file, or none that may be run: the same to who named it.
  }
  throw new LabError({
    code: 'bad_configuration',
    exitCode: EXIT.usage,
    message: `${LAB_SETTINGS.toxiproxyProgram.name}=${path} is no program that can be run`,
    next: ["Name Toxiproxy 2's server program, or unset it: then one is found or built."],
  });
}

function fetchedPath({ toxiproxyImage }: LabContext['config']): string {
  const name = toxiproxyImage ?? TOXIPROXY_VERSION;
  return join(PATHS.tools, `toxiproxy-${name.replaceAll(/[^\w.-]/g, '_')}`);
}

async function fetch(context: Context & { step: Step }): Promise<string> {
  const path = fetchedPath(context.config);
  mkdirSync(PATHS.tools, { recursive: true });
  const probe = await context.docker.probe();
  if (probe.kind === 'ready') return fromImage(path, { ...context, engine: probe.engine });
  try {
    await makeToxiproxyProgram(path, context);
  } catch (error) {
    if (!(error instanceof LabError) || error.code === 'interrupted') throw error;
    throw unavailable(error);
  }
  return path;
}

function unavailable(error: LabError): LabError {
  return new LabError({
    code: 'image_unavailable',
    exitCode: error.exitCode,
    message: `there is no Toxiproxy ${TOXIPROXY_VERSION} here, no Docker engine to take it from, and it could not be built`,
    details: [error.message, ...error.details],
    next: [
      ...error.next,
      `Or name its server program, from its releases page or a package: ${LAB_SETTINGS.toxiproxyProgram.name}=/path make up`,
    ],
    cause: error,
  });
}

async function fromImage(
  path: string,
  context: Context & { step: Step; engine: Engine },
): Promise<string> {
  const image: ForeignImage = await ensureForeignImage(TOXIPROXY, context);
  context.step.progress(`taking it out of ${describeImage(image)}`);
  return copyOut(image.reference, path, context);
}

/** By a container that is never started: the image needs no shell and no copy of its own. */
async function copyOut(image: string, path: string, { docker }: Context): Promise<string> {
  const container = `holdfast-toxiproxy-copy-${process.pid}`;
  const half = `${path}.${process.pid}`;
  const run = async (...args: string[]) => {
    const result = await docker.command(args, { timeoutMs: COPY_TIMEOUT_MS });
    if (result.exitCode === 0) return;
    throw new LabError({
      code: 'image_unavailable',
      message: `could not take the program out of the image ${image}`,
      details: result.lastLines,
      next: [`To see it whole: docker ${args.join(' ')}`],
    });
  };
  await run('create', '--name', container, image);
  try {
    await run('cp', `${container}:/toxiproxy`, half);
    renameSync(half, path);
  } finally {
    rmSync(half, { force: true });
    await run('rm', container);
  }
  return path;
}

function requireLinux(): void {
  if (process.platform === 'linux') return;
  throw new LabError({
    code: 'image_unavailable',
    exitCode: EXIT.usage,
    message: `Toxiproxy's program comes from a Linux image and cannot run on ${process.platform}`,
    next: ['Run this on Linux, or in a Linux virtual machine.'],
  });
}
