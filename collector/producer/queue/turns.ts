/**
 * What the queue's thread does with the requests that have arrived, one round after the other: all
 * appends first, made durable together by one sync, then everything else in order, then the tails
 * that appends asked for, then one report of it all. While a round waits for the disk the next requests gather; that is the whole group
 * commit.
 *
 * Here: the order of a round and what it reports. Not here: the thread, its messages, timers and
 * the lock (`worker.ts`); so the same rounds run in the simulation.
 */
import { assertNever } from '#protocol/errors.ts';
import type { QueueCore } from './core.ts';
import { DiskFullError, toFacts } from './errors.ts';
import {
  type Answer,
  type AppendOutcome,
  memoryOf,
  type PackedFrames,
  packFrames,
  type Question,
  type ReadPlace,
  type Request,
  type Tail,
  type Turn,
  unpackNewFrames,
} from './thread.ts';

/** A report, and the memory in it that has to be transferred to cross to another thread. */
export interface Report {
  readonly turn: Turn;
  readonly memory: ArrayBuffer[];
}

export class Turns {
  readonly #core: QueueCore;
  readonly #loadCollectorId: () => string;
  #isClosed = false;
  #appended: AppendOutcome[] = [];
  #answers: Answer[] = [];
  #tail: Tail | undefined;
  #replayed = 0;
  #memory: ArrayBuffer[] = [];

  /** @param loadCollectorId See `identity-file.ts`; called when the id is asked for. */
  constructor(core: QueueCore, loadCollectorId: () => string) {
    this.#core = core;
    this.#loadCollectorId = loadCollectorId;
  }

  /** True once `close` was performed: the files are let go of, and no further round may follow. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** True when `maintain` has something to do; it is called about once a second while this holds. */
  get maintenanceDue(): boolean {
    return !this.#isClosed && this.#core.maintenanceDue;
  }

  /** One round over all requests that have arrived, in the order of their arrival. */
  take(requests: readonly Request[]): Report {
    this.#whileSound(() => this.#append(requests.filter((request) => request.type === 'append')));
    for (const request of requests) this.#perform(request);
    for (const request of requests) if (request.type === 'append') this.#readTail(request.tail);
    return this.#report();
  }

  /**
   * A round of upkeep, without requests. On a full disk, what could not be done stays due.
   * @param now Monotonic milliseconds since the opening; left out, no time has passed.
   */
  maintain(now?: number): Report {
    this.#whileSound(() => {
      try {
        this.#core.maintain(now);
      } catch (error) {
        if (!(error instanceof DiskFullError)) throw error;
      }
    });
    return this.#report();
  }

  /** True when dead letters are to be sent again: then a round of `replay` puts them back. */
  get replayAsked(): boolean {
    return !this.#isClosed && this.#core.replayAsked;
  }

  replay(): Report {
    this.#whileSound(() => {
      this.#replayed = this.#core.replay();
    });
    return this.#report();
  }

  /**
   * Runs what writes, unless the queue has failed. If it fails now, no append of this round was
   * confirmed; the report carries the failure. Anything else that is thrown is a mistake of ours.
   */
  #whileSound(work: () => void): void {
    if (this.#core.failure !== undefined) return;
    try {
      work();
    } catch (error) {
      if (error !== this.#core.failure) throw error;
      this.#appended = [];
    }
  }

  #append(batches: readonly Extract<Request, { type: 'append' }>[]): void {
    const staged: AppendOutcome[] = [];
    try {
      for (const { batch, count } of batches) this.#stage(batch, count, staged);
      this.#core.commit();
      this.#appended = staged;
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      // Segments that were finished before there was no more room are durable, and their frames
      // accepted: whoever was told otherwise would send them again under other numbers.
      const diskFull = toFacts(error);
      this.#appended = batches.map((_, i) => ({ ...this.#durable(staged[i]), diskFull }));
    }
  }

  /** Stages one batch as far as there is room; its outcome is in `staged`, even if this throws. */
  #stage(batch: ArrayBuffer, count: number, staged: AppendOutcome[]): void {
    const outcome = { accepted: 0, epoch: '', firstSeq: 0 };
    staged.push(outcome);
    unpackNewFrames(batch, count, (payload, capturedAt) => {
      const position = this.#core.append(payload, capturedAt);
      if (position === undefined) return false;
      if (outcome.accepted === 0) {
        outcome.epoch = position.epoch;
        outcome.firstSeq = position.seq;
      }
      outcome.accepted += 1;
      return true;
    });
  }

  /** What of a batch that was staged, if any of it was, is durable. */
  #durable(staged: AppendOutcome = { accepted: 0, epoch: '', firstSeq: 0 }): AppendOutcome {
    const { highest } = this.#core.stats;
    if (staged.accepted === 0 || highest?.epoch !== staged.epoch) return { ...staged, accepted: 0 };
    const accepted = Math.max(0, Math.min(staged.accepted, highest.seq - staged.firstSeq + 1));
    return { ...staged, accepted };
  }

  #perform(request: Request): void {
    if (request.type === 'append') return;
    try {
      if (request.type === 'settle') {
        this.#core.settle(request.storeId, request.epoch, request.ranges);
      } else if (request.type === 'sending') {
        this.#core.noteSending(request.sending);
      } else if (request.type === 'reconcile') {
        const { storeId, epoch, within, ranges } = request;
        this.#core.reconcile(storeId, epoch, within, ranges);
      } else {
        this.#answers.push({ id: request.id, value: this.#answer(request.question) });
      }
    } catch (error) {
      const facts = toFacts(error);
      if (facts === undefined) throw error;
      if (request.type === 'ask') this.#answers.push({ id: request.id, error: facts });
    }
  }

  #answer(question: Question): unknown {
    switch (question.type) {
      case 'read':
        return this.#read(question);
      case 'gaps':
        return this.#core.pendingGaps();
      case 'held':
        return this.#core.held();
      case 'settled':
        return this.#core.settled(question.epoch);
      case 'fates':
        return question.positions.map((position) => this.#core.fate(position));
      case 'pendingUpTo':
        return this.#core.pendingUpTo(question.position);
      case 'declareLost':
        return this.#core.declareLost(question.count);
      case 'collectorId':
        return this.#loadCollectorId();
      case 'close':
        this.#isClosed = true;
        return this.#core.close();
      default:
        return assertNever(question);
    }
  }

  #read({ after, limits }: ReadPlace): PackedFrames {
    const packed = packFrames(this.#core.readPending(after, limits));
    this.#memory.push(...memoryOf(packed));
    return packed;
  }

  /** One that can't be read is left out: whoever needs the frames asks, and is told why. */
  #readTail(place: ReadPlace | undefined): void {
    if (place === undefined || this.#isClosed) return;
    try {
      const frames = this.#read(place);
      if (frames.table.length > 0) this.#tail = { after: place.after, frames };
    } catch (error) {
      if (toFacts(error) === undefined) throw error;
    }
  }

  #report(): Report {
    const { failure, stats } = this.#core;
    const turn: Turn = {
      appended: this.#appended,
      answers: this.#answers,
      tail: this.#tail,
      gaps: this.#core.takeNewGaps(),
      damage: this.#core.takeNewDamage(),
      losses: this.#core.takeNewLosses(),
      replayed: this.#replayed,
      failure: failure && toFacts(failure),
      stats,
    };
    const memory = this.#memory;
    this.#appended = [];
    this.#answers = [];
    this.#tail = undefined;
    this.#replayed = 0;
    this.#memory = [];
    return { turn, memory };
  }
}
