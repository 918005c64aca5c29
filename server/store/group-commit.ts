/**
 * Group commit: everything that arrives while a transaction runs goes into the next one, whoever
 * it came from, so that one fsync pays for all of it.
 *
 * Invariants: one job at a time; what one collector asks keeps its order; a job is bounded in bytes
 * and items, and where more waits than it holds the collectors share it (`fair-queue.ts`): nobody's
 * backlog makes another wait for longer than the job that runs and the next; when a job fails, each
 * of its items is rejected and nothing of it was kept.
 *
 * How much may wait is not bounded here: that is the intake's window and the server's budget.
 */
import { FairQueue } from './fair-queue.ts';
import { OutcomeUnpacker, packBatches } from './packed-batches.ts';
import { countOf } from './packing.ts';
import type { ItemResult, JobResult, WriterItem, WriterJob } from './sqlite-writer.ts';
import type { CommitOutcome, StoreError, StreamBatch } from './store.ts';

/** What one transaction takes. Some tens of milliseconds of writing on a common disk. */
const JOB_LIMITS = { weight: 4_194_304, items: 4_096 };
/** What an item weighs beside its payload bytes, and each of its frames: about what it costs. */
const ITEM_WEIGHT = 512;
const FRAME_WEIGHT = 64;

const NOTHING = (): void => {};

type Asked = Exclude<WriterItem, { kind: 'batches' }> | { kind: 'batch'; batch: StreamBatch };
type Answered = ItemResult | CommitOutcome;

/** Something that waits for its turn. */
interface Waiting {
  readonly asked: Asked;
  readonly answer: Answer;
}

interface Answer {
  readonly of: Asked['kind'];
  readonly resolve: (result: Answered) => void;
  readonly reject: (error: StoreError) => void;
}

interface EndedJob {
  /** Tells all who wait for it what became of it. */
  readonly answer: () => void;
  /** Has to end before the next job begins. */
  readonly followUp: Promise<void> | undefined;
}

/** What a group commit works with; `run` rejects with StoreError alone. */
export interface GroupCommitOptions {
  readonly run: (job: WriterJob) => Promise<JobResult>;
  /** After each job that was committed; what it still does ends before the next job begins. */
  readonly committed: (result: JobResult, frames: number) => Promise<void> | undefined;
  readonly refused: (error: StoreError) => void;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #waiting = new FairQueue<Waiting>();
  #running: Promise<void> | undefined;
  #job: Promise<unknown> | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Resolves with the item's result once its transaction is on disk. */
  add(asked: Asked): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const answer = { of: asked.kind, resolve, reject };
      this.#waiting.push(laneOf(asked), weightOf(asked), { asked, answer });
      this.#running ??= this.#runAll();
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Resolves when the job that runs now has ended, one way or the other; at once where none does. */
  async jobEnded(): Promise<void> {
    await this.#job;
  }

  /**
   * Where more waits than a job takes, the next one is begun before the one before is answered: what
   * is made of answers takes a while, and so long the writer would wait. Where all of it was taken, the answers
   * come first, and what they bring about is in the next one.
   */
  async #runAll(): Promise<void> {
    // What arrives in this turn of the event loop belongs together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    let answer = NOTHING;
    while (!this.#waiting.empty) {
      const job = this.#runNext();
      const more = !this.#waiting.empty;
      answer();
      const ended = await job;
      answer = ended.answer;
      if (more && ended.followUp === undefined) continue;
      answer();
      answer = NOTHING;
      await ended.followUp;
    }
    answer();
    this.#job = undefined;
    this.#running = undefined;
  }

  /** While the job runs, of what was asked only who waits for it is kept: the frames may go. */
  #runNext(): Promise<EndedJob> {
    const gathered = this.#waiting.take(JOB_LIMITS);
    const answers = gathered.map(({ answer }) => answer);
    const job = this.#runOne(jobOf(gathered), answers);
    this.#job = job;
    return job;
  }

  async #runOne(job: WriterJob, answers: readonly Answer[]): Promise<EndedJob> {
    const frames = countOf(job.batches.frames);
    let result: JobResult;
    try {
      result = await this.#options.run(job);
    } catch (error) {
      this.#options.refused(error as StoreError);
      return { answer: () => refuseAll(answers, error as StoreError), followUp: undefined };
    }
    const followUp = this.#options.committed(result, frames);
    return { answer: () => answerAll(answers, result), followUp };
  }
}

function answerAll(answers: readonly Answer[], result: JobResult): void {
  const outcomes = new OutcomeUnpacker(result.outcomes);
  const others = result.results.values();
  for (const { of, resolve } of answers) {
    resolve(of === 'batch' ? outcomes.take() : others.next().value);
  }
}

function refuseAll(answers: readonly Answer[], error: StoreError): void {
  for (const { reject } of answers) reject(error);
}

/** Signs of life and pruning come a little at a time, whatever else is waiting: a lane of their own. */
function laneOf(asked: Asked): string {
  switch (asked.kind) {
    case 'announce':
      return asked.announcement.collector;
    case 'batch':
      return asked.batch.collector;
    case 'heard':
    case 'prune':
      return '';
  }
}

function weightOf(asked: Asked): number {
  if (asked.kind !== 'batch') return ITEM_WEIGHT;
  let weight = ITEM_WEIGHT;
  for (const { payload } of asked.batch.frames) weight += FRAME_WEIGHT + payload.length;
  return weight;
}

/** Batches are packed, for the way to the writer; those that follow each other are one item. */
function jobOf(gathered: readonly Waiting[]): WriterJob {
  const batches: StreamBatch[] = [];
  const items: WriterItem[] = [];
  let run = 0;
  for (const { asked } of gathered) {
    if (asked.kind === 'batch') {
      batches.push(asked.batch);
      run += 1;
    } else {
      if (run > 0) items.push({ kind: 'batches', count: run });
      run = 0;
      items.push(asked);
    }
  }
  if (run > 0) items.push({ kind: 'batches', count: run });
  return { items, batches: packBatches(batches) };
}
