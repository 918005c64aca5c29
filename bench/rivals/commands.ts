/** What a benchmark and the process of a rival say to each other; `../child.ts` carries it. */
import type { FramePlan } from '../source/frames.ts';
import type { Kind } from './application.ts';
import type { LatchingOptions } from './latching.ts';

export type RivalCommand =
  | {
      readonly type: 'open';
      readonly kind: Kind;
      readonly underRequest: LatchingOptions['underRequest'];
      readonly port: number;
      readonly token: string;
      readonly collector: string;
    }
  /** Sends so many records, each when its capture time has come; answers at once. */
  | { readonly type: 'load'; readonly plan: FramePlan; readonly frames: number }
  | { readonly type: 'facts' }
  | { readonly type: 'close' };

export interface RivalFacts {
  /** Records that the producer took from the application, from the first on without a hole. */
  readonly taken: number;
  /** Nothing more will happen by itself. */
  readonly atRest: boolean;
  /** How often a connection ended under a request. */
  readonly cutsInFlight: number;
}
