/**
 * The mangler as a program: a TCP relay between Toxiproxy and the server that does to bytes what
 * Toxiproxy can't, by rules that its control API takes. Reads the environment, handles the signals,
 * and ends the process; nothing else does any of that.
 *
 * Exit codes: 0 stopped as asked, 1 failed, 2 settings, or an address that can't be listened on.
 */
import { parseArgs } from 'node:util';
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';
import {
  formatSettings,
  readSettings,
  SettingsError,
  settingsInForce,
} from '#protocol/settings.ts';
import { MANGLER_SETTINGS, type ManglerSettings } from './config.ts';
import { Control } from './control.ts';
import { Relay } from './relay.ts';

const EXIT = { stopped: 0, failed: 1, usage: 2 } as const;

function settingsOrExit(): ManglerSettings {
  try {
    return readSettings(MANGLER_SETTINGS, process.env, () => '');
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    process.exit(EXIT.usage);
  }
}

/** One JSON object a line, written synchronously, as the collector's log. */
function createLogger(): Logger {
  const form = {
    base: { service: 'holdfast-mangler' },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(form, destination({ fd: process.stdout.fd, sync: true }));
}

async function run(settings: ManglerSettings, logger: Logger): Promise<void> {
  const { host, port, upstream, controlHost, controlPort, connectionsMax } = settings;
  const relay = await Relay.listen({
    host,
    port,
    upstream,
    connectionsMax,
    onEvent: ({ event, ...facts }) => logger.info({ event, ...facts }, event.replace('_', ' ')),
  });
  const control = await Control.listen(relay, { host: controlHost, port: controlPort });
  const ports = { port: relay.port, control: control.port };
  const to = `${upstream.host}:${upstream.port}`;
  logger.info({ event: 'started', ...ports, upstream: to }, `relays port ${relay.port} to ${to}`);
  const stop = (): void => {
    void Promise.all([control.close(), relay.close()]).then(() => process.exit(EXIT.stopped));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

const { values } = parseArgs({ options: { 'print-config': { type: 'boolean' } } });
const settings = settingsOrExit();
if (values['print-config']) {
  console.log(formatSettings(settingsInForce(MANGLER_SETTINGS, process.env)));
} else {
  const logger = createLogger();
  process.on('uncaughtException', (error) => {
    logger.fatal({ event: 'crashed', err: error }, 'a mistake in the mangler; it ends now');
    process.exit(EXIT.failed);
  });
  await run(settings, logger).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall !== 'listen') throw error;
    logger.fatal({ event: 'start_failed', code: error.code }, error.message);
    process.exit(EXIT.usage);
  });
}
