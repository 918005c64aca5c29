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

/** When a dial was due, and when this process came to begin it; both by `machineMs`. */
export interface Dial {
  readonly dueAt: number;
  readonly begunAt: number;
}

export interface FleetFacts {
  /** When they were taken, by `machineMs`. */
  readonly at: number;
  /** From append to ack of each frame of the load, in milliseconds. */
  readonly ackMs: readonly number[];
  /** Those begun since `watch`, in the order in which they were. */
  readonly dials: readonly Dial[];
  readonly resent: number;
}
