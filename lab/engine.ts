/**
 * A Docker engine that answers: found, or installed and started on a Debian or Ubuntu. Starting the
 * daemon itself is daemon.ts; asking it anything is docker.ts.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { DOCKER_OTHERWISE, install, isDebianLike, type Wanted } from '#lab/apt.ts';
import { hasCapability } from '#lab/capabilities.ts';
import type { LabConfig } from '#lab/config.ts';
import { startDaemon, systemdRuns } from '#lab/daemon.ts';
import type { Docker, Engine, EngineProbe } from '#lab/docker.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import type { Programs } from '#lab/process.ts';
import type { Step } from '#lab/steps.ts';

export interface EngineContext {
  config: LabConfig;
  programs: Programs;
  docker: Docker;
  step: Step;
}

/** What is installed where there is no engine; without systemd iptables is not pulled in by it. */
export const ENGINE_PACKAGES: Wanted = {
  packages: ['docker.io', 'iptables', 'ca-certificates'],
  missing: 'a Docker engine',
  otherwise: DOCKER_OTHERWISE,
};

/** Newer distributions have the client apart from the daemon; in older ones docker.io is both. */
const CLIENT_PACKAGES: Wanted = {
  packages: [['docker-cli', 'docker.io']],
  missing: 'the docker client',
  otherwise: DOCKER_OTHERWISE,
};

/**
 * Returns an engine that answers, after installing and starting one where that is missing and
 * possible.
 * @throws LabError `engine_denied`, `engine_silent`, `engine_missing`, `install_refused` or
 *   `install_failed`, each with what to do.
 */
export async function ensureEngine(context: EngineContext): Promise<Engine> {
  const { docker, step } = context;
  let probe = await docker.probe();
  if (probe.kind === 'ready') return probe.engine;
  refuseWhatCannotBeMended(probe);

  if (findProgram('dockerd') === null) await install(ENGINE_PACKAGES, context);
  if (findProgram('docker') === null) await install(CLIENT_PACKAGES, context);
  probe = await docker.probe();
  if (probe.kind === 'ready') return probe.engine;

  await startDaemon({ ...context, dockerd: findProgram('dockerd') ?? 'dockerd' });
  probe = await docker.probe();
  if (probe.kind === 'ready') {
    step.note('started the Docker daemon; it goes on running after this command');
    return probe.engine;
  }
  refuseWhatCannotBeMended(probe);
  throw new LabError({
    code: 'engine_silent',
    message: 'the Docker daemon was started, but the docker client gets no answer from it',
    details: probe.kind === 'silent' ? [probe.reason] : [],
    next: ['To see its answer: docker version'],
  });
}

/** @throws LabError for what neither installing nor starting an engine here would mend. */
export function refuseWhatCannotBeMended(probe: EngineProbe): void {
  const refusal = engineRefusal(probe);
  if (refusal !== null) throw refusal;
}

/** The failure that a probe amounts to when only a person can mend it; null otherwise. */
export function engineRefusal(probe: EngineProbe): LabError | null {
  const refuse = (
    code: 'engine_denied' | 'engine_silent' | 'engine_missing',
    message: string,
    ...next: string[]
  ) => new LabError({ code, exitCode: EXIT.usage, message, next });

  if (probe.kind === 'denied') {
    return refuse(
      'engine_denied',
      `a Docker engine is here, but this user may not use its socket ${probe.socket}`,
      'Join its group: sudo usermod -aG docker "$USER" && newgrp docker',
      'Then run this again. (Members of that group are as powerful as root on this machine.)',
    );
  }
  if (probe.kind === 'silent' && probe.elsewhere !== null) {
    return refuse(
      'engine_silent',
      `the docker client points to ${probe.elsewhere}, and that does not answer: ${probe.reason}`,
      'Start that engine, or point to another: unset DOCKER_HOST; docker context use default',
    );
  }
  if (probe.kind === 'ready') return null;
  if (process.platform !== 'linux') {
    return refuse(
      'engine_missing',
      'no Docker engine answers on this machine',
      'Start Docker Desktop (or another engine with Compose), then run this again.',
    );
  }
  const here = findProgram('dockerd') !== null;
  if (here && process.getuid?.() !== 0) {
    const how = systemdRuns() ? 'sudo systemctl start docker' : 'sudo ./holdfast up';
    return refuse('engine_silent', 'the Docker daemon is not running', `Start it: ${how}`);
  }
  if (!here && !isDebianLike()) {
    return refuse(
      'engine_missing',
      'there is no Docker engine here, and this system is neither Debian nor Ubuntu',
      'Install Docker Engine with its Compose plugin as this system does, then run this again.',
    );
  }
  return null;
}

/**
 * Why there is no engine here and none that set-up could bring, in words; null where one answers, is
 * there, or can be installed and started.
 */
export function whyNoEngine(probe: EngineProbe, { noInstall }: LabConfig): string | null {
  if (probe.kind === 'ready' || probe.kind === 'denied' || process.platform !== 'linux')
    return null;
  if (probe.kind === 'silent' && probe.elsewhere !== null) return null;
  const isRoot = process.getuid?.() === 0;
  if (isRoot && !(hasCapability('sys_admin') && hasCapability('net_admin'))) {
    return 'No Docker engine can run here, in a container without privileges';
  }
  if (findProgram('dockerd') !== null) return null;
  const none = 'There is no Docker engine here';
  if (!isDebianLike()) return `${none}, and this system is neither Debian nor Ubuntu`;
  if (noInstall === '1') return `${none}, and HOLDFAST_NO_INSTALL=1 forbids installing one`;
  return isRoot ? null : `${none}, and this user may not install one`;
}

/** Where a program is: on PATH, or in the system folders that a user's PATH may lack. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
