/**
 * Installing the distribution's packages: the only file that does, and the one place that decides
 * whether it may be done at all. Which packages are wanted, and why, the callers say. What is only
 * unpacked and never installed is debian-packages.ts'.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { LabConfig } from '#lab/config.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import type { Programs } from '#lab/process.ts';
import type { Step } from '#lab/steps.ts';

const UPDATE_TIMEOUT_MS = 180_000;
const INSTALL_TIMEOUT_MS = 900_000;
const QUIET = ['-q', '-y', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=300'];
const ENVIRONMENT = { DEBIAN_FRONTEND: 'noninteractive' };

export interface Wanted {
  /** Each entry is one package, or alternatives of which the first that exists is taken. */
  packages: readonly (string | readonly string[])[];
  /** What is missing without them; completes "… is not here". */
  missing: string;
  /** What to do where it can't be installed from here; a sentence. */
  otherwise?: string;
}

/** {@link Wanted.otherwise} of all that Docker's own packages bring. */
export const DOCKER_OTHERWISE =
  'Install Docker Engine with its Compose plugin the way this system does, then run this again.';

/** True on Debian and what derives from it, by /etc/os-release. */
export function isDebianLike(): boolean {
  const release = '/etc/os-release';
  if (!existsSync(release)) return false;
  const { ID = '', ID_LIKE = '' } = parseEnv(readFileSync(release, 'utf8'));
  return [ID, ...ID_LIKE.split(' ')].some((name) => name === 'debian' || name === 'ubuntu');
}

/** The command that does the same by hand; `sudo` where this user needs it. */
export function installCommand(wanted: Wanted): string {
  const names = wanted.packages.map((entry) => (typeof entry === 'string' ? entry : entry[0]));
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  return (
    `${sudo}apt-get update && ` +
    `${sudo}apt-get install -y --no-install-recommends ${names.join(' ')}`
  );
}

/**
 * Installs packages, having said what and why.
 * @throws LabError `install_refused` when it may not (HOLDFAST_NO_INSTALL, not root, no apt-get),
 *   with the command to run by hand; `install_failed` when apt-get fails.
 */
export async function install(
  wanted: Wanted,
  context: { config: LabConfig; programs: Programs; step: Step },
): Promise<void> {
  refuseWhereForbidden(wanted, context.config);
  const { programs } = context;
  await programs.oneAtATime('apt-get', () => installNow(wanted, context));
}

async function installNow(
  wanted: Wanted,
  { programs, step }: { programs: Programs; step: Step },
): Promise<void> {
  // Mends what an apt-get that was killed earlier left behind; does nothing otherwise.
  await programs.run('dpkg', ['--configure', '-a'], {
    timeoutMs: INSTALL_TIMEOUT_MS,
    env: ENVIRONMENT,
    uninterruptible: true,
  });
  step.progress('reading the package lists');
  await programs.must('apt-get', ['update', ...QUIET], {
    what: 'read the package lists',
    code: 'install_failed',
    timeoutMs: UPDATE_TIMEOUT_MS,
    env: ENVIRONMENT,
  });
  const names: string[] = [];
  for (const entry of wanted.packages) names.push(await firstThatExists(entry, wanted, programs));
  step.note(`${wanted.missing} is not here: installing ${names.join(', ')} with apt-get`);
  await programs.must('apt-get', ['install', ...QUIET, '--no-install-recommends', ...names], {
    what: `install ${names.join(', ')}`,
    code: 'install_failed',
    timeoutMs: INSTALL_TIMEOUT_MS,
    env: ENVIRONMENT,
    onLine: step.progress,
    uninterruptible: true,
    next: [`By hand, then run this again: ${installCommand(wanted)}`],
  });
}

function refuseWhereForbidden(wanted: Wanted, config: LabConfig): void {
  const command = installCommand(wanted);
  const refuse = (why: string, next: string) => {
    throw new LabError({
      code: 'install_refused',
      exitCode: EXIT.usage,
      message: `${wanted.missing} is not here, and ${why}`,
      next: [next],
    });
  };
  if (!isDebianLike()) {
    refuse(
      'only on Debian and Ubuntu can it be installed from here',
      wanted.otherwise ?? 'Install it the way this system does, then run this again.',
    );
  }
  if (config.noInstall === '1') {
    refuse('HOLDFAST_NO_INSTALL=1 forbids installing it', `Run, then try again: ${command}`);
  }
  if (process.getuid?.() !== 0) {
    refuse('this user may not install it', `Run, then try again: ${command}`);
  }
}

async function firstThatExists(
  entry: string | readonly string[],
  { otherwise }: Wanted,
  programs: Programs,
): Promise<string> {
  if (typeof entry === 'string') return entry;
  for (const name of entry) {
    const found = await programs.run('apt-cache', ['show', '--no-all-versions', name], {
      timeoutMs: 30_000,
    });
    if (found.exitCode === 0) return name;
  }
  throw new LabError({
    code: 'install_failed',
    message: `none of these packages exists for this system: ${entry.join(', ')}`,
    next: [otherwise ?? 'Install it by hand, then run this again.'],
  });
}
