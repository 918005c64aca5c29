/**
 * What became of the records of one collector, from the rows that the server exported and nothing
 * else: which are there, how often, in which order and how long after they were made. A record is
 * known by the number in its payload, so one that was sent again under a new identity is a duplicate.
 */
import { strict as assert } from 'node:assert';
import { capturedAtOf, type FramePlan, indexOf, payloadOf } from './source/frames.ts';
import type { ExportedRow, Verification } from './verification.ts';

export interface Judgement extends Verification {
  /** Records whose first copy was stored behind that of a later record. */
  readonly outOfOrder: number;
  /** Records of which a copy was stored by `by`, in microseconds since 1970 UTC. */
  readonly storedBy: (by: number) => number;
  /**
   * Milliseconds from its capture time until the server had the first copy, of every record by number; of
   * one that never came, until `watchedUntil`: it took longer.
   */
  readonly latenciesMs: readonly number[];
  /** The longest time in which no first copy came, up to `watchedUntil` where records are missing. */
  readonly longestHoleMs: number;
}

export interface Case {
  readonly plan: FramePlan;
  /** Records that were due, from 0 on. */
  readonly offered: number;
  /** Those of them that the producer took, from 0 on: these count as lost when they aren't there. */
  readonly taken: number;
  /** Until when a late record would have been seen, in microseconds since 1970 UTC. */
  readonly watchedUntil: number;
}

export function judge(rows: readonly ExportedRow[], about: Case): Judgement {
  const { plan, offered, taken, watchedUntil } = about;
  assert(taken <= offered, 'more records were taken than there are');
  const counts = { stored: rows.length, duplicated: 0, altered: 0, unexpected: 0 };
  /** When the first copy of each came; undefined where none did. */
  const firstAt: (number | undefined)[] = Array.from({ length: offered }, () => undefined);
  let outOfOrder = 0;
  let highest = -1;
  for (const { payload, capturedAt, receivedAt } of inOrderOfArrival(rows)) {
    const n = indexOf(payload);
    if (n === undefined || n >= offered) {
      counts.unexpected += 1;
      continue;
    }
    const isSame = payload.equals(payloadOf(plan, n)) && capturedAt === capturedAtOf(plan, n);
    if (!isSame) counts.altered += 1;
    if (firstAt[n] !== undefined) {
      counts.duplicated += 1;
      continue;
    }
    firstAt[n] = receivedAt;
    if (n < highest) outOfOrder += 1;
    highest = Math.max(highest, n);
  }
  const lost = firstAt.slice(0, taken).filter((at) => at === undefined).length;
  return {
    ...counts,
    sent: taken,
    lost,
    outOfOrder,
    storedBy: (by) => firstAt.filter((at) => at !== undefined && at <= by).length,
    longestHoleMs: longestHoleUs(firstAt, watchedUntil) / 1_000,
    latenciesMs: firstAt.map((at, n) => ((at ?? watchedUntil) - capturedAtOf(plan, n)) / 1_000),
  };
}

/** By the server's clock; what it took at once, by its place in its epoch. */
function inOrderOfArrival(rows: readonly ExportedRow[]): ExportedRow[] {
  return rows.toSorted((a, b) => a.receivedAt - b.receivedAt || a.seq - b.seq);
}

function longestHoleUs(firstAt: readonly (number | undefined)[], watchedUntil: number): number {
  const came = firstAt.filter((at) => at !== undefined).toSorted((a, b) => a - b);
  const ends = came.length < firstAt.length ? [...came, watchedUntil] : came;
  return ends.slice(1).reduce((most, at, i) => Math.max(most, at - (ends[i] ?? at)), 0);
}
