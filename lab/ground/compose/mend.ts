/**
 * What chaos may have left on a lab, made whole: by what the engine tells, not by memory, so that it
 * mends after a runner that died. The link is not here: `lab/link.ts` restores it.
 */
import type { Docker, Inspected } from '#lab/docker.ts';
import { type Helpers, help, mustHelp } from './helper.ts';
import { sweepChaos } from './labels.ts';
import { PROCESS_TABLE, programOf, readProcesses } from './processes.ts';
import { restoreSecret } from './secret.ts';

export const SERVICES = ['server', 'toxiproxy', 'collector'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** As docker-compose.yml has it. */
const NETWORKS: Readonly<Record<ServiceName, readonly string[]>> = {
  server: ['central'],
  toxiproxy: ['edge', 'central'],
  collector: ['edge'],
};

/** The containers of a lab's own services, those that there are. */
export async function ownContainers(
  docker: Docker,
  project: string,
): Promise<Map<ServiceName, string>> {
  const found = await docker.containers([
    `dev.holdfast.project=${project}`,
    `com.docker.compose.project=${project}`,
  ]);
  return new Map(
    SERVICES.flatMap((name) => {
      const container = found.find(({ service }) => service === name);
      return container === undefined ? [] : [[name, container.id] as const];
    }),
  );
}

export interface Mending {
  readonly docker: Docker;
  readonly project: string;
  /** Whether what was stopped is started. */
  readonly starts: boolean;
  /** Starts the server anew, once it has the right secret again; `docker restart` by default. */
  readonly restartServer?: () => Promise<void>;
}

/** Mends what there is, and says in words what it mended: nothing on a lab that was whole. */
export async function mend(mending: Mending): Promise<string[]> {
  const { docker, project } = mending;
  const mended = (await sweepChaos(docker, project)).map((what) => `removed the ${what}`);
  const own = [...(await ownContainers(docker, project))];
  const services = await Promise.all(
    own.map(async ([name, id]) => [name, await docker.inspect(id)] as const),
  );
  for (const [name, inspected] of services) {
    mended.push(...(await setRight(mending, name, inspected)));
  }
  // Toxiproxy's own image has no shell.
  const image = services.find(([name]) => name === 'server')?.[1].Config.Image;
  const limits = services.map(async ([name, { Id, State }]) => {
    if (image === undefined || !State.Running || State.Restarting) return [];
    const lifted = await liftLimit({ docker, project, image }, name, Id);
    return lifted ? [`lifted the limit of open files of ${name}`] : [];
  });
  mended.push(...(await Promise.all(limits)).flat());
  mended.push(...(await setSecretRight(mending, new Map(services))));
  return mended;
}

/** Moving, plugged in and started. */
async function setRight(
  { docker, project, starts }: Mending,
  name: ServiceName,
  { Id, State, NetworkSettings }: Inspected,
): Promise<string[]> {
  const mended: string[] = [];
  if (State.Paused) {
    await docker.must(['unpause', Id], `thaw ${name}`);
    mended.push(`thawed ${name}`);
  }
  for (const network of NETWORKS[name].map((one) => `${project}_${one}`)) {
    if (network in NetworkSettings.Networks) continue;
    const alias = ['--alias', name];
    await docker.must(['network', 'connect', ...alias, network, Id], `plug ${name} in`);
    mended.push(`plugged ${name} into the network ${network} again`);
  }
  if (starts && !State.Running) {
    await docker.must(['start', Id], `start ${name}`);
    mended.push(`started ${name}`);
  }
  return mended;
}

/** Our programs and Toxiproxy raise their limit as far as they may when they start. */
async function liftLimit(helpers: Helpers, name: string, container: string): Promise<boolean> {
  const where = { inside: container };
  const table = await help(helpers, where, PROCESS_TABLE);
  // A program that has ended meanwhile took its limit along.
  if (table.exitCode !== 0) return false;
  const limited = programOf(readProcesses(table.stdout)).filter(
    ({ softLimit, hardLimit }) => softLimit < hardLimit,
  );
  for (const { pid, hardLimit } of limited) {
    const script = `prlimit --pid ${pid} --nofile=${hardLimit}:`;
    await mustHelp(helpers, where, `lift the limit of ${name}`, script);
  }
  return limited.length > 0;
}

async function setSecretRight(
  { docker, restartServer }: Mending,
  services: ReadonlyMap<ServiceName, Inspected>,
): Promise<string[]> {
  const [server, collector] = [services.get('server'), services.get('collector')];
  if (server === undefined || collector === undefined) return [];
  if (!restoreSecret({ server, collector })) return [];
  if (restartServer !== undefined) await restartServer();
  else if (server.State.Running) await docker.must(['restart', server.Id], 'restart the server');
  return ['gave the server the right secret again, and started it anew'];
}
