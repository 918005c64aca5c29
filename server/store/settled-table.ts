/**
 * The table `settled`: the settled ranges of every stream, kept merged.
 *
 * Touches only the rows that a change meets, so neither memory nor time depends on how long or how
 * torn a stream is. The rules of joining are those of `protocol/settlement.ts`.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  SETTLED_STATES,
  type SeqRange,
  type SettledRange,
  SettledRanges,
} from '#protocol/settlement.ts';
import { StoreError, type StreamId } from './store.ts';

/** A row of `settled` as a range. */
export function settledRangeOf(row: Record<string, unknown>): SettledRange {
  const state = SETTLED_STATES[Number(row.state) - 1];
  if (state === undefined) {
    throw new StoreError('corrupt', `a settled range has the state ${row.state}`);
  }
  return { from: Number(row.first), to: Number(row.last), state, code: Number(row.code) };
}

export class SettledTable {
  readonly #touching: StatementSync;
  readonly #within: StatementSync;
  readonly #insert: StatementSync;
  readonly #change: StatementSync;
  readonly #delete: StatementSync;

  constructor(database: DatabaseSync) {
    // The row that begins at or before the first seq, and all that begin up to the last.
    const overlapping = `
      SELECT first, last, state, code FROM settled
      WHERE stream_id = ?1 AND first <= ?3 AND first >= coalesce(
        (SELECT first FROM settled WHERE stream_id = ?1 AND first <= ?2
         ORDER BY first DESC LIMIT 1), ?2)
      ORDER BY first`;
    this.#touching = database.prepare(overlapping);
    this.#within = database.prepare(`${overlapping} LIMIT ?4`);
    this.#insert = database.prepare(
      'INSERT INTO settled (stream_id, first, last, state, code) VALUES (?, ?, ?, ?, ?)',
    );
    this.#change = database.prepare(
      'UPDATE settled SET last = ?3, state = ?4, code = ?5 WHERE stream_id = ?1 AND first = ?2',
    );
    this.#delete = database.prepare('DELETE FROM settled WHERE stream_id = ? AND first = ?');
  }

  /** The ranges that overlap or abut any of these. */
  around(stream: StreamId, ranges: readonly SeqRange[]): SettledRange[] {
    let from = Number.MAX_SAFE_INTEGER;
    let to = 0;
    for (const range of ranges) {
      from = Math.min(from, range.from);
      to = Math.max(to, range.to);
    }
    if (from > to) return [];
    return this.#touching.all(stream, from - 1, to + 1).map(settledRangeOf);
  }

  /** What is settled within [from, to], cut to it; the lowest ranges, at most `countMax`. */
  within(stream: StreamId, { from, to }: SeqRange, countMax: number): SettledRange[] {
    if (from > to) return [];
    // One more: the first may end before `from`.
    const rows = this.#within.all(stream, from, to, countMax + 1).map(settledRangeOf);
    return new SettledRanges(rows).within(from, to).slice(0, countMax);
  }

  /**
   * Settles ranges, given what {@link around} answered for them. Answers the set after that, which
   * speaks for these seqs and their neighbours alone.
   */
  settle(
    stream: StreamId,
    before: readonly SettledRange[],
    added: readonly SettledRange[],
  ): SettledRanges {
    const after = new SettledRanges(before);
    let changed = false;
    for (const range of added) changed = after.add(range) || changed;
    if (changed) this.#replace(stream, before, after.ranges);
    return after;
  }

  /** Most often one range has become longer: its row is changed where it is. */
  #replace(
    stream: StreamId,
    before: readonly SettledRange[],
    after: readonly SettledRange[],
  ): void {
    const gone = new Map(before.map((range) => [range.from, range]));
    for (const range of after) {
      const old = gone.get(range.from);
      gone.delete(range.from);
      if (old !== undefined && isSame(old, range)) continue;
      const { from, to, state, code } = range;
      const write = old === undefined ? this.#insert : this.#change;
      write.run(stream, from, to, SETTLED_STATES.indexOf(state) + 1, code);
    }
    for (const from of gone.keys()) this.#delete.run(stream, from);
  }
}

/** Both begin at the same seq. */
function isSame(a: SettledRange, b: SettledRange): boolean {
  return a.to === b.to && a.state === b.state && a.code === b.code;
}
