/**
 * What left on connections that were lost before its ack: nobody here knows whether it arrived. The
 * next WELCOME may say so, or else it is sent again.
 *
 * Two things follow from it: which frames are sent a second time, and that a connection which was
 * lost had done some work all the same (its acks may have died with it). Bounded by what a window
 * lets out, for what is lost again was here before.
 */
import type { Epoch } from '#protocol/identity.ts';
import { countSeqs, type SeqRange } from '#protocol/settlement.ts';

/** One message. */
interface Lost {
  readonly bytes: number;
  /** How many of its seqs are still in doubt. */
  open: number;
}

interface Run extends SeqRange {
  readonly lost: Lost;
}

export class Unconfirmed {
  /** By epoch: ascending and disjoint, so that looking for a seq costs no walk through all. */
  readonly #runs = new Map<Epoch, Run[]>();

  get empty(): boolean {
    return this.#runs.size === 0;
  }

  /** A message of so many bytes on the wire; `open` are the seqs that no ack has named. */
  add(epoch: Epoch, open: readonly SeqRange[], bytes: number): void {
    const lost = { bytes, open: countSeqs(open) };
    for (const range of open) {
      this.#remove(epoch, range);
      const runs = this.#runs.get(epoch) ?? [];
      runs.splice(firstEndingAt(runs, range.from), 0, { ...range, lost });
      this.#runs.set(epoch, runs);
    }
  }

  /** These left again; answers how many of them had left before. */
  onSentAgain(epoch: Epoch, seqs: SeqRange): number {
    return this.#remove(epoch, seqs).seqs;
  }

  /** These have arrived; answers how many of them were in doubt, and the bytes of messages now whole. */
  onSettled(epoch: Epoch, seqs: SeqRange): { seqs: number; bytes: number } {
    return this.#remove(epoch, seqs);
  }

  #remove(epoch: Epoch, { from, to }: SeqRange): { seqs: number; bytes: number } {
    const removed = { seqs: 0, bytes: 0 };
    const runs = this.#runs.get(epoch);
    if (runs === undefined) return removed;
    const start = firstEndingAt(runs, from);
    const left: Run[] = [];
    let end = start;
    for (let run = runs[end]; run !== undefined && run.from <= to; run = runs[end]) {
      const { lost } = run;
      const seqs = Math.min(run.to, to) - Math.max(run.from, from) + 1;
      removed.seqs += seqs;
      lost.open -= seqs;
      if (lost.open === 0) removed.bytes += lost.bytes;
      if (run.from < from) left.push({ from: run.from, to: from - 1, lost });
      if (run.to > to) left.push({ from: to + 1, to: run.to, lost });
      end += 1;
    }
    runs.splice(start, end - start, ...left);
    if (runs.length === 0) this.#runs.delete(epoch);
    return removed;
  }
}

/** The index of the first run whose end is at or after `seq`. */
function firstEndingAt(runs: readonly Run[], seq: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((runs[middle]?.to ?? Number.POSITIVE_INFINITY) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
