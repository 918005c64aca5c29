/**
 * The server's metrics for Prometheus, in a registry of their own: base units, `_total` on counters
 * and on nothing else, every label value there from the start. No ids in labels: how many series
 * there are doesn't depend on how many collectors there are. Who is silent, late or missing
 * something is told by name at /api/v1/collectors and /api/v1/audit.
 */
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type Metric,
  Registry,
} from 'prom-client';
import { BYE_REASONS } from '#protocol/messages.ts';
import { DeliveryLag, LAG_BOUNDS_S } from './delivery-lag.ts';
import type { ConnectionState, EndReason } from './ingest/session-state.ts';
import type { CommitReport } from './store/sqlite-store.ts';
import type { StoreSummary } from './store/store.ts';

const FRAME_RESULTS = ['stored', 'duplicate', 'rejected', 'conflict'] as const;
type FrameResult = (typeof FRAME_RESULTS)[number];

const FATES = ['stored', 'declared', 'rejected', 'pruned', 'pending', 'missing'] as const;

const CONNECTION_STATES = ['tls', 'greeting', 'joining', 'open', 'draining'] as const;

/**
 * Why a connection was closed that wanted nothing but to come in: no place was left, it had to make
 * room for a newer one before it had proven itself, or the process has no file handle for it.
 */
const REFUSALS = ['no_place', 'made_room', 'file_handles'] as const;
export type Refusal = (typeof REFUSALS)[number];

/** Gauges of Node's whose names end as counters' do. */
const MISNAMED = [
  'nodejs_active_resources_total',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
];

/** After these a collector counts as silent. */
const SILENT_AFTER_S = [60, 300, 3_600] as const;
/** The store is summed up once for a reading of all metrics, and for others just behind it. */
const SUMMARY_KEPT_MS = 2_000;

/** What is asked when the metrics are read. */
export interface MetricSources {
  readonly version: string;
  readonly ingestBytesHeld: () => number;
  readonly connectionStates: () => ReadonlyMap<ConnectionState, number>;
  readonly collectorsConnected: () => number;
  readonly storeWritable: () => boolean;
  readonly storeSummary: (silentSince: readonly number[]) => Promise<StoreSummary>;
  /** Microseconds since 1970 UTC. */
  readonly wallTime: () => number;
}

export class Metrics {
  readonly registry = new Registry();
  readonly deliveryLag = new DeliveryLag();
  readonly #sources: MetricSources;
  readonly #frames: Counter<'result'>;
  readonly #declared: Counter;
  readonly #receivedBytes: Counter;
  readonly #opened: Counter;
  readonly #refused: Counter<'reason'>;
  readonly #closed: Counter<'reason'>;
  readonly #ackSeconds: Histogram;
  readonly #commitSeconds: Histogram;
  readonly #commitFrames: Histogram;
  readonly #walBytes: Gauge;
  readonly #damagedFrames: Gauge;
  readonly #pruned: Counter;
  #summary:
    | { readonly at: number; readonly summary: Promise<StoreSummary | undefined> }
    | undefined;

  constructor(sources: MetricSources) {
    this.#sources = sources;
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED) this.registry.removeSingleMetric(name);
    this.#frames = new Counter({
      name: 'holdfast_ingest_frames_total',
      help: 'Frames received and committed, by what became of them.',
      labelNames: ['result'],
      registers,
    });
    this.#declared = new Counter({
      name: 'holdfast_ingest_declared_frames_total',
      help: 'Frames that collectors declared lost.',
      registers,
    });
    this.#receivedBytes = new Counter({
      name: 'holdfast_ingest_received_bytes_total',
      help: 'Bytes received from collectors.',
      registers,
    });
    this.#opened = new Counter({
      name: 'holdfast_ingest_connections_opened_total',
      help: 'Connections accepted.',
      registers,
    });
    this.#refused = new Counter({
      name: 'holdfast_ingest_connections_refused_total',
      help: 'Connections closed for want of a place or of a file handle, before they had proven themselves.',
      labelNames: ['reason'],
      registers,
    });
    this.#closed = new Counter({
      name: 'holdfast_ingest_connections_closed_total',
      help: 'Connections ended, by reason.',
      labelNames: ['reason'],
      registers,
    });
    this.#ackSeconds = new Histogram({
      name: 'holdfast_ingest_ack_latency_seconds',
      help: 'From a batch of frames received until its ack was written: the wait for the store.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.#commitSeconds = new Histogram({
      name: 'holdfast_store_commit_duration_seconds',
      help: 'From the beginning of a transaction until it was on disk.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.#commitFrames = new Histogram({
      name: 'holdfast_store_commit_frames',
      help: 'Frames in one transaction.',
      buckets: [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536],
      registers,
    });
    this.#walBytes = new Gauge({
      name: 'holdfast_store_wal_bytes',
      help: 'How much of the write-ahead log was in use after the last commit.',
      registers,
    });
    this.#damagedFrames = new Gauge({
      name: 'holdfast_store_damaged_frames',
      help: 'Stored frames that no longer matched their CRC when the store was last read whole.',
      registers,
    });
    this.#pruned = new Counter({
      name: 'holdfast_store_pruned_frames_total',
      help: 'Frames that retention has removed.',
      registers,
    });
    this.registry.registerMetric(lagMetric(this.deliveryLag));
    this.#addSources();
    this.#addSummary();
    for (const result of FRAME_RESULTS) this.#frames.inc({ result }, 0);
    for (const reason of REFUSALS) this.#refused.inc({ reason }, 0);
    const reasons: readonly EndReason[] = ['goodbye', 'disconnected', ...byeReasons()];
    for (const reason of reasons) this.#closed.inc({ reason }, 0);
  }

  onFrames(result: FrameResult, count: number): void {
    if (count > 0) this.#frames.inc({ result }, count);
  }

  /** Frames were stored just now, at `at`; these are their capture times. */
  onStored(collector: string, capturedAt: readonly number[], at: number): void {
    this.deliveryLag.onStored(collector, capturedAt, at);
  }

  onDeclared(count: number): void {
    if (count > 0) this.#declared.inc(count);
  }

  onReceived(bytes: number): void {
    this.#receivedBytes.inc(bytes);
  }

  onAcked(latencyMs: number): void {
    this.#ackSeconds.observe(latencyMs / 1_000);
  }

  onOpened(): void {
    this.#opened.inc();
  }

  onRefused(reason: Refusal): void {
    this.#refused.inc({ reason });
  }

  onClosed(reason: EndReason): void {
    this.#closed.inc({ reason });
  }

  onCommit({ durationMs, frames, walBytes }: CommitReport): void {
    this.#commitSeconds.observe(durationMs / 1_000);
    this.#commitFrames.observe(frames);
    this.#walBytes.set(walBytes);
  }

  onPruned(frames: number): void {
    this.#pruned.inc(frames);
  }

  onChecked(damagedFrames: number): void {
    this.#damagedFrames.set(damagedFrames);
  }

  #addSources(): void {
    const { version, connectionStates, ingestBytesHeld } = this.#sources;
    const { collectorsConnected, storeWritable } = this.#sources;
    const registers = [this.registry];
    new Gauge({
      name: 'holdfast_ingest_connections',
      help: 'Connections that are there, by state; open ones are welcomed collectors.',
      labelNames: ['state'],
      registers,
      collect() {
        const states = connectionStates();
        for (const state of CONNECTION_STATES) this.set({ state }, states.get(state) ?? 0);
      },
    });
    new Gauge({
      name: 'holdfast_ingest_held_bytes',
      help: 'Bytes that connections hold in memory: received and not yet on disk, or sent and not yet read.',
      registers,
      collect() {
        this.set(ingestBytesHeld());
      },
    });
    new Gauge({
      name: 'holdfast_collectors_connected',
      help: 'Collectors that are welcomed.',
      registers,
      collect() {
        this.set(collectorsConnected());
      },
    });
    new Gauge({
      name: 'holdfast_store_writable',
      help: 'Whether the last commit succeeded.',
      registers,
      collect() {
        this.set(Number(storeWritable()));
      },
    });
    new Gauge({
      name: 'holdfast_server_build_info',
      help: 'Always 1; the labels say what runs.',
      labelNames: ['version', 'node'],
      registers,
    }).set({ version, node: process.version }, 1);
  }

  /** What the store sums up. It has no value while the store can't be read. */
  #addSummary(): void {
    this.#addSummed(
      'holdfast_collectors_known',
      'Collectors ever heard.',
      undefined,
      ({ collectors }) => [[collectors, '']],
    );
    this.#addSummed(
      'holdfast_collectors_silent',
      'Collectors not heard for longer than so many seconds; the API names them.',
      'longer_than_seconds',
      ({ silent }) => silent.map((count, i) => [count, String(SILENT_AFTER_S[i])]),
    );
    this.#addSummed(
      'holdfast_store_frames',
      'Frames of all epochs by what became of them, as the audit has it.',
      'fate',
      ({ totals }) => FATES.map((fate): [number, string] => [totals[fate], fate]),
    );
    this.#addSummed(
      'holdfast_store_size_bytes',
      'What the rows take on disk, with room that is free among them; the write-ahead log comes on top.',
      undefined,
      ({ bytes }) => [[bytes, '']],
    );
  }

  #addSummed(
    name: string,
    help: string,
    label: string | undefined,
    valuesOf: (summary: StoreSummary) => readonly (readonly [number, string])[],
  ): void {
    const summed = () => this.#summedUp();
    new Gauge({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.registry],
      async collect() {
        const summary = await summed();
        if (label === undefined) this.remove();
        else this.reset();
        for (const [value, of] of summary === undefined ? [] : valuesOf(summary)) {
          this.set(label === undefined ? {} : { [label]: of }, value);
        }
      },
    });
  }

  #summedUp(): Promise<StoreSummary | undefined> {
    const at = performance.now();
    if (this.#summary === undefined || at - this.#summary.at > SUMMARY_KEPT_MS) {
      const { storeSummary, wallTime } = this.#sources;
      const now = wallTime();
      const silentSince = SILENT_AFTER_S.map((seconds) => now - seconds * 1_000_000);
      // What is wrong is told by the store's status, and where somebody asks for data.
      this.#summary = { at, summary: storeSummary(silentSince).catch(() => undefined) };
    }
    return this.#summary.summary;
  }
}

/** Counted frame by frame in ingest's way, for which a histogram of the library takes too long. */
function lagMetric(lag: DeliveryLag): Metric {
  const name = 'holdfast_ingest_delivery_lag_seconds';
  const get = async () => {
    const { counts, sumS } = lag.totals;
    let below = 0;
    const values = counts.map((count, i) => {
      below += count;
      const le = LAG_BOUNDS_S[i] ?? '+Inf';
      return { labels: { le }, value: below, metricName: `${name}_bucket` };
    });
    return {
      name,
      help: 'From the capture of a frame, by the clock of its collector, until it was committed.',
      type: 'histogram',
      aggregator: 'sum',
      values: [
        ...values,
        { labels: {}, value: sumS, metricName: `${name}_sum` },
        { labels: {}, value: below, metricName: `${name}_count` },
      ],
    };
  };
  return { name, get, reset: () => {} } as unknown as Metric;
}

function byeReasons(): (keyof typeof BYE_REASONS)[] {
  return Object.keys(BYE_REASONS) as (keyof typeof BYE_REASONS)[];
}
