/** The paths of the status server, and what each one answers. */
import { readFileSync } from 'node:fs';
import { statusDocument } from './document.ts';
import { json, type Reply, type Routes, text } from './http-server.ts';
import { metricsRegistry } from './metrics.ts';
import type { Snapshot } from './snapshot.ts';

/** The loop is taken for dead after this many intervals without a tick, and this long at least. */
const TICK_INTERVALS_MAX = 5;
const TICK_MS_MIN = 10_000;

const PAGE = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
} as const;

/** `snapshot` is taken anew for each question. The page's files are read here, once. */
export function statusRoutes(snapshot: () => Snapshot, intervalMs: number): Routes {
  const registry = metricsRegistry(snapshot);
  const tickMsMax = Math.max(TICK_MS_MIN, TICK_INTERVALS_MAX * intervalMs);
  const routes = new Map<string, () => Reply | Promise<Reply>>([
    ['/status', () => status(snapshot())],
    ['/healthz', () => health(snapshot(), tickMsMax)],
    ['/readyz', () => readiness(snapshot())],
    [
      '/metrics',
      async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
    ],
  ]);
  for (const [path, [file, type]] of Object.entries(PAGE)) {
    const body = readFileSync(new URL(`./page/${file}`, import.meta.url), 'utf8');
    routes.set(path, () => ({ status: 200, type, body }));
  }
  return routes;
}

function status({ producer, samples, readiness: { ready, ...rest } }: Snapshot): Reply {
  if (producer === undefined) return json(503, { error: 'not_open', ready, ...rest });
  return json(200, statusDocument(producer, samples));
}

/** The link being down is no reason: the collector can collect. */
function readiness({ readiness: state }: Snapshot): Reply {
  return state.ready ? text(200, 'ready') : text(503, `not ready: ${state.reason}`);
}

/** A process that can't answer at all is found by the question's own timeout. */
function health({ sinceTickMs }: Snapshot, tickMsMax: number): Reply {
  if (sinceTickMs !== undefined && sinceTickMs > tickMsMax) {
    const seconds = Math.round(sinceTickMs / 1000);
    return text(503, `the sampling loop has not ticked for ${seconds} s: restart the collector`);
  }
  return text(200, 'alive');
}
