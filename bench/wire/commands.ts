/** What a benchmark and its process of wire connections say to each other. */
import type { FramePlan } from '../source/frames.ts';

export type WireCommand =
  /** Joins with so many connections; each is a collector of its own. */
  | {
      readonly type: 'open';
      readonly port: number;
      readonly token: string;
      readonly connections: number;
      /** What each will send at most: connection i begins at frame i times this of the plan. */
      readonly framesEach: number;
      readonly plan: FramePlan;
    }
  /** Makes messages of the next frames of each connection, so that no measurement has to. */
  | { readonly type: 'make'; readonly framesEach: number; readonly framesPerMessage: number }
  /** Sends what was made over all connections at once; answers when all of it is acknowledged. */
  | { readonly type: 'drain' }
  /** Sends single frames at a steady rate, by turns, and times each until its ack. */
  | { readonly type: 'steady'; readonly frames: number; readonly perSecond: number }
  /**
   * Sends a queue of frames, each a sample that is encoded when it is sent or was before, in one of
   * the ways there are to use connections; answers when all of it is acknowledged.
   */
  | {
      readonly type: 'queue';
      readonly port: number;
      readonly token: string;
      readonly collector: string;
      /** Its content is JSON. */
      readonly plan: FramePlan;
      /** The queue's first frame in the plan, and how many there are. */
      readonly firstFrame: number;
      readonly frames: number;
      readonly encoded: 'each time' | 'once';
      readonly by: Transport;
    }
  | { readonly type: 'close' };

/**
 * A connection for each frame; one for all, on which each waits for the ack of the one before; one
 * for all, as many under way as the window lets: as messages of one frame, or of many.
 */
export type Transport = 'a connection each' | 'one by one' | 'singly' | 'in batches';

export interface WireFacts {
  /** From the first write to the last ack of a drain, in milliseconds. */
  readonly elapsedMs: number;
  /** From write to ack of each frame, in milliseconds. */
  readonly ackMs: readonly number[];
  /** What encoding a queue took that was encoded before it was sent, in milliseconds. */
  readonly encodedMs: number;
}
