/** How the programs that faults hit are asked whether they work, on every ground. */
import type { Service } from '#lab/ground/ground.ts';
import { waitUntil } from '../observe/wait.ts';
import type { Target } from './arguments.ts';
import type { Scene } from './fault.ts';

const READY_MS_MAX = 3_000;

/** The ports of Compose, which are the numbers on every ground. */
export const API_PORT = 8080;
const STATUS_PORT = 9464;
const TOXIPROXY_PORT = 8474;
const ENTRANCE_PORT = 9004;

const READY: Readonly<Record<Target, { readonly port: number; readonly path: string }>> = {
  server: { port: API_PORT, path: '/readyz' },
  collector: { port: STATUS_PORT, path: '/readyz' },
  source: { port: STATUS_PORT, path: '/readyz' },
  toxiproxy: { port: TOXIPROXY_PORT, path: '/version' },
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
  return ground.service('toxiproxy').url(ENTRANCE_PORT);
}
