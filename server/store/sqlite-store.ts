/**
 * The store on SQLite: the port of `store.ts` over a writer's and a reader's thread, because every
 * call of SQLite blocks its thread for as long as the disk takes.
 *
 * Lives here: group commit, when to checkpoint, the state that `status` and `failed` tell. Not
 * here: SQL.
 */

import { join } from 'node:path';
import { BackgroundCheck } from './background-check.ts';
import type { CheckOutcome } from './check.ts';
import { exportChunks } from './export-chunks.ts';
import { GroupCommit } from './group-commit.ts';
import { damagedError } from './inspection.ts';
import { writeMark } from './mark.ts';
import { buffersOf } from './packed-batches.ts';
import { type PackedStored, unpackStored } from './packing.ts';
import { type NewStore, STORE_FILE } from './sqlite-schema.ts';
import type { JobResult } from './sqlite-writer.ts';
import {
  type AnnounceAnswer,
  type Announcement,
  type CollectorAudit,
  type CommitOutcome,
  type FrameFilter,
  type FramePage,
  type FramePosition,
  type FrameQuery,
  type GapQuery,
  type Heard,
  type KnownCollector,
  type PlacedGaps,
  type PruneOutcome,
  type PruneRequest,
  type Store,
  type StoredFrame,
  StoreError,
  type StoreStatus,
  type StoreSummary,
  type StreamBatch,
} from './store.ts';
import { WorkerCalls } from './worker-calls.ts';

/** The log is checkpointed past this. Smaller: more fsyncs; larger: commits that wait for longer. */
const WAL_BYTES = 8_388_608;
/** How long a sign of life may wait to be kept, and how often a failing store is tried again. */
const TICK_MS = 1_000;

/** How long a chunk of an export waits for the commit that runs, at most. */
const GIVE_WAY_MS = 250;

/** What was committed, for metrics. */
export interface CommitReport {
  readonly durationMs: number;
  readonly frames: number;
  readonly walBytes: number;
}

export interface SqliteStoreOptions {
  /** Made when it isn't there. */
  readonly directory: string;
  /** Used when the store has to be made. */
  readonly fresh: NewStore;
  /** A store of up to so many bytes is read whole at its opening, 64 MiB by default. */
  readonly readWholeBytes?: number;
  readonly onCommit?: (report: CommitReport) => void;
  /** When commits begin to fail, and when they succeed again. */
  readonly onStatus?: (status: StoreStatus) => void;
  /** When all of the store was read on the side; see `checked` for its opening. */
  readonly onChecked?: (outcome: CheckOutcome) => void;
}

/** What the writer's thread answers when it has opened the store. */
interface OpenedByWriter {
  readonly storeId: string;
  readonly checked: CheckOutcome | undefined;
}

export class SqliteStore implements Store {
  readonly storeId: string;
  readonly failed: Promise<StoreError>;
  /** What reading all of it at its opening came to; undefined when that was put off. */
  readonly checked: CheckOutcome | undefined;
  readonly #writer: WorkerCalls;
  readonly #reader: WorkerCalls;
  readonly #group: GroupCommit;
  readonly #options: SqliteStoreOptions;
  readonly #tick: NodeJS.Timeout;
  readonly #check: BackgroundCheck;
  #heard = new Map<string, Heard>();
  #status: StoreStatus = { writable: true };
  #closed = false;
  /** After a failure that waiting doesn't mend nothing is tried again: only a restart knows. */
  #broken: StoreError | undefined;
  #fail: (error: StoreError) => void = () => {};

  /** Throws StoreError when the directory holds something that can't be used as a store. */
  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    const writer = new WorkerCalls(new URL('./writer-worker.ts', import.meta.url), 'store-writer');
    const reader = new WorkerCalls(new URL('./reader-worker.ts', import.meta.url), 'store-reader');
    try {
      const { directory, fresh, readWholeBytes } = options;
      const place = { directory, fresh, readWholeBytes };
      const opened = await writer.call<OpenedByWriter>('open', place);
      await reader.call('open', directory);
      return new SqliteStore(opened, writer, reader, options);
    } catch (error) {
      await Promise.all([writer.terminate(), reader.terminate()]);
      throw error;
    }
  }

  private constructor(
    { storeId, checked }: OpenedByWriter,
    writer: WorkerCalls,
    reader: WorkerCalls,
    options: SqliteStoreOptions,
  ) {
    this.storeId = storeId;
    this.checked = checked;
    this.#writer = writer;
    this.#reader = reader;
    this.#options = options;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    void writer.died.then((error) => this.#refused(error));
    void reader.died.then((error) => this.#refused(error));
    this.#group = new GroupCommit({
      run: async (job) => {
        if (this.#broken) throw this.#broken;
        return this.#writer.call<JobResult>('run', job, buffersOf(job.batches));
      },
      committed: (result, frames) => this.#committed(result, frames),
      refused: (error) => this.#refused(error),
    });
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
    this.#tick.unref();
    const { directory, onChecked } = options;
    this.#check = new BackgroundCheck(
      {
        step: () => this.#read('check', directory),
        onDone: (outcome) => onChecked?.(outcome),
        onDamage: (problems) => this.#refused(damagedError(join(directory, STORE_FILE), problems)),
        onError: (error) => this.#refused(error),
      },
      { readJustNow: checked !== undefined },
    );
  }

  get status(): StoreStatus {
    return this.#status;
  }

  async announce(announcement: Announcement): Promise<AnnounceAnswer> {
    this.#checkOpen();
    return (await this.#group.add({ kind: 'announce', announcement })) as AnnounceAnswer;
  }

  commit(batch: StreamBatch): Promise<CommitOutcome> {
    if (this.#closed) return Promise.reject(closedError());
    return this.#group.add({ kind: 'batch', batch }) as Promise<CommitOutcome>;
  }

  heard(heard: Heard): void {
    const known = this.#heard.get(heard.collector);
    this.#heard.set(heard.collector, { ...heard, highest: heard.highest ?? known?.highest });
  }

  collectors(): Promise<readonly KnownCollector[]> {
    return this.#read('collectors');
  }

  audit(collector?: string): Promise<readonly CollectorAudit[]> {
    return this.#read('audit', collector);
  }

  gaps(query: GapQuery): Promise<PlacedGaps> {
    return this.#read('gaps', query);
  }

  summary(silentSince: readonly number[]): Promise<StoreSummary> {
    return this.#read('summary', silentSince);
  }

  async frames(query: FrameQuery): Promise<FramePage> {
    type Answer = { packed: PackedStored; last: boolean };
    const { packed, last } = await this.#read<Answer>('frames', query);
    return { frames: unpackStored(packed), last };
  }

  export(filter: FrameFilter, after?: FramePosition): AsyncIterable<readonly StoredFrame[]> {
    const read = async (query: FrameQuery): Promise<FramePage> => {
      await this.#giveWay();
      return this.frames(query);
    };
    return exportChunks(read, filter, after);
  }

  async prune(request: PruneRequest): Promise<PruneOutcome> {
    this.#checkOpen();
    return (await this.#group.add({ kind: 'prune', request })) as PruneOutcome;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    clearInterval(this.#tick);
    this.#check.stop();
    this.#keepHeard();
    this.#closed = true;
    await this.#group.idle();
    try {
      await this.#reader.call('close');
      await this.#writer.call('close');
    } finally {
      await Promise.all([this.#reader.terminate(), this.#writer.terminate()]);
    }
  }

  /**
   * An export gets on by a chunk for each commit while one follows the other: it is for what comes
   * in that the processors are there. A commit that a disk holds up doesn't hold up reading.
   */
  async #giveWay(): Promise<void> {
    const enough = Promise.withResolvers<void>();
    const timer = setTimeout(enough.resolve, GIVE_WAY_MS);
    await Promise.race([this.#group.jobEnded(), enough.promise]);
    clearTimeout(timer);
  }

  #committed(result: JobResult, frames: number): Promise<void> | undefined {
    this.#setStatus({ writable: true });
    const { durationMs, walBytes } = result;
    this.#options.onCommit?.({ durationMs, frames, walBytes });
    return walBytes > WAL_BYTES ? this.#checkpoint() : undefined;
  }

  async #checkpoint(): Promise<void> {
    try {
      await this.#writer.call('checkpoint');
    } catch (error) {
      this.#refused(error as StoreError);
    }
  }

  /** Damage that a reader meets is the store's: what it holds can't be relied on any more. */
  async #read<T>(method: string, argument?: unknown): Promise<T> {
    try {
      return await this.#reader.call<T>(method, argument);
    } catch (error) {
      const { code } = error as StoreError;
      if (code === 'corrupt' || code === 'io') {
        this.#markDamaged(error as StoreError);
        this.#refused(error as StoreError);
      }
      throw error;
    }
  }

  #refused(error: StoreError): void {
    if (this.#closed && error.code === 'closed') return;
    this.#setStatus({ writable: false, reason: error.message });
    if (error.retry === 'later' || this.#broken) return;
    this.#broken = error;
    if (error.code === 'corrupt') this.#markDamaged(error);
    this.#fail(error);
  }

  /** So that the next start reads all of it first, however large it is. */
  #markDamaged({ message }: StoreError): void {
    try {
      writeMark(this.#options.directory, { found: message, at: new Date().toISOString() });
    } catch {
      // A disk that takes no mark fails the next start by itself, or the check after it.
    }
  }

  #setStatus(status: StoreStatus): void {
    const changed = status.writable !== this.#status.writable;
    this.#status = status;
    if (changed) this.#options.onStatus?.(status);
  }

  #onTick(): void {
    // A store that refused is tried even when nobody has anything for it: readiness must come back.
    if (this.#heard.size > 0 || !this.#status.writable) this.#keepHeard();
  }

  #keepHeard(): void {
    const heard = [...this.#heard.values()];
    this.#heard = new Map();
    // Its failure is told by `status` and `failed`; the next sign of life makes up for it.
    this.#group.add({ kind: 'heard', heard }).catch(() => {});
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError();
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'the store was closed');
}
