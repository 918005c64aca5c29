/**
 * Toxiproxy as a program of this host, for what runs on loopback without containers: taken out of
 * the image that the lab uses, so that nothing else has to be installed.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureEngine } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { ensureForeignImage, type ForeignImage, TOXIPROXY } from '#lab/images.ts';
import { withLock } from '#lab/lock.ts';
import { PATHS } from '#lab/paths.ts';
import { describeImage, known, type LabContext } from '#lab/setup.ts';
import { TOXIPROXY_VERSION } from '#lab/stand-ins.ts';
import { runSteps, type Step } from '#lab/steps.ts';

const COPY_TIMEOUT_MS = 60_000;

/**
 * The path of the program; fetched at first need, which may install an engine as `up` does.
 * @throws LabError `image_unavailable` off Linux, and those of set-up.
 */
export async function toxiproxyProgram(
  context: LabContext,
  print: (line: string) => void,
): Promise<string> {
  requireLinux();
  const named = context.config.toxiproxyImage ?? TOXIPROXY_VERSION;
  const path = join(PATHS.tools, `toxiproxy-${named.replaceAll(/[^\w.-]/g, '_')}`);
  if (existsSync(path)) return path;
  const waiting = () => print('Another ./holdfast is setting up in this checkout; waiting for it.');
  await withLock('lab', waiting, context.signal, async () => {
    if (!existsSync(path)) await fetch(path, context);
  });
  return path;
}

async function fetch(path: string, context: LabContext): Promise<void> {
  let image: ForeignImage | undefined;
  await runSteps([
    {
      title: 'Toxiproxy image',
      run: async (step) => {
        const engine = await ensureEngine({ ...context, step });
        image = await ensureForeignImage(TOXIPROXY, { ...context, step, engine });
        return describeImage(image);
      },
    },
    {
      title: 'Toxiproxy program',
      run: (step) => copyOut(known(image).reference, path, { ...context, step }),
    },
  ]);
}

/** By a container that is never started: the image needs no shell and no copy of its own. */
async function copyOut(
  image: string,
  path: string,
  { docker }: LabContext & { step: Step },
): Promise<string> {
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
  mkdirSync(PATHS.tools, { recursive: true });
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
