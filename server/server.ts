/**
 * The server, wired: every part that runs, in the order in which it starts, with how it ends. Signals
 * and the end of the process are `main.ts`'s.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { isLoopback } from '#protocol/loopback.ts';
import { Access } from './access/access.ts';
import { createApi } from './api/api.ts';
import { PAGE_FOLDER } from './api/page.ts';
import type { ServerSettings } from './config.ts';
import { Events } from './events.ts';
import type { Connection } from './ingest/connection.ts';
import type { FileHandles } from './ingest/file-handles.ts';
import { Ingest } from './ingest/ingest.ts';
import { Registry } from './ingest/registry.ts';
import type { Lab } from './lab/lab.ts';
import { Metrics } from './metrics.ts';
import { Retention } from './retention.ts';
import { SeriesIndex } from './series/series-index.ts';
import type { CheckOutcome } from './store/check.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import type { StoreError } from './store/store.ts';
import { REAL_SURROUNDINGS, wallTime } from './surroundings.ts';

export interface ServerOptions {
  readonly version: string;
  readonly settings: ServerSettings;
  readonly handles: FileHandles;
  readonly log: Logger;
}

/** What has to be known of what runs. */
export interface Running {
  readonly failed: Promise<StoreError>;
  readonly access: Access;
}

/**
 * Starts one part after the other, each with how it ends: `parts` then ends them in the opposite
 * order. Nothing is opened for a server that nobody may talk to, and the API is there until all
 * collectors have gone.
 */
export async function startServer(
  parts: AsyncDisposableStack,
  { version, settings, handles, log }: ServerOptions,
): Promise<Running> {
  const registry = new Registry<Connection>();
  const events = new Events();
  const metrics: Metrics = new Metrics({
    version,
    ingestBytesHeld: () => ingest.bytesHeld,
    connectionStates: () => ingest.connectionStates(),
    collectorsConnected: () => registry.connectedCount,
    storeWritable: () => store.status.writable,
    storeSummary: (silentSince) => store.summary(silentSince),
    wallTime,
  });
  const access = parts.adopt(
    new Access({
      settings,
      log,
      registry: metrics.registry,
      after: REAL_SURROUNDINGS.after,
    }),
    (part) => part.close(),
  );
  const store = parts.adopt(await openStore(settings, metrics, log), (part) => part.close());
  const series = seriesOf(settings, log);
  parts.defer(() => series?.close());
  const lab = await labOf(settings, events, log);
  parts.defer(() => lab?.close());
  const api = parts.adopt(
    await createApi({
      version,
      store,
      events,
      metrics: metrics.registry,
      log,
      wallTime,
      connected: (collector) => registry.connected(collector),
      deliveryLag: (collector) => metrics.deliveryLag.of(collector, wallTime()),
      waiting: (collector, now) => registry.waiting(collector, now),
      listening: () => ingest.listening,
      connectionsMax: handles.apiConnectionsMax,
      eventClientsMax: settings.eventClientsMax,
      series,
      lab,
      guard: {
        token: settings.apiToken,
        hosts: [settings.apiHost, ...settings.apiHosts],
        attempts: access.attempts,
      },
      pageFolder: PAGE_FOLDER,
    }),
    (part) => part.close(),
  );
  const ingest = parts.adopt(
    new Ingest({
      store,
      registry,
      events,
      metrics,
      log,
      surroundings: REAL_SURROUNDINGS,
      keys: access.keys,
      attempts: access.attempts,
      tls: access.tls,
      host: settings.ingestHost,
      port: settings.ingestPort,
      connectionsMax: handles.connectionsMax,
      connectionsPerAddressMax: settings.connectionsPerAddressMax,
      bytesMax: settings.ingestBytesMax,
      caps: settings,
    }),
    (part) => part.close(),
  );
  access.whenKeysReplaced(() => ingest.onKeysReplaced());
  const retention = new Retention({
    ageMs: settings.retentionMs,
    bytes: settings.retentionBytes,
    wallTime,
    prune: (request) => store.prune(request),
    onPruned: (frames) => metrics.onPruned(frames),
  });
  parts.defer(() => retention.stop());
  const { address, port } = await ingest.listen();
  const url = await api.listen({ host: settings.apiHost, port: settings.apiPort });
  tellLimits(settings, handles, log);
  log.info(
    { event: 'started', ingest: `${address}:${port}`, api: url, store_id: store.storeId },
    'ready for collectors',
  );
  return { failed: store.failed, access };
}

/** The store, with what it says of itself told to the log and the metrics. */
async function openStore(
  settings: ServerSettings,
  metrics: Metrics,
  log: Logger,
): Promise<SqliteStore> {
  const onChecked = ({ frames, damaged, problems }: CheckOutcome): void => {
    metrics.onChecked(damaged);
    if (damaged === 0) return log.info({ event: 'store_checked', frames }, 'the store is whole');
    log.error(
      { event: 'store_frames_damaged', frames, damaged, problems },
      `${damaged === 1 ? '1 stored frame no longer matches its CRC' : `${damaged} stored frames no longer match their CRC`}: the disk has altered what it held. ` +
        'With the server stopped, `./holdfast server store salvage` takes out what is damaged; collectors then send again what they still hold',
    );
  };
  const store = await SqliteStore.open({
    directory: settings.storePath,
    fresh: { storeId: randomUUID(), createdAt: wallTime() },
    onCommit: (report) => metrics.onCommit(report),
    onStatus: (status) => {
      if (status.writable) log.info({ event: 'store_writable' }, 'the store takes commits again');
      else log.error({ event: 'store_unavailable' }, status.reason);
    },
    onChecked,
  });
  if (store.checked !== undefined) onChecked(store.checked);
  return store;
}

/** undefined where series are switched off. */
function seriesOf(settings: ServerSettings, log: Logger): SeriesIndex | undefined {
  if (settings.series === 'off') return undefined;
  const { storePath: directory, seriesPerCollectorMax, seriesBucketsMax: bucketsMax } = settings;
  return new SeriesIndex({ directory, seriesPerCollectorMax, bucketsMax }, log);
}

/** undefined outside a lab; then nothing of it is even loaded. */
async function labOf(
  settings: ServerSettings,
  events: Events,
  log: Logger,
): Promise<Lab | undefined> {
  const { labToxiproxy, labLinkExit, labCollectorPage: collectorPage, storePath } = settings;
  if (labToxiproxy === undefined) return undefined;
  const { Lab } = await import('./lab/lab.ts');
  const text = 'in a lab: whoever may ask the API may cut the link between collectors and server';
  log.info({ event: 'lab', toxiproxy: labToxiproxy }, text);
  const surroundings = REAL_SURROUNDINGS;
  const options = { collectorPage, directory: storePath, events, log, surroundings };
  return Lab.of(labToxiproxy, labLinkExit, options);
}

/** What is in force and may not be what was meant. */
function tellLimits(
  settings: ServerSettings,
  { filesMax, connectionsMax }: FileHandles,
  log: Logger,
): void {
  const { apiToken, apiHost, filesReserved } = settings;
  if (connectionsMax < settings.connectionsMax) {
    const text = `${filesMax} files may be open here, and ${filesReserved} are kept for the store and the API: at most ${connectionsMax} collectors can be connected, not ${settings.connectionsMax}. Raise \`ulimit -n\` for more`;
    log.warn({ event: 'connections_limited', files: filesMax, connections: connectionsMax }, text);
  }
  if (apiToken === undefined && !isLoopback(apiHost)) {
    const text =
      'the API is not on loopback alone and wants no token: whoever reaches it may read everything (HOLDFAST_API_TOKEN)';
    log.warn({ event: 'api_open', host: apiHost }, text);
  }
}
