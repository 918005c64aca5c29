/**
 * A program beside the lab's services, as a container: protected as docker-compose.yml protects its
 * own, in the lab's networks, with a data folder of its own that goes when it goes.
 */
import { chmodSync } from 'node:fs';
import type { Docker, Inspected } from '#lab/docker.ts';
import { LabError } from '#lab/errors.ts';
import type { Launch } from '../ground.ts';
import { HARDENING, type Helpers, mustHelp, USER } from './helper.ts';
import { labelled } from './labels.ts';

const FOLDER = '/folder';
const TOKEN_VARIABLE = 'HOLDFAST_TOKEN_FILE';
const TLS_VARIABLES = /^HOLDFAST_TLS(_|=)/;

/** What a launch is made with, beside what it asks for. */
export interface Beside extends Helpers {
  /** The lab's own collector: who joins gets what it has. */
  readonly collector: Inspected;
}

/** Makes the container and plugs it in everywhere; it does not run yet. Returns its id. */
export async function create(beside: Beside, launch: Launch): Promise<string> {
  const { docker, project } = beside;
  const what = `launch ${launch.name}`;
  // The container's user is not this one.
  if (launch.folder !== undefined) chmodSync(launch.folder.host, 0o777);
  const { stdout } = await docker.must(createArguments(beside, launch), what);
  const id = stdout.trim();
  try {
    for (const network of launch.networks.slice(1)) {
      const alias = ['--alias', launch.name];
      await docker.must(['network', 'connect', ...alias, `${project}_${network}`, id], what);
    }
  } catch (error) {
    await discard(docker, id);
    throw error;
  }
  return id;
}

/** Removes a container with its volumes, whatever it is doing. */
export async function discard(docker: Docker, container: string): Promise<void> {
  await docker.must(['rm', '--force', '--volumes', container], `remove ${container}`);
}

/** Fills one data folder, which nobody uses yet, from another, which stands still meanwhile. */
export async function copyData(
  helpers: Helpers,
  from: { readonly inspected: Inspected; readonly path: string },
  to: { readonly inspected: Inspected; readonly path: string },
): Promise<void> {
  const source = volumeAt(from.inspected, from.path);
  const target = volumeAt(to.inspected, to.path);
  const options = ['--volume', `${source}:/from:ro`, '--volume', `${target}:${to.path}`];
  await mustHelp(helpers, { options }, 'copy the data folder', 'cp -a /from/. "$1"', [to.path]);
}

export function createArguments({ project, image, collector }: Beside, launch: Launch): string[] {
  const { name, command, environment, ports, networks, data, folder } = launch;
  const [network] = networks;
  if (network === undefined) throw new Error(`${name} is to be launched in no network`);
  const variables = [
    ...Object.entries(environment).map(([variable, value]) => `${variable}=${value}`),
    ...(folder === undefined ? [] : [`${folder.variable}=${FOLDER}/${folder.file}`]),
  ];
  const joining = launch.joins === true ? joinOptions(collector) : [];
  return [
    ...['create', '--name', `${project}-${name}`, '--init', ...labelled(project, 'launched')],
    ...['--restart', launch.restarts === false ? 'no' : 'unless-stopped'],
    ...[...HARDENING, ...USER, '--pids-limit', '128', '--memory', '512m'],
    ...['--tmpfs', '/tmp:size=64m,mode=1777,noexec,nosuid,nodev', '--stop-timeout', '15'],
    ...['--log-driver', 'json-file', '--log-opt', 'max-size=5m', '--log-opt', 'max-file=3'],
    ...['--network', `${project}_${network}`, '--network-alias', name],
    ...ports.flatMap((port) => ['--publish', `127.0.0.1::${port}`]),
    ...joining,
    // After what joining brings: what a launch asks for has the last word.
    ...variables.flatMap((variable) => ['--env', variable]),
    ...(data === undefined ? [] : ['--mount', `type=volume,dst=${data}`]),
    ...(folder === undefined ? [] : ['--mount', `type=bind,src=${folder.host},dst=${FOLDER}`]),
    ...[image, ...command],
  ];
}

/** The secret and the certificates, where the collector has them, and the settings that say so. */
function joinOptions({ Config, Mounts }: Inspected): string[] {
  const binds = Mounts.filter(({ Type }) => Type === 'bind');
  const settings = (Config.Env ?? []).filter(
    (variable) => variable.startsWith(`${TOKEN_VARIABLE}=`) || TLS_VARIABLES.test(variable),
  );
  return [
    ...binds.flatMap(({ Source, Destination }) => [
      '--mount',
      `type=bind,src=${Source},dst=${Destination},readonly`,
    ]),
    ...settings.flatMap((variable) => ['--env', variable]),
  ];
}

function volumeAt({ Name, Mounts }: Inspected, path: string): string {
  const volume = Mounts.find(({ Destination }) => Destination === path)?.Name;
  if (volume !== undefined) return volume;
  throw new LabError({
    code: 'command_failed',
    message: `${Name} has no volume at ${path} that could be copied`,
  });
}
