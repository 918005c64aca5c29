/** What one measurement brings: its figures, and the proof that nothing was lost while measuring. */
import type { Figure } from './figures.ts';
import { holds, type Verification } from './verification.ts';

export interface Proof extends Verification {
  /** Which run it is of. */
  readonly of: string;
  /** Frames that the source sent more than once; a cut in flight makes some of that rightly. */
  readonly resent: number;
  /** What the run allows of that; undefined where that is not judged. */
  readonly resentMax: number | undefined;
}

export interface Result {
  readonly figures: readonly Figure[];
  readonly proofs: readonly Proof[];
}

/** Nothing was lost, doubled or changed, and nothing was sent again without a reason. */
export function isGood(proof: Proof): boolean {
  const { resent, resentMax = resent } = proof;
  return holds(proof) && resent <= resentMax;
}
