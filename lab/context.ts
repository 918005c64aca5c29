/**
 * What every command of the lab is given, from an environment: for commands that set a lab up, and
 * for those on the lab that is there.
 */
import { readConfig } from '#lab/config.ts';
import { Docker } from '#lab/docker.ts';
import { groundThatIsThere } from '#lab/ground/choose.ts';
import { placeOfServices } from '#lab/ground/process/services.ts';
import { PATHS } from '#lab/paths.ts';
import { Programs } from '#lab/process.ts';
import type { LabContext } from '#lab/setup.ts';
import { readLabEnvironment } from '#lab/state.ts';
import type { Environment } from '#protocol/settings.ts';

/** @throws LabError `bad_configuration`. */
export function labToSetUp(environment: Environment, signal: AbortSignal): LabContext {
  return contextWith(readConfig(environment, PATHS.dotEnv), signal);
}

/** It is met where its set-up put it, though settings have changed since. @throws LabError. */
export function labAsMade(environment: Environment, signal: AbortSignal): LabContext {
  const { ground } = readConfig(environment, PATHS.dotEnv);
  const isProcess = groundThatIsThere(ground, PATHS) === 'process';
  const made = isProcess ? placeOfServices(PATHS) : readLabEnvironment();
  return contextWith(readConfig(environment, PATHS.dotEnv, made ?? {}), signal);
}

function contextWith(config: LabContext['config'], signal: AbortSignal): LabContext {
  const programs = new Programs(signal);
  return { config, programs, docker: new Docker(programs), files: PATHS, signal };
}
