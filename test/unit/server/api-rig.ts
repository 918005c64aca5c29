/** An API over a server of `serving.ts`; `afterEach(stopApis)` ends both. */
import type { FastifyInstance } from 'fastify';
import { expect } from 'vitest';
import { createApi } from '#server/api/api.ts';
import type { ApiOptions } from '#server/api/options.ts';
import { type Serving, serve, stopServing } from './serving.ts';
import { announce, batchOf, EPOCH_A, epochOf, frameOf, framesOf } from './store-contract.ts';

const apps: FastifyInstance[] = [];

export async function stopApis(): Promise<void> {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await stopServing();
}

export async function startApi(
  more: Partial<ApiOptions> = {},
): Promise<Serving & { app: FastifyInstance }> {
  const serving = await serve();
  const { store, events, metrics, log, registry, ingest, attempts } = serving;
  const app = await createApi({
    version: '1.2.3',
    store,
    events,
    metrics: metrics.registry,
    log,
    wallTime: () => 1_000_000,
    connected: (collector) => registry.connected(collector),
    deliveryLag: () => undefined,
    waiting: (collector, now) => registry.waiting(collector, now),
    listening: () => ingest.listening,
    connectionsMax: 100,
    eventClientsMax: 2,
    guard: { token: undefined, hosts: [], attempts },
    pageFolder: '/nonexistent',
    ...more,
  });
  apps.push(app);
  return { ...serving, app };
}

/** Stores frames 1 … count of one epoch, the second with a payload of JSON; one more is pending. */
export async function fill({ store }: Serving, count = 3): Promise<void> {
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, count + 1)]);
  const frames = framesOf(EPOCH_A, 1, count);
  frames[1] = frameOf(EPOCH_A, 2, '{"metrics": [1]}');
  await store.commit(batchOf(streams[0] ?? -1, { frames }));
}

/** The answer's JSON. */
export async function get(app: FastifyInstance, url: string) {
  const response = await app.inject({ url });
  expect(response.statusCode, response.body).toBe(200);
  return response.json();
}
