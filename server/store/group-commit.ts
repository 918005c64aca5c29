/**
 * Group commit: everything that arrives while a transaction runs goes into the next one, whoever
 * it came from, so that one fsync pays for all of it.
 *
 * Invariants: one job at a time; items keep their order; a job is bounded in bytes and items, so
 * that nobody's backlog makes the others wait longer than a few jobs; when a job fails, each of
 * its items is rejected and nothing of it was kept.
 *
 * Frames are packed for the way to the writer as they come: so the next job is ready when the one
 * that runs is done, and nobody has to keep what the socket gave.
 */
import { FramePacker } from './packing.ts';
import type { ItemResult, JobResult, WriterItem, WriterJob } from './sqlite-writer.ts';
import type { StoreError, StreamBatch } from './store.ts';

/** Payload bytes of one transaction. Some tens of milliseconds of writing on a common disk. */
const JOB_BYTES_MAX = 4_194_304;
const JOB_ITEMS_MAX = 4_096;

type Asked = Exclude<WriterItem, { kind: 'batch' }> | { kind: 'batch'; batch: StreamBatch };

interface Answer {
  readonly resolve: (result: ItemResult) => void;
  readonly reject: (error: StoreError) => void;
}

/** A job that is being gathered. */
class Gathering {
  readonly answers: Answer[] = [];
  readonly #items: WriterItem[] = [];
  readonly #packer = new FramePacker();

  get frames(): number {
    return this.#packer.count;
  }

  hasRoomFor(asked: Asked): boolean {
    if (this.#items.length === 0) return true;
    if (this.#items.length >= JOB_ITEMS_MAX) return false;
    const bytes = asked.kind === 'batch' ? payloadBytes(asked.batch) : 0;
    return this.#packer.payloadBytes + bytes <= JOB_BYTES_MAX;
  }

  add(asked: Asked, answer: Answer): void {
    this.answers.push(answer);
    if (asked.kind !== 'batch') {
      this.#items.push(asked);
      return;
    }
    const { frames, ...batch } = asked.batch;
    this.#items.push({ kind: 'batch', batch, frames: this.#packer.add(frames) });
  }

  finish(): WriterJob {
    return { items: this.#items, packed: this.#packer.finish() };
  }
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
  readonly #waiting: Gathering[] = [];
  #running: Promise<void> | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Resolves with the item's result once its transaction is on disk. */
  add(asked: Asked): Promise<ItemResult> {
    return new Promise((resolve, reject) => {
      this.#gatheringFor(asked).add(asked, { resolve, reject });
      this.#running ??= this.#runAll();
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  #gatheringFor(asked: Asked): Gathering {
    const last = this.#waiting.at(-1);
    if (last?.hasRoomFor(asked)) return last;
    const fresh = new Gathering();
    this.#waiting.push(fresh);
    return fresh;
  }

  async #runAll(): Promise<void> {
    // What arrives in this turn of the event loop belongs together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      await this.#runOne(next);
    }
    this.#running = undefined;
  }

  async #runOne(gathering: Gathering): Promise<void> {
    const { answers, frames } = gathering;
    let result: JobResult;
    try {
      result = await this.#options.run(gathering.finish());
    } catch (error) {
      this.#options.refused(error as StoreError);
      for (const { reject } of answers) reject(error as StoreError);
      return;
    }
    for (const [index, { resolve }] of answers.entries()) resolve(result.results[index]);
    await this.#options.committed(result, frames);
  }
}

function payloadBytes({ frames }: StreamBatch): number {
  return frames.reduce((sum, frame) => sum + frame.payload.length, 0);
}
