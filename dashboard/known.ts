/** What can be known here of a collector, and what only it knows. Pure. */
import type { Audit, Collector, Fate, LabAnswer } from './answers.ts';

/**
 * How many of its frames came to that; undefined where nobody here knows. What waits on the disk of a
 * silent one the server knows only as far as it was announced.
 */
export function knownCount(
  collector: Collector | undefined,
  audit: Audit | undefined,
  fate: Fate,
): number | undefined {
  const count = audit?.totals[fate];
  const silent = collector?.silent_since != null;
  return fate === 'pending' && count === 0 && silent ? undefined : count;
}

/** Where the lab's collector tells of itself, where that is known and can be opened. */
export function ownPage(lab: LabAnswer | null | undefined): string | undefined {
  const page = lab?.collector_page;
  return page != null && /^https?:\/\//.test(page) ? page : undefined;
}
