/**
 * The worker of the series: follows the store, and answers from what it has followed. One thread for
 * both, with a low priority: neither a commit nor a heartbeat ever waits for it.
 */
import assert from 'node:assert';
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { FollowedStore } from '#server/store/followed-store.ts';
import { primaryCodeOf } from '#server/store/sqlite-errors.ts';
import { StoreError } from '#server/store/store.ts';
import { answerCalls, Handover } from '#server/store/worker-calls.ts';
import { wallTime } from '#server/surroundings.ts';
import { Follower } from './follower.ts';
import { isDamage, SeriesFile } from './series-file.ts';
import {
  answerCatalogue,
  answerSeries,
  type SeriesAnswer,
  type SeriesQuestion,
} from './series-query.ts';

/** How often it looks for new frames when nobody asks; a question has it look at once. */
const FOLLOW_INTERVAL_MS = 5_000;
/** The work of a large fleet is done less often, in larger pieces: that is cheaper. */
const REST_PER_WORK = 9;
const REST_MS_MAX = 60_000;
/** After a failure that waiting may mend, such as a full disk. */
const RETRY_MS = 10_000;
/** What a question waits for frames that are not charted yet. */
const CATCH_UP_MS = 100;
/** Of 19: a third of another thread's share where they compete, so that answers still come in time. */
const NICENESS = 5;

export interface SeriesWorkerOptions {
  /** The store's. */
  readonly directory: string;
  readonly seriesPerCollectorMax: number;
  readonly bucketsMax: number;
}

/** What the worker tells by itself. */
export interface SeriesNotice {
  readonly level: 'info' | 'warn';
  readonly event: 'series_started_over' | 'series_waits' | 'series_follows';
  readonly text: string;
}

class SeriesWorker {
  readonly #options: SeriesWorkerOptions;
  readonly #tell: (notice: SeriesNotice) => void;
  readonly #store: FollowedStore;
  #file: SeriesFile;
  #follower: Follower;
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #waits = false;
  /** Of the work since the last rest. */
  #workedMs = 0;
  #closed = false;

  constructor(options: SeriesWorkerOptions, tell: (notice: SeriesNotice) => void) {
    this.#options = options;
    this.#tell = tell;
    this.#store = new FollowedStore(options.directory);
    [this.#file, this.#follower] = this.#open();
    this.#timer = setImmediate(() => this.#work());
  }

  series(question: SeriesQuestion): SeriesAnswer {
    return this.#guarded(() => {
      const completeTo = this.#caughtUp(question.collectors);
      return answerSeries(this.#file, this.#follower.catalogue, question, completeTo);
    });
  }

  catalogue(collectors: readonly string[]): SeriesAnswer {
    return this.#guarded(() => {
      const completeTo = this.#caughtUp(collectors);
      return answerCatalogue(this.#file, this.#follower.catalogue, collectors, completeTo);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer as NodeJS.Timeout);
    clearImmediate(this.#timer as NodeJS.Immediate);
    this.#file.close();
    this.#store.close();
  }

  #caughtUp(collectors: readonly string[]): number | undefined {
    // What can't be charted now is no reason to say nothing of what is.
    if (this.#waits) return this.#follower.completeTo;
    const endsAt = performance.now() + CATCH_UP_MS;
    const mayGoOn = () => performance.now() < endsAt;
    const names = collectors.length === 0 ? [undefined] : collectors;
    const times = names.map((collector) => this.#follower.catchUp(collector, mayGoOn));
    if (times.includes(undefined)) return this.#follower.completeTo;
    return Math.min(...times.map(Number));
  }

  #work(): void {
    if (this.#closed) return;
    const startedAt = performance.now();
    try {
      this.#checkInPlace();
      const step = this.#follower.step();
      if (step !== 'searched') this.#follows();
      this.#workedMs += performance.now() - startedAt;
      if (step === 'idle') this.#rest();
      else this.#timer = setImmediate(() => this.#work());
    } catch (error) {
      this.#failed(error);
      this.#timer = setTimeout(() => this.#work(), this.#waits ? RETRY_MS : 0);
    }
  }

  #rest(): void {
    const restMs = Math.max(FOLLOW_INTERVAL_MS, this.#workedMs * REST_PER_WORK);
    this.#workedMs = 0;
    this.#timer = setTimeout(() => this.#work(), Math.min(restMs, REST_MS_MAX));
  }

  #guarded<T>(answer: () => T): T {
    try {
      this.#checkInPlace();
      return answer();
    } catch (error) {
      // Once more: from a file that was begun anew, or without what can't be charted now.
      this.#failed(error);
    }
    try {
      return answer();
    } catch (error) {
      this.#failed(error);
      throw new StoreError('busy', 'the charts cannot be read now; the log of the server says why');
    }
  }

  #follows(): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#tell({ level: 'info', event: 'series_follows', text: 'new frames are charted again' });
  }

  #checkInPlace(): void {
    if (!this.#file.isInPlace()) this.#startOver('it was removed');
  }

  #failed(error: unknown): void {
    if (isDamage(error)) return this.#startOver(error.message);
    if (!isOutside(error)) throw error;
    if (!this.#waits) {
      const reason = error.message;
      const text = `${this.#file.path} can't be written or the store can't be read (${reason}); the frames are not affected. Charts go on by themselves when it can`;
      this.#tell({ level: 'warn', event: 'series_waits', text });
    }
    this.#waits = true;
  }

  #startOver(reason: string): void {
    this.#file.close();
    SeriesFile.remove(this.#options.directory);
    const text = `${this.#file.path} is made anew from the store (${reason}); the frames are not affected, and charts are complete again when that is done`;
    this.#tell({ level: 'warn', event: 'series_started_over', text });
    [this.#file, this.#follower] = this.#open();
  }

  /** Opens the file, or a new one in place of one that is of no use. */
  #open(): [SeriesFile, Follower] {
    const { directory, seriesPerCollectorMax, bucketsMax } = this.#options;
    const open = (): [SeriesFile, Follower] => {
      const file = new SeriesFile(directory, this.#store.storeId);
      try {
        const store = this.#store;
        return [file, new Follower({ store, file, seriesPerCollectorMax, bucketsMax, wallTime })];
      } catch (error) {
        file.close();
        throw error;
      }
    };
    try {
      return open();
    } catch (error) {
      if (!isDamage(error)) throw error;
      SeriesFile.remove(directory);
      const text = `the charts in ${directory} are made anew from the store (${error.message}); the frames are not affected`;
      this.#tell({ level: 'warn', event: 'series_started_over', text });
      return open();
    }
  }
}

/** SQLite's and the store's own errors; all else is a bug of ours. */
function isOutside(error: unknown): error is Error {
  return error instanceof StoreError || primaryCodeOf(error) >= 0;
}

function lowerPriority(): void {
  try {
    // Linux gives each thread a priority of its own, by the thread's number.
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    if (thread > 0 && thread !== process.pid) setPriority(thread, NICENESS);
  } catch {
    // Elsewhere the thread competes like any other.
  }
}

let worker: SeriesWorker | undefined;

function opened(): SeriesWorker {
  assert(worker, 'series are asked for before they are opened');
  return worker;
}

assert(parentPort, 'this module is a worker');

/** The text goes over as bytes that are handed over: the main thread only has to send them. */
function handOver(answer: SeriesAnswer): Handover {
  if ('wrong' in answer) return new Handover(answer, []);
  const json = new TextEncoder().encode(answer.json);
  return new Handover({ json }, [json.buffer]);
}

answerCalls(parentPort, {
  open: ({ options, notices }: { options: SeriesWorkerOptions; notices: MessagePort }) => {
    lowerPriority();
    worker = new SeriesWorker(options, (notice) => notices.postMessage(notice));
  },
  series: (question: SeriesQuestion) => handOver(opened().series(question)),
  catalogue: (collectors: readonly string[]) => handOver(opened().catalogue(collectors)),
  close: () => worker?.close(),
});
