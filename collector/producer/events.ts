/** What a producer tells without being asked. Only types; each event has its name in `type`, too. */
import type { Epoch } from '#protocol/identity.ts';
import type { QueueError, QueueFailedError, QueueReadError } from './queue/errors.ts';
import type { Damage, Gap, RecoveryReport, StoreLoss } from './queue/queue.ts';
import type { SenderState } from './sender-state.ts';

/** What an opening found. */
export interface Opening {
  /** The id under which the server knows this producer. */
  readonly collector: string;
  /** Frames of earlier openings that still wait, a torn tail, damage and what is lost by it. */
  readonly recovery: RecoveryReport;
}

/** What arises while a queue is open. */
export type PipelineEvent =
  | { readonly type: 'state'; readonly from: SenderState; readonly to: SenderState }
  /** Frames that had to be given up; the server will be told. */
  | { readonly type: 'gap'; readonly gap: Gap }
  /** The disk is full, so `send` fails with `disk_full` until it has room; told at both changes. */
  | { readonly type: 'disk_full'; readonly full: boolean }
  /** Frames that are stored at the server, on its disk; told again by each new connection. */
  | { readonly type: 'stored'; readonly epoch: Epoch; readonly from: number; readonly to: number }
  /** Damage was found in the queue's files; what is lost by it is declared in `gap` events. */
  | { readonly type: 'damage'; readonly damage: Damage }
  /**
   * The server no longer has what it had confirmed, or another server's store is in its place. What
   * is still in the queue is sent again; the rest is declared, in `gap` events of its own.
   */
  | { readonly type: 'store_lost'; readonly loss: StoreLoss }
  /** A frame that the server refuses for good; it is kept as a dead letter. */
  | {
      readonly type: 'rejected';
      readonly epoch: Epoch;
      readonly seq: number;
      /** A reject code of `#protocol/settlement.ts`, or `code_N` of a newer server. */
      readonly code: string;
      readonly text: string;
    }
  /** The disk failed: nothing more is accepted until `reopen`. What is durable stays so. */
  | { readonly type: 'failed'; readonly error: QueueFailedError | QueueReadError };

export type ProducerEvent =
  | PipelineEvent
  /** The queue is open for the first time. */
  | ({ readonly type: 'opened' } & Opening)
  /** The queue could not be opened; `reopen` tries again. */
  | { readonly type: 'open_failed'; readonly error: QueueError }
  /** The queue is open again, and verified, after a failure. */
  | ({ readonly type: 'reopened' } & Opening)
  /** Nothing follows this. */
  | { readonly type: 'closed' }
  /**
   * A listener threw; the producer and the other listeners were not disturbed. Without a listener for
   * this event the error is thrown anew, outside the producer, as an uncaught exception.
   */
  | { readonly type: 'listener_failed'; readonly error: unknown; readonly event: ProducerEvent };

type EventOf<T extends ProducerEvent['type']> = Extract<ProducerEvent, { type: T }>;

/** What listeners are called with, by the name of the event; `event` is each of them. */
export type ProducerEventMap = {
  [T in ProducerEvent['type']]: [event: EventOf<T>];
} & { event: [event: ProducerEvent] };
