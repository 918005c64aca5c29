/**
 * The collector as a program: reads the environment and the command line, handles the stop signals,
 * and ends the process. Nothing else does any of that. What runs is `collector.ts`; it is loaded by
 * `run` alone, for the tools beside it need little of it and should answer at once.
 *
 * Exit codes: 0 stopped as asked, 1 failed (a supervisor should start it again), 2 usage, settings,
 * or something else that a person must change before it can start, 130 at the second signal.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import {
  formatSettings,
  readSettings,
  SettingsError,
  settingsInForce,
} from '#protocol/settings.ts';
import type { Collector } from './collector.ts';
import { endingOf } from './commands/command.ts';
import { addDeadCommands } from './commands/dead.ts';
import { addQueueCommands } from './commands/queue.ts';
import { COLLECTOR_SETTINGS, type CollectorSettings } from './config.ts';
import { codeOf } from './event-log.ts';
import type { Logger } from './logger.ts';
import { CollectorIdError, QueueInUseError, QueueOpenError } from './producer/queue/errors.ts';
import { ListenError } from './status/http-server.ts';
import { tlsOf } from './tls.ts';

const EXIT = { stopped: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** After the stop deadline, what releasing files and sockets may still take. */
const RELEASE_MS = 2_000;

const EXAMPLES = `
Examples:
  Run against a server on this machine:
    HOLDFAST_TOKEN_FILE=./token HOLDFAST_SERVER=127.0.0.1:9000 ./holdfast collector run
  See which settings are in force, secrets masked:
    ./holdfast collector run --print-config
  Ask a running one:
    curl -s http://127.0.0.1:9464/status
`;

async function run(options: { printConfig?: boolean }): Promise<void> {
  const { settings, tls } = settingsOrExit();
  if (options.printConfig) {
    console.log(formatSettings(settingsInForce(COLLECTOR_SETTINGS, process.env)));
    return;
  }
  const { createLogger } = await import('./logger.ts');
  const { Collector } = await import('./collector.ts');
  const logger = createLogger(settings.logLevel);
  process.on('uncaughtException', (error) => {
    logger.fatal({ event: 'crashed', err: error }, 'a mistake in the collector; it ends now');
    process.exit(EXIT.failed);
  });
  const collector = new Collector({
    settings,
    tls,
    logger,
    onFailed: () => process.exit(EXIT.failed),
  });
  stopOnSignals(collector, settings, logger);
  try {
    await collector.start();
  } catch (error) {
    endAfterFailedStart(error, logger);
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

function settingsOrExit() {
  try {
    const settings = readSettings(COLLECTOR_SETTINGS, process.env, readText);
    return { settings, tls: tlsOf(settings, readText) };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    process.exit(EXIT.usage);
  }
}

function stopOnSignals(collector: Collector, settings: CollectorSettings, logger: Logger): void {
  let asked = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked) process.exit(EXIT.interrupted);
    asked = true;
    logger.info({ event: 'stopping', signal }, `${signal}: stopping`);
    setTimeout(() => {
      logger.error(
        { event: 'stop_overdue' },
        'could not stop in time; frames confirmed as durable are on the disk. It ends now',
      );
      process.exit(EXIT.failed);
    }, settings.stopDeadlineMs + RELEASE_MS).unref();
    void collector.stop().then(() => process.exit(EXIT.stopped));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** A known failure in its own words; an unknown one is a mistake of ours, and goes on as one. */
function endAfterFailedStart(error: unknown, logger: Logger): never {
  if (!(error instanceof Error) || codeOf(error) === undefined) throw error;
  const advice =
    error instanceof ListenError
      ? '. Nothing was started; HOLDFAST_STATUS_HOST and HOLDFAST_STATUS_PORT move the status server'
      : '';
  logger.fatal({ event: 'start_failed', code: codeOf(error) }, `${error.message}${advice}`);
  process.exit(isForAPerson(error) ? EXIT.usage : EXIT.failed);
}

/** What stays as it is until somebody changes a setting, a file, a right, or ends another program. */
function isForAPerson(error: Error): boolean {
  if (error instanceof QueueOpenError) {
    return error.cause instanceof Error && UNUSABLE_PATH.has(codeOf(error.cause) ?? '');
  }
  return [ListenError, QueueInUseError, CollectorIdError].some((kind) => error instanceof kind);
}

/** The queue's directory can't be made, read or written, whatever the disk does. */
const UNUSABLE_PATH: ReadonlySet<string> = new Set([
  ...['EACCES', 'EEXIST', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOENT', 'ENOTDIR', 'EPERM', 'EROFS'],
  // Of all that is done by SQLite, only the lock's file.
  'ERR_SQLITE_ERROR',
]);

const program = new Command('./holdfast collector')
  .description('Samples this machine and brings every sample to the server, whatever the network.')
  .addHelpText('after', EXAMPLES)
  .showHelpAfterError('(--help tells more)')
  .exitOverride();
program
  .command('run', { isDefault: true })
  .description('run until a stop signal; settings are environment variables')
  .option('--print-config', 'print the settings in force, secrets masked, and end')
  .addHelpText('after', EXAMPLES)
  .action(run);
addQueueCommands(program);
addDeadCommands(program);

// A reader that has seen enough (`… | head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.stopped);
});
try {
  await program.parseAsync();
} catch (error) {
  const ending = endingOf(error);
  if (ending === undefined) throw error;
  if (ending.message !== undefined) console.error(ending.message);
  process.exitCode = ending.exitCode;
}
