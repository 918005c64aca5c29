/**
 * The server program: reads the environment, wires the rooms, handles signals, ends the process.
 *
 * Exit codes: 0 stopped as told, 1 could not go on, 2 settings or usage. The other commands are in
 * `commands/`.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import pino, { type Logger } from 'pino';
import { isLoopback } from '#protocol/loopback.ts';
import { formatSettings, readSettings, settingsInForce } from '#protocol/settings.ts';
import { Access, AccessFileError } from './access/access.ts';
import { createApi } from './api/api.ts';
import { type CommandContext, EXIT, endingOf } from './commands/command.ts';
import { addDataCommands } from './commands/data.ts';
import { addStoreCommands } from './commands/store.ts';
import { addTokenCommands } from './commands/token.ts';
import { assertConsistent, SERVER_SETTINGS, type ServerSettings } from './config.ts';
import { Events } from './events.ts';
import { type FileHandles, shareFileHandles } from './file-handles.ts';
import { Ingest } from './ingest.ts';
import type { Connection } from './ingest-connection.ts';
import { Metrics } from './metrics.ts';
import { Registry } from './registry.ts';
import { Retention } from './retention.ts';
import { SeriesIndex } from './series/series-index.ts';
import type { CheckOutcome } from './store/check.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import { StoreError } from './store/store.ts';
import { REAL_SURROUNDINGS, wallTime } from './surroundings.ts';

/** Past this after a signal the process ends whatever still runs; the store bears it. */
const STOP_DEADLINE_MS = 4_500;

const VERSION = readVersion();

const CONTEXT: CommandContext = {
  environment: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
};

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(text) as { version: unknown }).version);
}

/** What has to be known of what runs. */
interface Running {
  readonly failed: Promise<StoreError>;
  readonly access: Access;
}

/**
 * Starts one part after the other, each with how it ends: `parts` then ends them in the opposite
 * order. Nothing is opened for a server that nobody may talk to, and the API is there until all
 * collectors have gone.
 */
async function start(
  parts: AsyncDisposableStack,
  settings: ServerSettings,
  handles: FileHandles,
  log: Logger,
): Promise<Running> {
  const registry = new Registry<Connection>();
  const events = new Events();
  const metrics: Metrics = new Metrics({
    version: VERSION,
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
  const api = parts.adopt(
    await createApi({
      version: VERSION,
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
      guard: {
        token: settings.apiToken,
        hosts: [settings.apiHost, ...settings.apiHosts],
        attempts: access.attempts,
      },
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
      `${damaged} stored frames no longer match their CRC: the disk has altered them. With the server stopped, ` +
        '`./holdfast server store salvage` takes them out; collectors then send again what they still hold',
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

function readServerSettings(): ServerSettings {
  const settings = readSettings(SERVER_SETTINGS, CONTEXT.environment, CONTEXT.readFile);
  assertConsistent(settings);
  return settings;
}

async function run(): Promise<void> {
  const settings = readServerSettings();
  const handles = shareFileHandles(settings);
  // Synchronous: what was logged before a kill has to be there after it.
  const log = pino(
    {
      level: settings.logLevel,
      base: { service: 'holdfast-server' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: process.stdout.fd, sync: true }),
  );
  const die = (error: unknown, what: string): never => {
    log.fatal({ event: 'ended', err: error }, what);
    process.exit(EXIT.failed);
  };
  process.on('uncaughtException', (error) => die(error, 'an error that nobody expected'));
  const parts = new AsyncDisposableStack();
  let running: Running;
  try {
    running = await start(parts, settings, handles, log);
  } catch (error) {
    // Why it did not start is what has to be told, whatever else goes wrong then.
    await parts.disposeAsync().catch(() => {});
    log.fatal({ event: 'not_started', code: codeOf(error) }, startProblem(error, settings));
    process.exit(error instanceof AccessFileError ? EXIT.usage : EXIT.failed);
  }
  let stopping = false;
  const stop = (reason: string, exitCode: number): void => {
    if (stopping) return;
    stopping = true;
    log.info({ event: 'stopping', reason }, 'ending connections, committing what has come');
    setTimeout(() => die(undefined, 'it did not stop in time'), STOP_DEADLINE_MS).unref();
    parts.disposeAsync().then(
      () => {
        log.info({ event: 'stopped' }, 'stopped');
        process.exit(exitCode);
      },
      (error: unknown) => die(error, 'stopping failed'),
    );
  };
  const { access, failed } = running;
  // Where there is nothing to read again the signal ends it, as it does by itself.
  if (access.reloadable) process.on('SIGHUP', () => access.reload());
  process.on('SIGTERM', () => stop('SIGTERM', 0));
  process.on('SIGINT', () => stop('SIGINT', 0));
  void failed.then((error) => {
    log.fatal({ event: 'store_failed', code: error.code }, error.message);
    stop('the store failed', EXIT.failed);
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** What keeps the server from starting, with what to do about it. */
function startProblem(error: unknown, settings: ServerSettings): string {
  if (error instanceof StoreError || error instanceof AccessFileError) return error.message;
  if (!(error instanceof Error) || !('syscall' in error)) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { ingestHost, ingestPort, apiHost, apiPort } = settings;
  return `${error.message}. Collectors are to be served at ${ingestHost}:${ingestPort} (HOLDFAST_INGEST_HOST, HOLDFAST_INGEST_PORT), the API at ${apiHost}:${apiPort} (HOLDFAST_API_HOST, HOLDFAST_API_PORT): take another address, or end what has this one`;
}

function printConfig(): void {
  readServerSettings();
  console.log(formatSettings(settingsInForce(SERVER_SETTINGS, CONTEXT.environment)));
}

const EXAMPLES = `
Examples:
  Serve collectors and the API on this machine:
    HOLDFAST_TOKEN_FILE=./token HOLDFAST_STORE_PATH=./store ./holdfast server run
  See which settings are in force, secrets masked:
    ./holdfast server run --print-config
  Ask a running one:
    curl -s http://127.0.0.1:8080/api/v1/audit
  Let a collector in by a token of its own:
    HOLDFAST_TOKENS_FILE=./tokens ./holdfast server token add edge-1 > edge-1.token
  Export what it has stored, and ask whether anything is missing (the exit code says):
    HOLDFAST_STORE_PATH=./store ./holdfast server export --output frames.ndjson
    HOLDFAST_STORE_PATH=./store ./holdfast server audit
  Look at the store that it works on, or worked on:
    HOLDFAST_STORE_PATH=./store ./holdfast server store check
`;

async function main(): Promise<void> {
  const program = new Command('./holdfast server')
    .description('Holdfast server: stores what collectors send, and shows it.')
    .version(VERSION)
    .addHelpText('after', EXAMPLES)
    .exitOverride();
  program
    .command('run', { isDefault: true })
    .description('run until a stop signal; settings are environment variables')
    .option('--print-config', 'print the settings in force, secrets masked, and end')
    .addHelpText('after', EXAMPLES)
    .action((options: { printConfig?: boolean }) => (options.printConfig ? printConfig() : run()));
  addDataCommands(program, CONTEXT);
  addStoreCommands(program, CONTEXT);
  addTokenCommands(program, CONTEXT);
  try {
    await program.parseAsync();
  } catch (error) {
    const ending = endingOf(error);
    if (ending === undefined) throw error;
    if (ending.message !== undefined) console.error(ending.message);
    process.exitCode = ending.exitCode;
  }
}

await main();
