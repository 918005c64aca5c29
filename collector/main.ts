/**
 * The collector as a program: reads the environment and the command line, wires sampler, producer
 * and status server, handles the stop signals, and ends the process. Nothing else does any of that.
 *
 * Order of the start: status server (so that it can be asked while a large queue is verified),
 * queue, sampler. The stop runs backwards. Exit codes: 0 stopped as asked, 1 failed (a supervisor
 * should start it again), 2 usage or settings, 130 at the second signal.
 */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import {
  formatSettings,
  readSettings,
  SettingsError,
  settingsInForce,
} from '#protocol/settings.ts';
import { endingOf } from './commands/command.ts';
import { addDeadCommands } from './commands/dead.ts';
import { addQueueCommands } from './commands/queue.ts';
import { COLLECTOR_SETTINGS, type CollectorSettings } from './config.ts';
import { codeOf, EventLog } from './event-log.ts';
import { createLogger, type Logger } from './logger.ts';
import { Producer } from './producer/producer.ts';
import { systemClock } from './sampler/clock.ts';
import { Handover, type Receipt } from './sampler/handover.ts';
import { type HostProbes, openHostProbes } from './sampler/host-probes.ts';
import { Sampler } from './sampler/sampler.ts';
import { HttpServer, ListenError } from './status/http-server.ts';
import { statusRoutes } from './status/routes.ts';
import type { Readiness, Snapshot } from './status/snapshot.ts';
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

/** The parts of a running collector, as far as they have started. */
class Collector {
  readonly #settings: CollectorSettings;
  readonly #logger: Logger;
  readonly #log: EventLog;
  readonly #handover: Handover;
  #readiness: Readiness = { ready: false, reason: 'the queue is being opened' };
  #http: HttpServer | undefined;
  #producer: Producer | undefined;
  #probes: HostProbes | undefined;
  #sampler: Sampler | undefined;
  #stopping = false;

  constructor(settings: CollectorSettings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
    this.#log = new EventLog(logger, systemClock.monotonicMs);
    this.#handover = new Handover({
      clock: systemClock,
      send: (payload, capturedAt) => this.#send(payload, capturedAt),
      declareLost: async (samples) => this.#producer?.declareLost(samples),
      onAccepted: (receipt, payload, capturedAt) =>
        this.#log.onAccepted(receipt, payload, capturedAt),
      onRefused: (error, capturedAt) => this.#log.onRefused(error, capturedAt),
    });
  }

  async start(): Promise<void> {
    const { statusHost, statusPort, sampleIntervalMs } = this.#settings;
    this.#http = await HttpServer.listen({
      host: statusHost,
      port: statusPort,
      routes: statusRoutes(() => this.#snapshot(), sampleIntervalMs),
      onError: (error, path) =>
        this.#logger.error({ event: 'status_failed', path, err: error }, 'a status page failed'),
    });
    this.#logger.info(
      { event: 'status_listening', host: statusHost, port: this.#http.port },
      `status at http://${urlHost(statusHost)}:${this.#http.port}/`,
    );
    await this.#openProducer();
    this.#probes = await openHostProbes();
    if (this.#stopping) return;
    this.#startSampler(this.#probes);
  }

  /** Waits until what was captured is durable, and as far as the deadline allows, delivered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#readiness = { ready: false, reason: 'the collector is stopping' };
    const deadlineMs = performance.now() + this.#settings.stopDeadlineMs;
    await this.#sampler?.stop();
    await this.#handover.finish();
    await this.#producer?.close({ deadlineMs: Math.max(0, deadlineMs - performance.now()) });
    await this.#http?.close();
    this.#probes?.close();
    const frames = this.#producer?.status().queue.frames ?? 0;
    this.#logger.info(
      { event: 'stopped', frames },
      frames === 0 ? 'stopped; nothing waits in the queue' : `stopped; ${frames} frames are kept`,
    );
  }

  async #openProducer(): Promise<void> {
    const { server, token, collectorId } = this.#settings;
    const { queuePath, queueLimitBytes, queueWhenFull, queueMaxAgeMs } = this.#settings;
    const { drainOrder, backlogSharePercent, flushIntervalMs, compression } = this.#settings;
    const { keepSettledBytes, keepSettledMs } = this.#settings;
    const tls = tlsOf(this.#settings, readText);
    const producer = new Producer({
      server,
      token,
      tls,
      queuePath,
      queueLimitBytes,
      queueWhenFull,
      queueMaxAgeMs,
      drainOrder,
      backlogSharePercent,
      flushIntervalMs,
      compression,
      keepSettledBytes,
      keepSettledMs,
      collectorId,
    });
    producer.on('event', (event) => this.#log.onProducer(event));
    producer.on('failed', () => process.exit(EXIT.failed));
    const { collector, recovery } = await producer.opened();
    this.#producer = producer;
    this.#log.onOpened(collector, queuePath, recovery);
    if (tls === undefined && !isLoopback(server.host)) {
      this.#logger.warn(
        { event: 'link_unprotected', server: `${server.host}:${server.port}` },
        'the link leaves this machine without TLS: both ends are proven, but the samples can be ' +
          'read on the way, and who controls the way can forge them',
      );
    }
    if (!this.#stopping) this.#readiness = { ready: true };
  }

  #startSampler({ probes, resource }: HostProbes): void {
    const intervalMs = this.#settings.sampleIntervalMs;
    this.#sampler = new Sampler({
      intervalMs,
      resource,
      probes,
      clock: systemClock,
      onSample: (payload, capturedAt) => this.#handover.submit(payload, capturedAt),
      onEvent: (event) => this.#log.onSampler(event),
    });
    const facts = { event: 'sampling', interval_ms: intervalMs, container: resource.container };
    this.#logger.info(facts, `sampling every ${intervalMs} ms`);
  }

  async #send(payload: Uint8Array, capturedAt: number): Promise<Receipt> {
    assert(this.#producer !== undefined, 'sampling starts after the producer');
    return this.#producer.send(payload, { capturedAt });
  }

  #snapshot(): Snapshot {
    const stats = this.#sampler?.stats;
    const { captured, refused, held, lastCapturedAt } = this.#handover;
    return {
      readiness: this.#readiness,
      producer: this.#producer?.status(),
      samples: { captured, refused, held, lastCapturedAt, skippedTicks: stats?.skipped ?? 0 },
      sinceTickMs: stats && systemClock.monotonicMs() - stats.lastTickMs,
    };
  }
}

async function run(options: { printConfig?: boolean }): Promise<void> {
  const settings = settingsOrExit();
  if (options.printConfig) {
    console.log(formatSettings(settingsInForce(COLLECTOR_SETTINGS, process.env)));
    return;
  }
  const logger = createLogger(settings.logLevel);
  process.on('uncaughtException', (error) => {
    logger.fatal({ event: 'crashed', err: error }, 'a mistake in the collector; it ends now');
    process.exit(EXIT.failed);
  });
  const collector = new Collector(settings, logger);
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

function settingsOrExit(): CollectorSettings {
  try {
    const settings = readSettings(COLLECTOR_SETTINGS, process.env, readText);
    tlsOf(settings, readText);
    return settings;
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
  process.exit(error instanceof ListenError ? EXIT.usage : EXIT.failed);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

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
