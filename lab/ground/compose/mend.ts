/**
 * What chaos may have left on a lab, made whole: by what the engine tells, not by memory, so that it
 * mends after a runner that died. The link is not here: `lab/link.ts` restores it.
 */
import type { Docker, Inspected } from '#lab/docker.ts';
import { type Helpers, mustHelp } from './helper.ts';
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

/**
 * Mends what there is, and says in words what it mended. It starts what was stopped, too.
 * @param restartServer how the server is started anew, once it has the right secret again.
 */
export async function mend(
  docker: Docker,
  project: string,
  restartServer: (container: string) => Promise<unknown> = (container) =>
    docker.must(['restart', container], 'start the server anew'),
): Promise<string[]> {
  const mended = (await sweepChaos(docker, project)).map((what) => `removed the ${what}`);
  const own = await ownContainers(docker, project);
  const inspected = new Map<ServiceName, Inspected>();
  for (const [name, id] of own) inspected.set(name, await docker.inspect(id));
  for (const [name, { Id, State, NetworkSettings }] of inspected) {
    if (State.Paused) {
      await docker.must(['unpause', Id], `thaw ${name}`);
      mended.push(`thawed ${name}`);
    }
    for (const network of NETWORKS[name].map((one) => `${project}_${one}`)) {
      if (network in NetworkSettings.Networks) continue;
      await docker.must(['network', 'connect', '--alias', name, network, Id], `plug ${name} in`);
      mended.push(`plugged ${name} into the network ${network} again`);
    }
    if (!State.Running) {
      await docker.must(['start', Id], `start ${name}`);
      mended.push(`started ${name}`);
    } else if (!State.Restarting) {
      const image = inspected.get('server')?.Config.Image;
      if (image !== undefined && (await liftLimits({ docker, project, image }, name, Id))) {
        mended.push(`lifted the limit of open files of ${name}`);
      }
    }
  }
  const [server, collector] = [inspected.get('server'), inspected.get('collector')];
  if (server !== undefined && collector !== undefined && restoreSecret({ server, collector })) {
    await restartServer(server.Id);
    mended.push('gave the server the right secret again, and started it anew');
  }
  return mended;
}

/** Our programs and Toxiproxy raise their limit as far as they may when they start. */
async function liftLimits(helpers: Helpers, name: string, container: string): Promise<boolean> {
  const where = { inside: container };
  const table = await mustHelp(helpers, where, `see the limits of ${name}`, PROCESS_TABLE);
  const limited = programOf(readProcesses(table)).filter(
    ({ softLimit, hardLimit }) => softLimit < hardLimit,
  );
  for (const { pid, hardLimit } of limited) {
    const script = `prlimit --pid ${pid} --nofile=${hardLimit}:`;
    await mustHelp(helpers, where, `lift the limit of ${name}`, script);
  }
  return limited.length > 0;
}
