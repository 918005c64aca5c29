/**
 * Removes the oldest frames. Part of the writer; runs within its transactions, a bounded number of
 * frames at a time.
 *
 * The order is that of arrival, which is that of the row ids; a clock that was set wrong for a while
 * doesn't change it. The newest frame of all stays, so that row ids never begin again: whatever
 * follows the store by them may rely on that. Pages that become free are used for new frames; the
 * file doesn't shrink.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SettledRange } from '#protocol/settlement.ts';
import type { SettledTable } from './settled-table.ts';
import type { PruneOutcome, PruneRequest, StreamId } from './store.ts';

/** Between two looks at how much room is taken. */
const FRAMES_PER_LOOK = 128;
const STEP_BYTES_MAX = 4_194_304;

export class Pruning {
  readonly #settled: SettledTable;
  readonly #first: StatementSync;
  readonly #last: StatementSync;
  readonly #receivedFrom: StatementSync;
  readonly #oldest: StatementSync;
  readonly #remove: StatementSync;
  readonly #pages: StatementSync;
  readonly #freePages: StatementSync;
  readonly #pageBytes: number;

  constructor(database: DatabaseSync, settled: SettledTable) {
    this.#settled = settled;
    this.#first = database.prepare('SELECT min(rowid) AS id FROM frames');
    this.#last = database.prepare('SELECT max(rowid) AS id FROM frames');
    this.#receivedFrom = database.prepare(
      'SELECT received_at FROM frames WHERE rowid >= ? ORDER BY rowid LIMIT 1',
    );
    this.#oldest = database.prepare(`
      SELECT rowid, stream_id, seq, length(payload) AS bytes FROM frames
      WHERE rowid < ? ORDER BY rowid LIMIT ?`);
    this.#remove = database.prepare('DELETE FROM frames WHERE rowid <= ?');
    this.#pages = database.prepare('PRAGMA page_count');
    this.#freePages = database.prepare('PRAGMA freelist_count');
    this.#pageBytes = Number(database.prepare('PRAGMA page_size').get()?.page_size);
  }

  /** What pages with something on them take; the log not counted. */
  get bytesInUse(): number {
    const pages = Number(this.#pages.get()?.page_count);
    return (pages - Number(this.#freePages.get()?.freelist_count)) * this.#pageBytes;
  }

  /** Prunes up to so many frames. */
  prune({ receivedBefore, keepBytes }: PruneRequest, framesMax: number): PruneOutcome {
    const newest = Number(this.#last.get()?.id ?? 0);
    const boundary = receivedBefore === undefined ? 0 : this.#boundaryOf(receivedBefore, newest);
    let pruned = this.#removeBelow(boundary, framesMax);
    let isOver = this.#takesMoreThan(keepBytes);
    while (isOver && pruned < framesMax) {
      const count = this.#removeBelow(newest, Math.min(FRAMES_PER_LOOK, framesMax - pruned));
      if (count === 0) return { pruned, more: false };
      pruned += count;
      isOver = this.#takesMoreThan(keepBytes);
    }
    return { pruned, more: isOver || this.#isAnyBelow(boundary) };
  }

  #takesMoreThan(bytes: number | undefined): boolean {
    return bytes !== undefined && this.bytesInUse > bytes;
  }

  #isAnyBelow(rowid: number): boolean {
    return this.#oldest.get(rowid, 1) !== undefined;
  }

  /** The first row that was received at this time or later, or the newest. By halving. */
  #boundaryOf(receivedBefore: number, newest: number): number {
    let low = Number(this.#first.get()?.id ?? 0);
    let high = newest;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const receivedAt = Number(this.#receivedFrom.get(middle)?.received_at);
      if (receivedAt < receivedBefore) low = middle + 1;
      else high = middle;
    }
    return high;
  }

  /** Removes the oldest rows below one, as far as a step goes. Answers how many. */
  #removeBelow(rowid: number, framesMax: number): number {
    const byStream = new Map<StreamId, number[]>();
    let count = 0;
    let bytes = 0;
    let last = 0;
    for (const row of this.#oldest.iterate(rowid, framesMax)) {
      const stream = Number(row.stream_id);
      const seqs = byStream.get(stream);
      if (seqs === undefined) byStream.set(stream, [Number(row.seq)]);
      else seqs.push(Number(row.seq));
      last = Number(row.rowid);
      count += 1;
      bytes += Number(row.bytes);
      if (bytes >= STEP_BYTES_MAX) break;
    }
    if (count === 0) return 0;
    this.#remove.run(last);
    for (const [stream, seqs] of byStream) {
      const runs = prunedRuns(seqs);
      this.#settled.settle(stream, this.#settled.around(stream, runs), runs);
    }
    return count;
  }
}

function prunedRuns(seqs: readonly number[]): SettledRange[] {
  const runs: { from: number; to: number; state: 'pruned'; code: number }[] = [];
  for (const seq of seqs.toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && seq === last.to + 1) last.to = seq;
    else runs.push({ from: seq, to: seq, state: 'pruned', code: 0 });
  }
  return runs;
}
