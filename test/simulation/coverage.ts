/**
 * What a run of histories has to meet at least once: every step of the sender and the session, every
 * fault and the rare events in which things go wrong. A thing that is never met is never tested, so
 * zero on any of them is a failure.
 */
import { LEGAL_STEPS } from '#collector/producer/sender-state.ts';

const RARE: readonly string[] = [
  'break: silent',
  'break: sender-told',
  'break: receiver-told',
  'stream: break',
  'stream: hole',
  'stream: drop-message',
  'stream: flip',
  'dial: refused',
  'dial: unanswered',
  'dial: accepted before the proxy found nobody',
  'crash within a call to the disk',
  'queue: failed',
  'queue: torn tail',
  'queue: salvage',
  'queue: damage damaged',
  'queue: damage missing',
  'queue: damage unreadable',
  'several epochs announced at once',
  'gap: evicted',
  'gap: damaged',
  'gap: settled_elsewhere',
  'gap: lost_after_ack',
  'gap: disk_full',
  'disk full',
  'disk has room again',
  'send refused: disk_full',
  'store lost',
  'gap crossed by a late store',
  'frames: stored',
  'frames: duplicate',
  'frames: rejected',
  'rejected: too_large',
  'ack lost',
  'window: collapsed',
  'window: measured anew',
  'link error: deadline',
  'link error: no_progress',
  'link error: protocol',
  'link error: bye_in_use',
  'link error: bye_shutdown',
  'link error: bye_store_unavailable',
  'session ends: in_use',
  'session ends: superseded',
  'session ends: protocol_error',
  'session ends: timeout',
  'session ends: goodbye',
  'socket: reading paused',
  'store: full',
  'store: io',
];

/** Everything that has to be met, the faults of the plan apart. */
export function required(faults: readonly string[]): string[] {
  const steps = Object.entries(LEGAL_STEPS).flatMap(([from, nexts]) =>
    Object.keys(nexts).map((to) => `step: ${from} -> ${to}`),
  );
  return [...steps, ...RARE, ...faults.map((kind) => `fault: ${kind}`)];
}

/** Adds up what histories have met. */
export class Coverage {
  readonly counts = new Map<string, number>();

  add(met: ReadonlyMap<string, number>): void {
    for (const [what, times] of met) this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  missing(what: readonly string[]): string[] {
    return what.filter((one) => !this.counts.has(one));
  }

  /** A line for each, sorted. */
  lines(): string[] {
    return [...this.counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([what, times]) => `${String(times).padStart(10)}  ${what}`);
  }
}
