/** Which collectors stand in front, and which one is shown to who has chosen none. Pure. */
import type { Audit, Collector } from './answers.ts';
import { MINUTE, timeOf } from './time.ts';

const LONG = 10 * MINUTE;

/** Silent for long and nothing open: it may be gone for good, and that is no trouble. */
export function isAtRest(
  { connected, silent_since }: Collector,
  audit: Audit | undefined,
  now: number,
): boolean {
  if (connected || silent_since === null || audit === undefined) return false;
  const { pending, missing } = audit.totals;
  return pending === 0 && missing === 0 && now - timeOf(silent_since) > LONG;
}

/** One that is heard, or that was heard last; of several the first. */
export function firstOf(collectors: readonly Collector[]): string | undefined {
  const heard = collectors.find(({ connected }) => connected);
  if (heard !== undefined) return heard.collector;
  const [latest] = [...collectors].sort(
    (a, b) => timeOf(b.last_heard_at) - timeOf(a.last_heard_at),
  );
  return latest?.collector;
}
