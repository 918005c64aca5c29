/**
 * The folder that the image is built from: a snapshot of the programs' sources, the page as it was
 * built (dashboard.ts) and the production packages, put together on the host because a build may
 * reach no package registry. Its content has a hash, and that hash is the image's tag: nothing
 * changed means nothing to build.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addContent, filesIn } from '#lab/content.ts';
import { PATHS } from '#lab/paths.ts';
import type { Programs } from '#lab/process.ts';
import type { Step } from '#lab/steps.ts';

/** Of chaos only the programs that run in a container; who judges stays outside. */
export const STAGED_FOLDERS = [
  'protocol',
  'collector',
  'server',
  'dashboard/dist',
  'chaos/ledger',
  'chaos/mangler',
  'chaos/source',
  'lab/image',
];
/** Of the lab what the server cuts the link by. */
export const STAGED_FILES = [
  ...['package.json', 'Dockerfile', 'chaos/random.ts'],
  ...['lab/link.ts', 'lab/toxics.ts', 'lab/errors.ts'],
];
const NPM_TIMEOUT_MS = 300_000;
const TAG_DIGITS = 12;

const contextFolder = join(PATHS.tools, 'image');
const packagesStamp = join(contextFolder, 'packages.stamp');

/**
 * The hash of all that the image is made from, as a tag: sources, packages, base image, platform.
 * @param folder the checkout, or a snapshot of it.
 */
export function contentTag(folder: string, baseId: string, arch: string): string {
  const hash = createHash('sha256').update(`${baseId}\n${arch}\n`);
  for (const path of [...STAGED_FILES, 'package-lock.json', ...STAGED_FOLDERS]) {
    addContent(hash, folder, filesIn(join(folder, path)));
  }
  return hash.digest('hex').slice(0, TAG_DIGITS);
}

/**
 * Puts the build folder together and returns it. Call it under the lab's lock. The production
 * packages are installed anew only when the lock file changed.
 */
export async function stage(
  arch: string,
  context: { programs: Programs; step: Step },
): Promise<string> {
  mkdirSync(contextFolder, { recursive: true });
  await stagePackages(arch, context);
  for (const path of [...STAGED_FOLDERS, ...STAGED_FILES, 'package-lock.json']) {
    rmSync(join(contextFolder, path), { recursive: true, force: true });
    cpSync(join(PATHS.root, path), join(contextFolder, path), { recursive: true });
  }
  return contextFolder;
}

async function stagePackages(
  arch: string,
  { programs, step }: { programs: Programs; step: Step },
): Promise<void> {
  const cpu = arch === 'amd64' ? 'x64' : arch;
  const lock = readFileSync(join(PATHS.root, 'package-lock.json'));
  const wanted = createHash('sha256').update(lock).update(cpu).digest('hex');
  if (existsSync(packagesStamp) && readFileSync(packagesStamp, 'utf8') === wanted) return;

  step.progress('installing the production packages for the image');
  const work = join(PATHS.tools, `packages-${process.pid}`);
  try {
    mkdirSync(work, { recursive: true });
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      cpSync(join(PATHS.root, name), join(work, name));
    }
    await programs.must(
      'npm',
      [
        ...['ci', '--omit=dev', '--ignore-scripts', '--loglevel=error'],
        // The containers' platform, which may not be this host's.
        ...['--os=linux', `--cpu=${cpu}`, '--libc=glibc'],
      ],
      { what: 'install the production packages', cwd: work, timeoutMs: NPM_TIMEOUT_MS },
    );
    rmSync(packagesStamp, { force: true });
    rmSync(join(contextFolder, 'node_modules'), { recursive: true, force: true });
    renameSync(join(work, 'node_modules'), join(contextFolder, 'node_modules'));
    await writeFile(packagesStamp, wanted);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
