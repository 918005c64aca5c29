/**
 * The load source as a program: a collector whose samples are random payloads, with a ledger of
 * what it tried. Reads the environment, wires ledger, producer, load and status server, handles the
 * signals, and ends the process. Nothing else does any of that.
 *
 * SIGTERM and SIGINT stop it as they stop the collector. SIGUSR2 ends the load alone: every answer
 * is awaited, the ledger is closed, and the process stays to bring over what waits in the queue.
 * The same happens at a limit. Exit codes are the collector's: 0 stopped as asked, 1 failed, 2
 * usage or settings, 130 at the second signal.
 */
import { strict as assert } from 'node:assert';
import { randomInt, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { Producer, type ProducerEvent } from '#collector/producer/producer.ts';
import { HttpServer, ListenError } from '#collector/status/http-server.ts';
import { statusRoutes } from '#collector/status/routes.ts';
import type { Readiness, Snapshot } from '#collector/status/snapshot.ts';
import { tlsOf } from '#collector/tls.ts';
import {
  formatSettings,
  readSettings,
  SettingsError,
  settingsInForce,
} from '#protocol/settings.ts';
import { LedgerError, LedgerWriter } from '../ledger/writer.ts';
import { SOURCE_SETTINGS, type SourceSettings } from './config.ts';
import { Load } from './load.ts';
import { Payloads } from './payloads.ts';

const EXIT = { stopped: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** After the stop deadline, what releasing files and sockets may still take. */
const RELEASE_MS = 2_000;
const SEED_MAX = 0xffff_ffff;

/** The parts of a running source, as far as they have started. */
class Source {
  readonly #settings: SourceSettings;
  readonly #logger: Logger;
  #readiness: Readiness = { ready: false, reason: 'the queue is being opened' };
  #http: HttpServer | undefined;
  #ledger: LedgerWriter | undefined;
  #producer: Producer | undefined;
  #load: Load | undefined;
  #limit: NodeJS.Timeout | undefined;

  constructor(settings: SourceSettings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    const { statusHost, statusPort, rate } = this.#settings;
    this.#http = await HttpServer.listen({
      host: statusHost,
      port: statusPort,
      routes: statusRoutes(() => this.#snapshot(), 1_000 / rate),
      onError: (error, path) =>
        this.#logger.error({ event: 'status_failed', path, err: error }, 'a status page failed'),
    });
    const { port } = this.#http;
    const listening = { event: 'status_listening', host: statusHost, port };
    this.#logger.info(listening, 'status is being served');
    if (rate > 0) this.#ledger = await LedgerWriter.open(this.#settings.ledgerPath);
    this.#producer = await this.#openProducer();
    if (this.#ledger !== undefined) await this.#startLoad(this.#ledger, this.#producer);
    this.#readiness = { ready: true };
  }

  /** No more attempts; the process stays. Does nothing before the load has started. */
  async endLoad(): Promise<void> {
    clearTimeout(this.#limit);
    await this.#load?.stop();
    const attempts = this.#load?.attempts ?? 0;
    this.#logger.info({ event: 'load_ended', attempts }, 'no more attempts; the ledger is closed');
  }

  async stop(): Promise<void> {
    this.#readiness = { ready: false, reason: 'the source is stopping' };
    const deadlineMs = performance.now() + this.#settings.stopDeadlineMs;
    await this.endLoad();
    await this.#producer?.close({ deadlineMs: Math.max(0, deadlineMs - performance.now()) });
    await this.#ledger?.close();
    await this.#http?.close();
    const frames = this.#producer?.status().queue.frames ?? 0;
    this.#logger.info({ event: 'stopped', frames }, `stopped; ${frames} frames are kept`);
  }

  async #openProducer(): Promise<Producer> {
    const { server, token, queuePath, queueLimitBytes, collectorId } = this.#settings;
    const { keepSettledBytes, keepSettledMs } = this.#settings;
    const producer = new Producer({
      server,
      token,
      tls: tlsOf(this.#settings, readText),
      queuePath,
      queueLimitBytes,
      keepSettledBytes,
      keepSettledMs,
      collectorId,
    });
    producer.on('event', (event) => this.#onProducer(event));
    await producer.opened();
    return producer;
  }

  async #startLoad(ledger: LedgerWriter, producer: Producer): Promise<void> {
    const { rate, sizes, incompressiblePercent, framesMax, durationMs } = this.#settings;
    const seed = this.#settings.seed ?? ledger.past.seed ?? randomInt(SEED_MAX + 1);
    const { collector } = producer.status();
    const mix = sizes.map(({ min, max, weight }) => `${min}-${max}:${weight}`).join(',');
    const settings = { rate, sizes: mix, incompressible_percent: incompressiblePercent };
    const at = Math.round(Temporal.Now.instant().epochMilliseconds * 1_000);
    await ledger.start({ run: randomUUID(), collector, seed, at, settings });
    this.#load = new Load({
      ledger,
      rate,
      framesMax,
      payloads: new Payloads(seed, { sizes, incompressiblePercent }),
      send: (payload, capturedAt) => producer.send(payload, { capturedAt }),
      onFailed: (error) => this.#onLoadFailed(error),
      onDone: () => void this.endLoad(),
    });
    this.#load.start();
    if (durationMs > 0) this.#limit = setTimeout(() => void this.endLoad(), durationMs);
    const { attempts, tornBytes } = ledger.past;
    this.#logger.info(
      { event: 'load_started', collector, seed, rate, attempts, torn_bytes: tornBytes },
      `${rate} frames a second, seed ${seed}, after ${attempts} attempts in the ledger`,
    );
  }

  #onProducer(event: ProducerEvent): void {
    switch (event.type) {
      case 'state':
        this.#logger.debug({ event: 'link', from: event.from.name, to: event.to.name }, 'link');
        return;
      case 'gap':
      case 'rejected':
        this.#logger.warn({ event: event.type, facts: event }, 'frames will not be stored');
        return;
      case 'disk_full':
        this.#logger.warn(
          { event: event.type, full: event.full },
          event.full ? 'the disk is full: attempts are refused' : 'the disk has room again',
        );
        return;
      case 'damage':
        this.#logger.error({ event: event.type, facts: event.damage }, event.damage.message);
        return;
      case 'store_lost':
        this.#logger.warn({ event: event.type, facts: event.loss }, 'the server lost frames');
        return;
      case 'stored':
      case 'opened':
      case 'open_failed':
      case 'reopened':
      case 'closed':
      case 'listener_failed':
        return;
      case 'failed':
        this.#logger.fatal(
          { event: 'queue_failed' },
          `${event.error.message}. The source ends now`,
        );
        process.exit(EXIT.failed);
        return;
      default:
        event satisfies never;
    }
  }

  #onLoadFailed(error: unknown): void {
    if (!(error instanceof LedgerError)) throw error;
    this.#logger.fatal({ event: 'ledger_failed', code: error.code }, error.message);
    process.exit(EXIT.failed);
  }

  #snapshot(): Snapshot {
    const facts = this.#load?.facts;
    return {
      readiness: this.#readiness,
      producer: this.#producer?.status(),
      samples: {
        captured: this.#load?.attempts ?? 0,
        refused: facts?.refused ?? 0,
        held: 0,
        lastCapturedAt: facts?.lastCapturedAt,
        skippedTicks: facts?.skipped ?? 0,
      },
      // A load that has ended needs no ticks.
      sinceTickMs: undefined,
    };
  }
}

async function run(options: { printConfig?: boolean }): Promise<void> {
  const settings = settingsOrExit();
  if (options.printConfig) {
    console.log(formatSettings(settingsInForce(SOURCE_SETTINGS, process.env)));
    return;
  }
  const logger = createLogger(settings.logLevel);
  process.on('uncaughtException', (error) => {
    logger.fatal({ event: 'crashed', err: error }, 'a mistake in the source; it ends now');
    process.exit(EXIT.failed);
  });
  const source = new Source(settings, logger);
  actOnSignals(source, settings, logger);
  try {
    await source.start();
  } catch (error) {
    endAfterFailedStart(error, logger);
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

function settingsOrExit(): SourceSettings {
  try {
    const settings = readSettings(SOURCE_SETTINGS, process.env, readText);
    tlsOf(settings, readText);
    return settings;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    process.exit(EXIT.usage);
  }
}

/** One JSON object a line, written synchronously, as the collector's log. */
function createLogger(level: string): Logger {
  const form = {
    level,
    base: { service: 'holdfast-source' },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(form, destination({ fd: process.stdout.fd, sync: true }));
}

function actOnSignals(source: Source, settings: SourceSettings, logger: Logger): void {
  let asked = false;
  const onStop = (signal: NodeJS.Signals): void => {
    if (asked) process.exit(EXIT.interrupted);
    asked = true;
    logger.info({ event: 'stopping', signal }, `${signal}: stopping`);
    setTimeout(() => {
      logger.error({ event: 'stop_overdue' }, 'could not stop in time; it ends now');
      process.exit(EXIT.failed);
    }, settings.stopDeadlineMs + RELEASE_MS).unref();
    void source.stop().then(() => process.exit(EXIT.stopped));
  };
  process.on('SIGTERM', onStop);
  process.on('SIGINT', onStop);
  process.on('SIGUSR2', () => void source.endLoad());
}

/** A known failure in its own words; an unknown one is a mistake of ours, and goes on as one. */
function endAfterFailedStart(error: unknown, logger: Logger): never {
  assert(error instanceof Error, 'only errors are thrown');
  if (!('code' in error)) throw error;
  logger.fatal({ event: 'start_failed', code: error.code }, error.message);
  process.exit(error instanceof ListenError ? EXIT.usage : EXIT.failed);
}

await new Command('source')
  .description('Sends random frames at a steady rate and keeps a ledger of them, for the oracle.')
  .option('--print-config', 'print the settings in force, secrets masked, and end')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.stopped : EXIT.usage))
  .action(run)
  .parseAsync();
