/**
 * What the status endpoints know: one reading of everything they show, taken when somebody asks.
 * Not here: how it is written as JSON (`document.ts`) or for Prometheus (`metrics.ts`).
 */
import type { ProducerStatus } from '#collector/producer/producer.ts';

/** Whether samples can be made durable now, or why not. */
export type Readiness =
  | { readonly ready: true }
  | { readonly ready: false; readonly reason: string };

export interface Snapshot {
  readonly readiness: Readiness;
  /** Undefined until the queue is open. */
  readonly producer: ProducerStatus | undefined;
  readonly samples: {
    readonly captured: number;
    /** Captured, not taken by the queue, and not declared. */
    readonly refused: number;
    /** Captured, and waiting in memory for room on the disk. */
    readonly held: number;
    /** Microseconds since 1970 UTC. */
    readonly lastCapturedAt: number | undefined;
    /** Ticks that passed without a sample. */
    readonly skippedTicks: number;
  };
  /** Milliseconds since the sampling loop last ticked; undefined until it runs. */
  readonly sinceTickMs: number | undefined;
}
