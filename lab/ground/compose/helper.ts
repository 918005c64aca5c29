/**
 * A hand inside a service: a container that lives for one command, in the service's process and
 * network namespaces. The service needs no shell and no tools for it, nor does it matter whether it
 * is frozen; and what the command takes is not the service's.
 */
import type { Docker } from '#lab/docker.ts';
import { LabError } from '#lab/errors.ts';
import type { RunResult } from '#lab/process.ts';
import { labelled } from './labels.ts';

const TIMEOUT_MS = 60_000;

export interface Helpers {
  readonly docker: Docker;
  readonly project: string;
  /** An image with a shell and Debian's essential packages. */
  readonly image: string;
}

/** What a container of chaos has for protection, as in docker-compose.yml. */
export const HARDENING = [
  ...['--read-only', '--cap-drop', 'ALL'],
  ...['--security-opt', 'no-new-privileges:true'],
] as const;

/** The services' user: it may do to its own processes all that helpers do. */
export const USER = ['--user', '1000:1000'] as const;

export interface Where {
  /** The container whose processes and network interfaces it sees; it has to run, or be frozen. */
  readonly inside?: string;
  /** More options of `docker run`. */
  readonly options?: readonly string[];
}

/** Runs a shell script and returns what came of it; `args` are its $1, $2 … */
export function help(
  { docker, project, image }: Helpers,
  where: Where,
  script: string,
  args: readonly string[] = [],
): Promise<RunResult> {
  const namespaces =
    where.inside === undefined
      ? ['--network', 'none']
      : ['--pid', `container:${where.inside}`, '--network', `container:${where.inside}`];
  const options = [...labelled(project, 'helper'), ...HARDENING, ...USER, ...namespaces];
  const command = [image, 'sh', '-c', script, 'sh', ...args];
  return docker.command(['run', '--rm', ...options, ...(where.options ?? []), ...command], {
    timeoutMs: TIMEOUT_MS,
  });
}

/**
 * As `help`, and an exit code other than 0 is a failure.
 * @param what completes "could not …".
 * @throws LabError `command_failed`
 */
export async function mustHelp(
  helpers: Helpers,
  where: Where,
  what: string,
  script: string,
  args: readonly string[] = [],
): Promise<string> {
  const result = await help(helpers, where, script, args);
  if (result.exitCode === 0) return result.stdout;
  throw new LabError({
    code: 'command_failed',
    message: `could not ${what}`,
    details: result.gaveUp ? ['docker did not finish in time'] : result.lastLines,
    next: ['To see how the services stand: make status'],
  });
}
