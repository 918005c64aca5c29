/**
 * Group commit: everything that arrives while a transaction runs goes into the next one, whoever
 * it came from, so that one fsync pays for all of it.
 *
 * Invariants: one job at a time; items keep their order; a job is bounded in bytes and items, so
 * that nobody's backlog makes the others wait longer than a few jobs; when a job fails, each of
 * its items is rejected and nothing of it was kept.
 */
import type { WireFrame } from '#protocol/messages.ts';
import { packFrames } from './packing.ts';
import type { ItemResult, JobResult, WriterItem, WriterJob } from './sqlite-writer.ts';
import type { StoreError, StreamBatch } from './store.ts';

/** Payload bytes of one transaction. Some tens of milliseconds of writing on a common disk. */
const JOB_BYTES_MAX = 4_194_304;
const JOB_ITEMS_MAX = 4_096;

type Asked = Exclude<WriterItem, { kind: 'batch' }> | { kind: 'batch'; batch: StreamBatch };

interface Waiting {
  readonly asked: Asked;
  readonly bytes: number;
  readonly resolve: (result: ItemResult) => void;
  readonly reject: (error: StoreError) => void;
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
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Resolves with the item's result once its transaction is on disk. */
  add(asked: Asked): Promise<ItemResult> {
    return new Promise((resolve, reject) => {
      const bytes = asked.kind === 'batch' ? payloadBytes(asked.batch.frames) : 0;
      this.#waiting.push({ asked, bytes, resolve, reject });
      this.#running ??= this.#runAll();
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #runAll(): Promise<void> {
    // What arrives in this turn of the event loop belongs together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#runOne(this.#takeJob());
    this.#running = undefined;
  }

  #takeJob(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      bytes += waiting.bytes;
      if (count > 0 && (bytes > JOB_BYTES_MAX || count >= JOB_ITEMS_MAX)) break;
      count += 1;
    }
    const taken = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return taken;
  }

  async #runOne(taken: readonly Waiting[]): Promise<void> {
    const { job, frames } = jobOf(taken);
    let result: JobResult;
    try {
      result = await this.#options.run(job);
    } catch (error) {
      this.#options.refused(error as StoreError);
      for (const { reject } of taken) reject(error as StoreError);
      return;
    }
    for (const [index, { resolve }] of taken.entries()) resolve(result.results[index]);
    await this.#options.committed(result, frames);
  }
}

function jobOf(taken: readonly Waiting[]): { job: WriterJob; frames: number } {
  const batches: (readonly WireFrame[])[] = [];
  let frames = 0;
  const items = taken.map(({ asked }): WriterItem => {
    if (asked.kind !== 'batch') return asked;
    const { frames: own, ...batch } = asked.batch;
    const slice = { start: frames, count: own.length };
    batches.push(own);
    frames += own.length;
    return { kind: 'batch', batch, frames: slice };
  });
  return { job: { items, packed: packFrames(batches) }, frames };
}

function payloadBytes(frames: readonly WireFrame[]): number {
  return frames.reduce((sum, frame) => sum + frame.payload.length, 0);
}
