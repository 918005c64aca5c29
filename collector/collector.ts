/**
 * A running collector: sampler, producer and status server, wired, started in their order and
 * stopped in the reverse one.
 *
 * Order of the start: status server (so that it can be asked while a large queue is verified),
 * the probes' thread, queue, sampler. Not here: settings, signals and the process's end (`main.ts`).
 */
import { strict as assert } from 'node:assert';
import { isLoopback } from '#protocol/loopback.ts';
import type { CollectorSettings } from './config.ts';
import { EventLog } from './event-log.ts';
import type { Logger } from './logger.ts';
import { type LinkTls, Producer } from './producer/producer.ts';
import { systemClock } from './sampler/clock.ts';
import { Handover, type Receipt } from './sampler/handover.ts';
import { type HostProbes, openHostProbes } from './sampler/host-probes.ts';
import { whereWeRun } from './sampler/probes/cgroup.ts';
import { ProducerProbe } from './sampler/probes/producer.ts';
import { Sampler } from './sampler/sampler.ts';
import { HttpServer } from './status/http-server.ts';
import { statusRoutes } from './status/routes.ts';
import type { Readiness, Snapshot } from './status/snapshot.ts';

export interface CollectorParts {
  readonly settings: CollectorSettings;
  /** What TLS of the link is done with, asked for each dial; undefined where it is off. */
  readonly tls: (() => LinkTls) | undefined;
  readonly logger: Logger;
  /** The disk failed, which has been logged: the process is to end. */
  readonly onFailed: () => void;
}

/** The parts of a running collector, as far as they have started. */
export class Collector {
  readonly #settings: CollectorSettings;
  readonly #tls: CollectorParts['tls'];
  readonly #onFailed: CollectorParts['onFailed'];
  readonly #logger: Logger;
  readonly #log: EventLog;
  readonly #handover: Handover;
  #readiness: Readiness = { ready: false, reason: 'the queue is being opened' };
  #http: HttpServer | undefined;
  #producer: Producer | undefined;
  #producerProbe: ProducerProbe | undefined;
  #probes: HostProbes | undefined;
  #sampler: Sampler | undefined;
  #stopping = false;

  constructor({ settings, tls, logger, onFailed }: CollectorParts) {
    this.#settings = settings;
    this.#tls = tls;
    this.#logger = logger;
    this.#onFailed = onFailed;
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
    // Before the queue is opened: by the first sample the probes' thread is there.
    this.#probes = openHostProbes();
    await this.#openProducer();
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
    const tls = this.#tls;
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
    producer.on('failed', this.#onFailed);
    // From the first dial on: the first sample tells what came before it.
    this.#producerProbe = new ProducerProbe(producer, whereWeRun());
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
    assert(this.#producerProbe !== undefined, 'sampling starts after the producer');
    this.#sampler = new Sampler({
      intervalMs,
      resource,
      probes: [...probes, this.#producerProbe],
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

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
