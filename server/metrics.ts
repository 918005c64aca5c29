/**
 * The server's metrics for Prometheus, in a registry of their own: base units, `_total` on
 * counters, every label value there from the start, no ids in labels.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { BYE_REASONS } from '#protocol/messages.ts';
import type { EndReason } from './session-state.ts';
import type { CommitReport } from './store/sqlite-store.ts';

const FRAME_RESULTS = ['stored', 'duplicate', 'rejected', 'conflict'] as const;
type FrameResult = (typeof FRAME_RESULTS)[number];

/** What is asked when the metrics are read. */
export interface MetricSources {
  readonly version: string;
  readonly connections: () => number;
  readonly ingestBytesHeld: () => number;
  readonly collectorsConnected: () => number;
  readonly storeWritable: () => boolean;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #frames: Counter<'result'>;
  readonly #declared: Counter;
  readonly #receivedBytes: Counter;
  readonly #opened: Counter;
  readonly #refused: Counter;
  readonly #closed: Counter<'reason'>;
  readonly #commitSeconds: Histogram;
  readonly #commitFrames: Histogram;
  readonly #walBytes: Gauge;
  readonly #damagedFrames: Gauge;
  readonly #pruned: Counter;

  constructor(sources: MetricSources) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
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
      help: 'Connections closed as they came, for there were too many.',
      registers,
    });
    this.#closed = new Counter({
      name: 'holdfast_ingest_connections_closed_total',
      help: 'Connections ended, by reason.',
      labelNames: ['reason'],
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
    this.#addSources(sources);
    for (const result of FRAME_RESULTS) this.#frames.inc({ result }, 0);
    const reasons: readonly EndReason[] = ['goodbye', 'disconnected', ...byeReasons()];
    for (const reason of reasons) this.#closed.inc({ reason }, 0);
  }

  onFrames(result: FrameResult, count: number): void {
    if (count > 0) this.#frames.inc({ result }, count);
  }

  onDeclared(count: number): void {
    if (count > 0) this.#declared.inc(count);
  }

  onReceived(bytes: number): void {
    this.#receivedBytes.inc(bytes);
  }

  onOpened(): void {
    this.#opened.inc();
  }

  onRefused(): void {
    this.#refused.inc();
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

  #addSources(sources: MetricSources): void {
    const { version, connections, ingestBytesHeld, collectorsConnected, storeWritable } = sources;
    const registers = [this.registry];
    const gauges: readonly [string, string, () => number][] = [
      ['holdfast_ingest_connections', 'Connections that are open.', connections],
      [
        'holdfast_ingest_held_bytes',
        'Bytes that connections hold in memory: received and not yet on disk, or sent and not yet read.',
        ingestBytesHeld,
      ],
      ['holdfast_collectors_connected', 'Collectors that are welcomed.', collectorsConnected],
      [
        'holdfast_store_writable',
        'Whether the last commit succeeded.',
        () => Number(storeWritable()),
      ],
    ];
    for (const [name, help, read] of gauges) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    }
    new Gauge({
      name: 'holdfast_server_build_info',
      help: 'Always 1; the labels say what runs.',
      labelNames: ['version', 'node'],
      registers,
    }).set({ version, node: process.version }, 1);
  }
}

function byeReasons(): (keyof typeof BYE_REASONS)[] {
  return Object.keys(BYE_REASONS) as (keyof typeof BYE_REASONS)[];
}
