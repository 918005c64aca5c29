/**
 * The series as the API asks for them: starts the worker that follows the store, passes questions to
 * it, writes what it tells to the log, and starts it again should it end. Without it the server does
 * all else that it does; it is on no way of a frame.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import type { Logger } from 'pino';
import { StoreError } from '#server/store/store.ts';
import { WorkerCalls } from '#server/store/worker-calls.ts';
import type { SeriesQuestion } from './series-query.ts';
import type { SeriesNotice, SeriesWorkerOptions } from './series-worker.ts';

const RESTART_MS = 5_000;

/** JSON in UTF-8, or what is wrong with the question. */
export type SeriesReply = { readonly json: Uint8Array } | { readonly wrong: string };

export class SeriesIndex {
  readonly #options: SeriesWorkerOptions;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  /** undefined while there is none that could be asked. */
  #worker: WorkerCalls | undefined;
  readonly #running: Promise<void>;

  /** The store is opened for writing before this, and closed after it. */
  constructor(options: SeriesWorkerOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.#running = this.#run();
  }

  /** Rejects with StoreError, as {@link catalogue}. */
  async series(question: SeriesQuestion): Promise<SeriesReply> {
    return this.#opened().call('series', question);
  }

  /** Of all collectors when none is named. */
  async catalogue(collectors: readonly string[]): Promise<SeriesReply> {
    return this.#opened().call('catalogue', collectors);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  #opened(): WorkerCalls {
    if (this.#worker === undefined) throw new StoreError('busy', 'the charts are not ready yet');
    return this.#worker;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const closing = new Promise<undefined>((resolve) =>
      signal.addEventListener('abort', () => resolve(undefined)),
    );
    while (!signal.aborted) {
      const worker = new WorkerCalls(new URL('./series-worker.ts', import.meta.url), 'series');
      const ended = await this.#live(worker, closing).catch((error: StoreError) => error);
      this.#worker = undefined;
      await worker.terminate();
      if (ended === undefined) return;
      this.#log.error(
        { event: 'series_failed', err: ended },
        'the charts failed; frames are taken and kept as ever. Another try follows in a moment; should it fail for long, remove series.db from the directory of the store',
      );
      await wait(RESTART_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Answers why it ended; undefined when it was closed. */
  async #live(worker: WorkerCalls, closing: Promise<undefined>): Promise<StoreError | undefined> {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', ({ level, event, text }: SeriesNotice) =>
      this.#log[level]({ event }, text),
    );
    port1.unref();
    try {
      const argument = { options: this.#options, notices: port2 };
      await Promise.race([worker.call('open', argument, [port2]), closing]);
      this.#worker = worker;
      const ended = await Promise.race([worker.died, closing]);
      if (ended === undefined) await worker.call('close');
      return ended;
    } finally {
      port1.close();
    }
  }
}
