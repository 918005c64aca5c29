/**
 * What a store has lost: the difference between what was once settled and what the store says now.
 * Pure. What becomes of it is the core's.
 */
import {
  REJECT_CODES,
  type SeqRange,
  type SettledRange,
  SettledRanges,
} from '#protocol/settlement.ts';

/** A run of seqs that a store has lost. */
export interface LostRange extends SeqRange {
  /** What it had said of them before. */
  readonly before: SettledRange;
  /** What it says of them now: a lesser fate. Undefined: nothing at all. */
  readonly now: SettledRange | undefined;
}

/**
 * Compares what is remembered as settled with what a store answered for the same seqs. Lost is what
 * the store doesn't name, and what it had stored and now only knows as declared or rejected.
 */
export function lostRanges(
  known: readonly SettledRange[],
  answered: readonly SettledRange[],
): LostRange[] {
  const answer = new SettledRanges(answered);
  return known.flatMap((before) => {
    const { from, to } = before;
    const gone = answer.unsettled(from, to).map((run) => ({ ...run, before, now: undefined }));
    const lowered = answer
      .within(from, to)
      .filter((now) => hasBytes(before) && !hasBytes(now))
      .map((now) => ({ from: now.from, to: now.to, before, now }));
    return [...gone, ...lowered].sort((a, b) => a.from - b.from);
  });
}

/** True when the store had a row for it: its own, or another one that stands in its place. */
function hasBytes({ state, code }: SettledRange): boolean {
  const conflict = state === 'rejected' && code === REJECT_CODES.conflict;
  return state === 'stored' || state === 'pruned' || conflict;
}
