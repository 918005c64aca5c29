/**
 * Who waits to hear what became of a frame. Only frames that somebody asked for cost anything here:
 * what is settled is remembered by the queue, which is asked once for each waiter, and again after
 * each opening; what happens later comes as it happens.
 *
 * Invariant: a waiter is registered before the queue is asked. So what is settled before the answer
 * is in the answer, and what is settled after it is heard.
 *
 * The first fate that is known is final for a waiter, also when a server that is restored from an
 * older copy loses the frame later, or a frame that was given up turns out to be stored.
 */
import type { Epoch } from '#protocol/identity.ts';
import { type SeqRange, type SettledRange, settledReason } from '#protocol/settlement.ts';
import { NotSettledError, SettlementUnknownError } from './errors.ts';
import type { Fate, Gap, QueuePosition } from './queue/queue.ts';

/** What became of a frame. */
export type Settlement =
  /** The server has it on its disk. */
  | { readonly state: 'stored' }
  /** It was given up here, and the server is told: a gap reason, `evicted` for one. */
  | { readonly state: 'declared'; readonly reason: string }
  /** The server refuses it for good; it is kept as a dead letter. */
  | { readonly state: 'rejected'; readonly code: string; readonly text?: string };

/** Where it is remembered what became of frames. */
export interface Memory {
  fates(positions: readonly QueuePosition[]): Promise<Fate[]>;
}

interface Waiter {
  readonly position: QueuePosition;
  readonly settled: Promise<Settlement>;
  readonly resolve: (settlement: Settlement) => void;
  readonly reject: (error: Error) => void;
}

/** Frames asked for with one question. */
const FATES_PER_QUESTION = 4_096;

export class Settlements {
  readonly #waiters = new Map<Epoch, Map<number, Waiter>>();
  /** Of which the queue was not asked yet. */
  #unasked: QueuePosition[] = [];
  #memory: Memory | undefined;
  #asking = false;
  #ended = false;

  /** Resolves once it is known; rejects with NotSettledError or SettlementUnknownError. */
  wait(position: QueuePosition): Promise<Settlement> {
    const waiters = this.#waiters.get(position.epoch) ?? new Map<number, Waiter>();
    const known = waiters.get(position.seq);
    if (known !== undefined) return known.settled;
    const { promise, resolve, reject } = Promise.withResolvers<Settlement>();
    // Whoever asks may look at it later, or not at all.
    promise.catch(() => {});
    if (this.#ended) {
      reject(new NotSettledError(position));
      return promise;
    }
    waiters.set(position.seq, { position, settled: promise, resolve, reject });
    this.#waiters.set(position.epoch, waiters);
    this.#unasked.push(position);
    this.#ask();
    return promise;
  }

  /** A queue is open: from now on it is asked, and what happens in it is told. */
  onOpened(memory: Memory): void {
    this.#memory = memory;
    this.#unasked = this.#waiters
      .values()
      .flatMap((waiters) => waiters.values().map(({ position }) => position))
      .toArray();
    this.#ask();
  }

  /** The queue is going to be closed; all stays as it is until the next is open. */
  onClosing(): void {
    this.#memory = undefined;
  }

  /** The end: what nobody knows yet, nobody here will know. */
  end(): void {
    this.#ended = true;
    this.#memory = undefined;
    this.#unasked = [];
    for (const waiters of this.#waiters.values()) {
      for (const { position, reject } of waiters.values()) reject(new NotSettledError(position));
    }
    this.#waiters.clear();
  }

  /**
   * The server's word. What it calls declared was declared by whoever had this queue's identity; a
   * frame that is here is sent all the same, so there the queue's word counts.
   */
  onSettled(epoch: Epoch, ranges: readonly SettledRange[]): void {
    for (const range of ranges) {
      const isStored = range.state === 'stored' || range.state === 'pruned';
      if (isStored) this.#settle(epoch, range, { state: 'stored' });
      else this.#askAgain(epoch, range);
    }
  }

  onGap({ epoch, from, to, reason }: Gap): void {
    this.#settle(epoch, { from, to }, { state: 'declared', reason });
  }

  onRejected({ epoch, seq }: QueuePosition, code: string, text: string): void {
    this.#settle(epoch, { from: seq, to: seq }, { state: 'rejected', code, text });
  }

  #settle(epoch: Epoch, range: SeqRange, settlement: Settlement): void {
    for (const { position, resolve } of this.#within(epoch, range)) {
      this.#forget(position);
      resolve(settlement);
    }
  }

  #askAgain(epoch: Epoch, range: SeqRange): void {
    for (const { position } of this.#within(epoch, range)) this.#unasked.push(position);
    this.#ask();
  }

  /** The waiters for a range, found by whichever is shorter. */
  #within(epoch: Epoch, { from, to }: SeqRange): Waiter[] {
    const waiters = this.#waiters.get(epoch);
    if (waiters === undefined) return [];
    if (to - from >= waiters.size) {
      return [...waiters.values()].filter(({ position: { seq } }) => seq >= from && seq <= to);
    }
    const found: Waiter[] = [];
    for (let seq = from; seq <= to; seq += 1) {
      const waiter = waiters.get(seq);
      if (waiter !== undefined) found.push(waiter);
    }
    return found;
  }

  #forget({ epoch, seq }: QueuePosition): void {
    const waiters = this.#waiters.get(epoch);
    waiters?.delete(seq);
    if (waiters?.size === 0) this.#waiters.delete(epoch);
  }

  /** At the end of the current microtasks, so that what is asked together goes together. */
  #ask(): void {
    if (this.#asking || this.#memory === undefined || this.#unasked.length === 0) return;
    this.#asking = true;
    queueMicrotask(async () => {
      await this.#askAll();
      this.#asking = false;
      this.#ask();
    });
  }

  async #askAll(): Promise<void> {
    while (this.#memory !== undefined && this.#unasked.length > 0) {
      const memory = this.#memory;
      const positions = this.#unasked.splice(0, FATES_PER_QUESTION);
      try {
        const fates = await memory.fates(positions);
        positions.forEach((position, i) => {
          this.#onFate(position, fates[i] ?? 'pending');
        });
      } catch {
        // The queue is closed, or its thread is dead: all are asked for again after the next opening.
        if (memory === this.#memory) this.#memory = undefined;
      }
    }
  }

  #onFate(position: QueuePosition, fate: Fate): void {
    if (fate === 'pending') return;
    const waiter = this.#waiters.get(position.epoch)?.get(position.seq);
    if (waiter === undefined) return;
    this.#forget(position);
    if (fate === 'unknown') waiter.reject(new SettlementUnknownError(position));
    else waiter.resolve(settlementOf(fate));
  }
}

function settlementOf(fate: Pick<SettledRange, 'state' | 'code'>): Settlement {
  const reason = settledReason(fate) ?? 'unknown';
  if (fate.state === 'declared') return { state: 'declared', reason };
  if (fate.state === 'rejected') return { state: 'rejected', code: reason };
  return { state: 'stored' };
}
