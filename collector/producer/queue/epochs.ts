/**
 * What the queue knows of each epoch: how far it goes, what is settled, what was given up, and in
 * which order the epochs follow one another. In memory; `checkpoint.ts` and the segments keep it.
 *
 * Invariant, from the opening on: every seq from 1 to `highest` of a known epoch is settled,
 * declared in a gap, or on disk as a frame. So nothing can go missing without being noticed, and
 * counting needs no look at the disk.
 */
import type { Epoch, Predecessor } from '#protocol/identity.ts';
import { EPOCHS_PER_MESSAGE_MAX } from '#protocol/limits.ts';
import { type SeqRange, type SettledRange, SettledRanges } from '#protocol/settlement.ts';

/**
 * Epochs that are remembered after all of each is settled, the newest of them. So that what a
 * store loses can be noticed and named; as many as one message announces.
 */
const REMEMBERED_EPOCHS_MAX = EPOCHS_PER_MESSAGE_MAX;

/** Seqs looked at in one search for the end of an open run; bounds the work per step. */
const OPEN_RUN_MAX = 65_536;

export class EpochState {
  readonly epoch: Epoch;
  predecessor: Predecessor | undefined;
  /** The highest seq that is durable; 0 before the first. */
  highest = 0;
  /** Epochs in the order of their making have ascending ordinals. */
  ordinal = 0;
  /** What the server said. */
  readonly #settled = new SettledRanges();
  /** What will not be sent any more: settled, or declared by this queue. */
  readonly #closed = new SettledRanges();
  #closedCount = 0;

  constructor(epoch: Epoch) {
    this.epoch = epoch;
  }

  get settled(): readonly SettledRange[] {
    return this.#settled.ranges;
  }

  /** Frames that are still to be sent. */
  get pendingFrames(): number {
    return this.highest - this.#closedCount;
  }

  /** Knows that seqs up to here were given out. */
  reaches(seq: number): void {
    if (seq > this.highest) this.highest = seq;
  }

  /** Takes in what the server said. Answers true when it was news. */
  settle(range: SettledRange): boolean {
    const to = Math.min(range.to, this.highest);
    if (range.from > to) return false;
    const cut = { ...range, to };
    this.#close(cut);
    return this.#settled.add(cut);
  }

  /** How many seqs of a range the server has not said that it stored. */
  countUnstored({ from, to }: SeqRange): number {
    const end = Math.min(to, this.highest);
    let count = Math.max(0, end - from + 1);
    for (const range of this.#settled.within(from, end)) {
      const isStored = range.state === 'stored' || range.state === 'pruned';
      if (isStored) count -= range.to - range.from + 1;
    }
    return count;
  }

  /** Takes in that seqs were given up; they must not be over `highest`. */
  declare(range: SeqRange, code: number): void {
    this.#close({ from: range.from, to: range.to, state: 'declared', code });
  }

  /**
   * Forgets that the server settled these seqs (it had settled all of them), and with it what was
   * declared there; that is to be said again.
   */
  reopen(range: SeqRange): void {
    this.#closedCount -= range.to - range.from + 1;
    this.#closed.forget(range);
    this.#settled.forget(range);
  }

  isClosed(seq: number): boolean {
    return this.#closed.has(seq);
  }

  /** How a seq was settled or given up, if it was. */
  fate(seq: number): SettledRange | undefined {
    return this.#closed.find(seq);
  }

  /** The first run of frames in [from, to] that are still to be sent, or a part of that run. */
  openRun(from: number, to: number): SeqRange | undefined {
    let start = from;
    for (let range = this.#closed.find(start); range; range = this.#closed.find(start)) {
      start = range.to + 1;
    }
    if (start > to) return undefined;
    return this.#closed.unsettled(start, Math.min(to, start + OPEN_RUN_MAX))[0];
  }

  /** The runs in [from, to] that are neither settled nor declared. */
  open(from: number, to: number): SeqRange[] {
    return this.#closed.unsettled(from, to);
  }

  /** The runs in [from, to] that are settled or declared. */
  closed(from: number, to: number): SeqRange[] {
    return this.#closed.within(from, to);
  }

  /** What the server settled in [from, to]. */
  settledWithin(from: number, to: number): SettledRange[] {
    return this.#settled.within(from, to);
  }

  /** The runs in [from, to] that the server has not settled. */
  unsettled(from: number, to: number): SeqRange[] {
    return this.#settled.unsettled(from, to);
  }

  /** The lowest seq that the server has not settled; `highest + 1` when there is none. */
  get lowestUnsettled(): number {
    let next = 1;
    for (const range of this.#settled.ranges) {
      if (range.from > next) break;
      next = range.to + 1;
    }
    return next;
  }

  /** Where the last so many settled ranges below the lowest unsettled seq begin. */
  lowestWith(settledRanges: number): number {
    const unsettled = this.lowestUnsettled;
    if (settledRanges === 0) return unsettled;
    return this.settledWithin(1, unsettled - 1).at(-settledRanges)?.from ?? 1;
  }

  #close(range: SettledRange): void {
    for (const open of this.#closed.unsettled(range.from, range.to)) {
      this.#closedCount += open.to - open.from + 1;
    }
    this.#closed.add(range);
  }
}

/** The epochs of a queue, oldest first. */
export class Epochs {
  #inOrder: EpochState[] = [];
  readonly #byEpoch = new Map<Epoch, EpochState>();
  #nextOrdinal = 1;

  get inOrder(): readonly EpochState[] {
    return this.#inOrder;
  }

  get newest(): EpochState | undefined {
    return this.#inOrder.at(-1);
  }

  get pendingFrames(): number {
    return this.#inOrder.reduce((sum, state) => sum + state.pendingFrames, 0);
  }

  get(epoch: Epoch): EpochState | undefined {
    return this.#byEpoch.get(epoch);
  }

  /** Adds an epoch as the newest. */
  add(state: EpochState): void {
    state.ordinal = this.#nextOrdinal;
    this.#nextOrdinal += 1;
    this.#inOrder.push(state);
    this.#byEpoch.set(state.epoch, state);
  }

  /** Adds an epoch as the oldest: one that had been forgotten. */
  addOldest(state: EpochState): void {
    state.ordinal = (this.#inOrder[0]?.ordinal ?? this.#nextOrdinal) - 1;
    this.#inOrder.unshift(state);
    this.#byEpoch.set(state.epoch, state);
  }

  /** True for the newest epochs, which are remembered when all of them is settled, too. */
  isRemembered(state: EpochState): boolean {
    const oldest = this.#inOrder.at(-REMEMBERED_EPOCHS_MAX) ?? this.#inOrder[0];
    return oldest !== undefined && state.ordinal >= oldest.ordinal;
  }

  /**
   * Forgets the oldest epochs as long as each is settled as a whole, not one of the newest, and no
   * file speaks of it: or the next opening would know of it again, but not that it is settled.
   * Always from the oldest on: so an unknown epoch is older than all known ones.
   * @returns true when any was forgotten.
   */
  dropSettled(isOnDisk: (state: EpochState) => boolean): boolean {
    const kept = this.#inOrder.findIndex(
      (state) =>
        this.isRemembered(state) || state.lowestUnsettled <= state.highest || isOnDisk(state),
    );
    const dropped = this.#inOrder.slice(0, Math.max(kept, 0));
    for (const state of dropped) this.#byEpoch.delete(state.epoch);
    this.#inOrder = this.#inOrder.slice(dropped.length);
    return dropped.length > 0;
  }
}
