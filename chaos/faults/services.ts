/** How the programs that faults hit are asked whether they work, on every ground. */
import { PORT_IN_COMPOSE, type Service } from '#lab/ground/ground.ts';
import { waitUntil } from '../observe/wait.ts';
import type { Target } from './arguments.ts';
import type { Scene } from './fault.ts';

const READY_MS_MAX = 3_000;

const READY: Readonly<Record<Target, { readonly port: number; readonly path: string }>> = {
  server: { port: PORT_IN_COMPOSE.api, path: '/readyz' },
  collector: { port: PORT_IN_COMPOSE.status, path: '/readyz' },
  source: { port: PORT_IN_COMPOSE.status, path: '/readyz' },
  toxiproxy: { port: PORT_IN_COMPOSE.toxiproxyApi, path: '/version' },
};

/** Rejects unless the program says that it is ready to do its work. */
export async function askReady(
  service: Service,
  target: Target,
  signal: AbortSignal,
  limitMs = READY_MS_MAX,
): Promise<void> {
  const { port, path } = READY[target];
  const url = `${await service.url(port)}${path}`;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const { status } = await fetch(url, { signal: limit });
  if (status !== 200) throw new Error(`${url} answered ${status}`);
}

/** Resolves when it is ready, in another process than that of `generation`, if that is given. */
export async function untilReady(
  { ground, signal }: Scene,
  target: Target,
  generation?: string,
): Promise<void> {
  const service = ground.service(target);
  const what = generation === undefined ? 'is ready' : 'is back, and ready';
  await waitUntil(
    `the ${target} ${what}`,
    async () => {
      const state = await service.state();
      if (!state.running || state.generation === generation) return false;
      await askReady(service, target, signal);
      return true;
    },
    { signal, describe: () => service.state() },
  );
}

/** The link's entrance, as seen from this machine. */
export function entranceUrl({ ground }: Scene): Promise<string> {
  return ground.service('toxiproxy').url(PORT_IN_COMPOSE.link);
}
