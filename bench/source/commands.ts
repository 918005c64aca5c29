/**
 * What a benchmark and its source process say to each other, over the channel that Node opens
 * between parent and child. One answer to each request.
 */
import type { ProducerStatus } from '#collector/producer/producer.ts';
import type { FramePlan } from './frames.ts';

/** How a source is started. */
export interface SourceStart {
  readonly server: { readonly host: string; readonly port: number };
  readonly token: string;
  readonly collector: string;
  readonly queuePath: string;
  readonly queueLimitBytes: number;
  readonly plan: FramePlan;
}

export type Command =
  | ({ readonly type: 'open' } & SourceStart)
  /** Sends so many frames as fast as the queue takes them; answers when all are durable. */
  | { readonly type: 'fill'; readonly frames: number }
  /** Goes on sending at a steady rate. */
  | { readonly type: 'load'; readonly perSecond: number }
  /** Ends that; answers when all that was sent is durable. */
  | { readonly type: 'end-load' }
  /** Answers once more than so many frames are acknowledged. */
  | { readonly type: 'acked-past'; readonly frames: number }
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
}

export interface Request {
  readonly id: number;
  readonly command: Command;
}

export type Answer =
  | { readonly id: number; readonly facts: Facts | undefined }
  | { readonly id: number; readonly error: string };

/** The machine's monotonic clock in milliseconds: the same for all processes on it. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
