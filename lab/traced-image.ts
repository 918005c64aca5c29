/**
 * The image by which disks fail: Holdfast's own, with strace in it, which has system calls fail or
 * wait. Integration tests run their programs in it, chaos lends a hand out of it to those that run;
 * nothing that `up` starts has it.
 */
import { join } from 'node:path';
import { EXIT, LabError } from '#lab/errors.ts';
import { APP_LABEL, type ForeignImage } from '#lab/images.ts';
import { CHECKOUT, PATHS } from '#lab/paths.ts';
import { makeStrace, type StandInContext } from '#lab/stand-ins.ts';

const FOLDER = join(PATHS.root, 'lab', 'traced');
const BUILD_TIMEOUT_MS = 600_000;
const ID_DIGITS = 12;

/** The name of the traced image that belongs to an image of Holdfast. */
export function tracedImage(app: string): string {
  return `${app}-traced`;
}

/**
 * Builds the traced image of `app` unless it is here, and returns its reference.
 * @throws LabError `command_failed` with the end of the build's output; those of `makeStrace`.
 */
export async function ensureTracedImage(
  app: string,
  base: ForeignImage,
  context: StandInContext,
): Promise<string> {
  const reference = tracedImage(app);
  if ((await context.docker.imageId(reference)) !== null) return reference;
  const tool = await ensureStrace(base, context);
  await build(reference, ['--build-arg', `TOOL=${tool}`, '--build-arg', `APP=${app}`], context);
  return reference;
}

/** By the base's own package manager; a stand-in has none, so there Debian's package is taken. */
async function ensureStrace(base: ForeignImage, context: StandInContext): Promise<string> {
  const { docker } = context;
  const baseId = (await docker.imageId(base.reference)) ?? base.reference;
  const id = baseId.replace(/^sha256:/, '').slice(0, ID_DIGITS);
  const reference = `holdfast-strace:${CHECKOUT}-${id}`;
  if ((await docker.imageId(reference)) !== null) return reference;
  if (base.origin === 'stand-in') {
    await makeStrace(reference, APP_LABEL, context);
  } else {
    const file = ['--file', join(FOLDER, 'strace.Dockerfile')];
    await build(reference, [...file, '--build-arg', `BASE=${base.reference}`], context);
  }
  return reference;
}

async function build(
  reference: string,
  options: readonly string[],
  { docker, step }: StandInContext,
): Promise<void> {
  const args = ['build', '--tag', reference, '--label', APP_LABEL, ...options, FOLDER];
  const result = await docker.command(args, {
    timeoutMs: BUILD_TIMEOUT_MS,
    onLine: step.progress,
  });
  if (result.exitCode === 0) return;
  throw new LabError({
    code: 'command_failed',
    exitCode: EXIT.failed,
    message: `could not build ${reference}, with which system calls are made to fail`,
    details: result.lastLines,
    next: [`To see it whole: docker ${args.join(' ')}`],
  });
}
