/** What a producer says about itself when it is asked. Only types: one reading, taken at once. */
import type { Epoch } from '#protocol/identity.ts';
import type { LinkErrorCode, Retry } from './link-error.ts';
import type { QueueError } from './queue/errors.ts';
import type { WhenFull } from './queue/queue.ts';
import type { SenderState } from './sender-state.ts';

/**
 * `opening`: the queue is being read; sends wait. `open`: sends are taken. `failed`: the queue could
 * not be opened, or the disk failed; sends are rejected until `reopen`. `closing` and `closed`: for
 * good.
 */
export type Lifecycle = 'opening' | 'open' | 'failed' | 'closing' | 'closed';

/** What becomes of frames; each grows over reopenings, too. */
export interface ProducerCounters {
  /** Frames that became durable here. */
  readonly accepted: number;
  /** Frames that the server confirmed as stored; again after a loss. */
  readonly acked: number;
  readonly declared: number;
  /** What servers no longer had of what they had confirmed; sent again or declared since. */
  readonly lostByStore: number;
  readonly dead: number;
  readonly resent: number;
  readonly connections: number;
}

/** Times are microseconds since 1970 UTC. */
export interface ProducerStatus {
  readonly lifecycle: Lifecycle;
  /** Why it is `failed`. */
  readonly failure: QueueError | undefined;
  /** Empty until the queue is open, unless the id is an option. */
  readonly collector: string;
  readonly epoch: Epoch | undefined;
  /** Of the link; Stopped, too, while there is no open queue. */
  readonly state: SenderState['name'];
  /** Since when the link is Ready, or else since when it is not: an outage has one beginning. */
  readonly since: number;
  /** Failures since the link last did its work. */
  readonly attempt: number;
  readonly nextRetryAt: number | undefined;
  readonly lastError: LastError | undefined;
  /** What was given to `send` and is not durable yet. */
  readonly unsynced: {
    /** On the way to the disk. */
    readonly frames: number;
    readonly bytes: number;
    readonly limitBytes: number;
    /** Sends that wait for their turn, because of that limit or until the queue is open. */
    readonly waiting: number;
  };
  readonly queue: {
    readonly frames: number;
    readonly bytes: number;
    /** What of it is settled, and kept in case the server loses it. */
    readonly keptBytes: number;
    readonly oldestCapturedAt: number | undefined;
    readonly limitBytes: number;
    readonly whenFull: WhenFull;
    /** 0: frames don't expire. */
    readonly maxAgeMs: number;
    /** The disk had no room for what was last to be written; it is tried again. */
    readonly diskFull: boolean;
  };
  readonly counters: ProducerCounters;
}

export interface LastError {
  readonly code: LinkErrorCode;
  readonly message: string;
  readonly retry: Retry;
  readonly at: number;
}
