/**
 * The server as a program: reads the environment and the command line, handles signals, and ends the
 * process. Nothing else does any of that. What runs is `server.ts`; it is loaded by `run` alone, for
 * the tools beside it need little of it and should answer at once.
 *
 * Exit codes: 0 stopped as told, 1 could not go on, 2 usage, settings, or something else that a
 * person must change before it can start. The other commands are in `commands/`.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { formatSettings, readSettings, settingsInForce } from '#protocol/settings.ts';
import { AccessFileError } from './access/file-error.ts';
import { type CommandContext, EXIT, endingOf, exitCodeOf } from './commands/command.ts';
import { addDataCommands } from './commands/data.ts';
import { addStoreCommands } from './commands/store.ts';
import { addTokenCommands } from './commands/token.ts';
import { assertConsistent, SERVER_SETTINGS, type ServerSettings } from './config.ts';
import { shareFileHandles } from './ingest/file-handles.ts';
import type { Running } from './server.ts';
import { StoreError } from './store/store.ts';

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

function readServerSettings(): ServerSettings {
  const settings = readSettings(SERVER_SETTINGS, CONTEXT.environment, CONTEXT.readFile);
  assertConsistent(settings);
  return settings;
}

async function run(): Promise<void> {
  const settings = readServerSettings();
  const handles = shareFileHandles(settings);
  const { createLogger } = await import('./logger.ts');
  const { startServer } = await import('./server.ts');
  const log = createLogger(settings.logLevel);
  const die = (error: unknown, what: string): never => {
    log.fatal({ event: 'ended', err: error }, what);
    process.exit(EXIT.failed);
  };
  process.on('uncaughtException', (error) => die(error, 'an error that nobody expected'));
  const parts = new AsyncDisposableStack();
  let running: Running;
  try {
    running = await startServer(parts, { version: VERSION, settings, handles, log });
  } catch (error) {
    // Why it did not start is what has to be told, whatever else goes wrong then.
    await parts.disposeAsync().catch(() => {});
    log.fatal({ event: 'not_started', code: codeOf(error) }, startProblem(error, settings));
    process.exit(exitCodeOfStart(error));
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

/** `usage` where a person must change something before it can start. */
function exitCodeOfStart(error: unknown): number {
  if (error instanceof StoreError) return exitCodeOf(error);
  return error instanceof AccessFileError || isOfAddress(error) ? EXIT.usage : EXIT.failed;
}

/** Taken, not of this machine, not for this user, or a name that nobody knows. */
function isOfAddress(error: unknown): error is Error {
  const calls: unknown[] = ['listen', 'bind', 'getaddrinfo'];
  return error instanceof Error && 'syscall' in error && calls.includes(error.syscall);
}

/** What keeps the server from starting, with what to do about it. */
function startProblem(error: unknown, settings: ServerSettings): string {
  if (error instanceof StoreError || error instanceof AccessFileError) return error.message;
  if (!isOfAddress(error)) {
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
