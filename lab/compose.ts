/**
 * Compose: finding one (v2, else 1.29), and calling it always with this lab's project name, file
 * and environment file. The only file that knows how v1 and v2 differ.
 */
import { DOCKER_OTHERWISE, install, type Wanted } from '#lab/apt.ts';
import type { LabConfig } from '#lab/config.ts';
import { PATHS } from '#lab/paths.ts';
import type { Programs, RunOptions, RunResult } from '#lab/process.ts';
import { readLabEnvironment } from '#lab/state.ts';
import type { Step } from '#lab/steps.ts';

/** Ubuntu names the second version apart; in Debian docker-compose is the newest that it has. */
export const COMPOSE_PACKAGES: Wanted = {
  packages: [['docker-compose-v2', 'docker-compose']],
  missing: 'Compose',
  otherwise: DOCKER_OTHERWISE,
};

const VERSION_TIMEOUT_MS = 20_000;

/** A Compose that was found: the program, what comes before its own arguments, its version. */
export interface ComposeProgram {
  file: string;
  leading: readonly string[];
  version: string;
}

/** Finds Compose, v2 before v1; null when there is neither. */
export async function findCompose(programs: Programs): Promise<ComposeProgram | null> {
  const candidates = [
    { file: 'docker', leading: ['compose'] },
    { file: 'docker-compose', leading: [] },
  ];
  for (const { file, leading } of candidates) {
    const result = await programs.run(file, [...leading, 'version', '--short'], {
      timeoutMs: VERSION_TIMEOUT_MS,
    });
    // Not held to look like a version: a Compose that somebody built from its sources says "dev".
    const version = result.stdout.trim().replace(/^v/, '');
    if (result.exitCode === 0 && version !== '') return { file, leading, version };
  }
  return null;
}

/** Finds Compose, or installs the distribution's. @throws LabError as `install` does. */
export async function ensureCompose(context: {
  config: LabConfig;
  programs: Programs;
  step: Step;
}): Promise<ComposeProgram> {
  const found = await findCompose(context.programs);
  if (found !== null) return found;
  await install(COMPOSE_PACKAGES, context);
  const installed = await findCompose(context.programs);
  if (installed !== null) return installed;
  // It was installed a moment ago and answers neither way: apt's own check has passed, so the
  // next call of it is what tells most.
  return { file: 'docker-compose', leading: [], version: 'unknown' };
}

/** Arguments that every call has, so that none depends on the folder it is made in. */
export function composeArguments(compose: ComposeProgram, project: string): string[] {
  return [
    ...compose.leading,
    ...['--ansi', 'never'],
    ...['--project-name', project],
    ...['--project-directory', PATHS.root],
    ...['--file', PATHS.composeFile],
    ...['--env-file', PATHS.labEnv],
  ];
}

/**
 * What set-up chose, once more in the environment: Compose prefers that to its --env-file, and a
 * variable left over in somebody's shell must not choose another image.
 */
export function composeEnvironment(): Record<string, string> {
  return readLabEnvironment() ?? {};
}

/** Calls Compose for this lab and returns what came of it. */
export function callCompose(
  programs: Programs,
  compose: ComposeProgram,
  project: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const env = { ...composeEnvironment(), ...options.env };
  const all = [...composeArguments(compose, project), ...args];
  return programs.run(compose.file, all, { ...options, env });
}
