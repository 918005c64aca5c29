/** What a benchmark and its source process say to each other; `../child.ts` carries it. */
import type { ProducerStatus, WhenFull } from '#collector/producer/producer.ts';
import type { FramePlan } from './frames.ts';

/** How a source is started. */
export interface SourceStart {
  readonly server: { readonly host: string; readonly port: number };
  readonly token: string;
  readonly collector: string;
  readonly queuePath: string;
  /** The producer's own default when left out. */
  readonly queueLimitBytes?: number;
  /** What happens at that limit; the producer's own default when left out. */
  readonly queueWhenFull?: WhenFull;
  /** Whether frames are compressed on the way; the producer's own default when left out. */
  readonly compression?: 'auto' | 'off';
  /** What the queue keeps of settled frames; the producer's own default when left out. */
  readonly keepSettledBytes?: number;
  readonly plan: FramePlan;
}

export type Command =
  | ({ readonly type: 'open' } & SourceStart)
  /** Makes the payloads of the next frames, so that no measurement has to. */
  | { readonly type: 'make'; readonly frames: number }
  /** Sends so many frames as fast as the queue takes them; answers when all are durable. */
  | { readonly type: 'fill'; readonly frames: number }
  /** Sends frames one by one, and times each, and before each a `SyncProbe`. */
  | { readonly type: 'lone'; readonly frames: number; readonly probePath: string }
  /**
   * Sends at a steady rate and times each frame until it is stored. With a path it also times a
   * `SyncProbe` at the same rate, in pauses each second; without one there is no pause.
   */
  | {
      readonly type: 'timed-load';
      readonly frames: number;
      readonly perSecond: number;
      readonly probePath?: string;
    }
  /**
   * Sends so many frames of another plan, each when its capture time has come; where the queue
   * refuses one, it and those behind it wait. Answers at once. `sent` does not count these.
   */
  | { readonly type: 'timely-load'; readonly plan: FramePlan; readonly frames: number }
  /** Goes on sending at a steady rate. */
  | { readonly type: 'load'; readonly perSecond: number }
  /** Ends that; answers when all that was sent is durable. */
  | { readonly type: 'end-load' }
  /** Answers once more than so many frames are acknowledged. */
  | { readonly type: 'acked-past'; readonly frames: number }
  /** Answers once the link is not Ready. */
  | { readonly type: 'not-ready' }
  /** Answers once nothing waits in the queue. */
  | { readonly type: 'empty' }
  | { readonly type: 'facts' }
  | { readonly type: 'close' };

export interface Facts {
  /** When these facts were taken; see {@link machineMs}. */
  readonly at: number;
  /** Frames that the queue accepted, from 0 on without a hole. */
  readonly sent: number;
  readonly status: ProducerStatus;
  /** What the command timed, by name, in milliseconds, in order. */
  readonly timesMs: Readonly<Record<string, readonly number[]>>;
}

/** The machine's monotonic clock in milliseconds: the same for all processes on it. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
