/** What a benchmark and its process of fleet members say to each other. */
import type { FramePlan } from '../source/frames.ts';

export type FleetCommand =
  /** Starts so many collectors; answers when all are Ready. */
  | {
      readonly type: 'open';
      readonly port: number;
      readonly token: string;
      readonly members: number;
      readonly plan: FramePlan;
    }
  /** Each sends frames at a steady rate; answers when all are acknowledged. */
  | { readonly type: 'load'; readonly framesEach: number; readonly perSecondEach: number }
  /** Answers once all are Ready that were not, or at once; counts dials from `watch` on. */
  | { readonly type: 'ready' }
  | { readonly type: 'watch' }
  | { readonly type: 'close' };

export interface FleetFacts {
  /** When they were taken, by `machineMs`. */
  readonly at: number;
  /** From append to ack of each frame of the load, in milliseconds. */
  readonly ackMs: readonly number[];
  /** When each dial was begun since `watch`, by `machineMs`. */
  readonly dialledAt: readonly number[];
  readonly resent: number;
}
