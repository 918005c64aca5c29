/**
 * What left on connections that were lost before its ack: nobody here knows whether it arrived. The
 * next WELCOME may say so, or else it is sent again.
 *
 * Two things follow from it: which frames are sent a second time, and that a connection which was
 * lost had done some work all the same (its acks may have died with it). Bounded by what a window
 * lets out, for what is lost again was here before.
 */
import type { Epoch } from '#protocol/identity.ts';
import type { SeqRange } from '#protocol/settlement.ts';
import { without } from './flights.ts';

/** One message. */
interface Lost {
  readonly epoch: Epoch;
  readonly bytes: number;
  open: readonly SeqRange[];
}

export class Unconfirmed {
  #lost: Lost[] = [];

  get empty(): boolean {
    return this.#lost.length === 0;
  }

  /** A message of so many bytes on the wire; `open` are the seqs that no ack has named. */
  add(epoch: Epoch, open: readonly SeqRange[], bytes: number): void {
    this.#lost.push({ epoch, open, bytes });
  }

  /** These left again; answers how many of them had left before. */
  onSentAgain(epoch: Epoch, seqs: SeqRange): number {
    return this.#remove(epoch, seqs).seqs;
  }

  /** These have arrived; answers how many of them were in doubt, and the bytes of messages now whole. */
  onSettled(epoch: Epoch, seqs: SeqRange): { seqs: number; bytes: number } {
    return this.#remove(epoch, seqs);
  }

  #remove(epoch: Epoch, range: SeqRange): { seqs: number; bytes: number } {
    let seqs = 0;
    let bytes = 0;
    for (const lost of this.#lost) {
      if (lost.epoch !== epoch) continue;
      const left = without(lost.open, range);
      if (left === lost.open) continue;
      seqs += count(lost.open) - count(left);
      lost.open = left;
      if (left.length === 0) bytes += lost.bytes;
    }
    if (seqs > 0) this.#lost = this.#lost.filter(({ open }) => open.length > 0);
    return { seqs, bytes };
  }
}

function count(open: readonly SeqRange[]): number {
  return open.reduce((sum, { from, to }) => sum + to - from + 1, 0);
}
