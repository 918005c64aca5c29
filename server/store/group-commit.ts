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
import { FramePacker } from './packing.ts';
import type { ItemResult, JobResult, WriterItem, WriterJob } from './sqlite-writer.ts';
import type { StoreError, StreamBatch } from './store.ts';

/** What one transaction takes. Some tens of milliseconds of writing on a common disk. */
const JOB_LIMITS = { weight: 4_194_304, items: 4_096 };
/** What an item weighs beside its payload bytes, and each of its frames: about what it costs. */
const ITEM_WEIGHT = 512;
const FRAME_WEIGHT = 64;

type Asked = Exclude<WriterItem, { kind: 'batch' }> | { kind: 'batch'; batch: StreamBatch };

interface Answer {
  readonly resolve: (result: ItemResult) => void;
  readonly reject: (error: StoreError) => void;
}

/** Something that waits for its turn. */
interface Waiting {
  readonly asked: Asked;
  readonly answer: Answer;
  readonly payloadBytes: number;
}

/** What a group commit works with; `run` rejects with StoreError alone. */
export interface GroupCommitOptions {
  readonly run: (job: WriterJob) => Promise<JobResult>;
  /** After each job that was committed, before the next one begins. */
  readonly committed: (result: JobResult, frames: number) => Promise<void>;
  readonly refused: (error: StoreError) => void;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #waiting = new FairQueue<Waiting>();
  #running: Promise<void> | undefined;
  #job: Promise<void> | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Resolves with the item's result once its transaction is on disk. */
  add(asked: Asked): Promise<ItemResult> {
    return new Promise((resolve, reject) => {
      const frames = asked.kind === 'batch' ? asked.batch.frames : [];
      const payloadBytes = frames.reduce((sum, { payload }) => sum + payload.length, 0);
      const weight = ITEM_WEIGHT + frames.length * FRAME_WEIGHT + payloadBytes;
      const answer = { resolve, reject };
      this.#waiting.push(laneOf(asked), weight, { asked, answer, payloadBytes });
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

  async #runAll(): Promise<void> {
    // What arrives in this turn of the event loop belongs together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (!this.#waiting.empty) {
      this.#job = this.#runOne(this.#waiting.take(JOB_LIMITS));
      await this.#job;
    }
    this.#job = undefined;
    this.#running = undefined;
  }

  async #runOne(gathered: readonly Waiting[]): Promise<void> {
    let result: JobResult;
    try {
      result = await this.#options.run(jobOf(gathered));
    } catch (error) {
      this.#options.refused(error as StoreError);
      for (const { answer } of gathered) answer.reject(error as StoreError);
      return;
    }
    for (const [index, { answer }] of gathered.entries()) answer.resolve(result.results[index]);
    await this.#options.committed(result, framesOf(gathered));
  }
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

/** The frames are packed: for the way to the writer, and so that what the socket gave can go. */
function jobOf(gathered: readonly Waiting[]): WriterJob {
  const payloadBytes = gathered.reduce((sum, waiting) => sum + waiting.payloadBytes, 0);
  const packer = new FramePacker(framesOf(gathered), payloadBytes);
  const items = gathered.map(({ asked }): WriterItem => {
    if (asked.kind !== 'batch') return asked;
    const { frames, ...batch } = asked.batch;
    return { kind: 'batch', batch, frames: packer.add(frames) };
  });
  return { items, packed: packer.finish() };
}

function framesOf(gathered: readonly Waiting[]): number {
  return gathered.reduce(
    (sum, { asked }) => sum + (asked.kind === 'batch' ? asked.batch.frames.length : 0),
    0,
  );
}
