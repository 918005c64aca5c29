/**
 * What came out at a peer's far end: each record's first arrival and how often it came, noted as it
 * comes or read off the end of the file that the peer writes.
 */
import { closeSync, type FSWatcher, openSync, readSync, watch } from 'node:fs';
import { BenchError } from '../errors.ts';
import { machineMs } from '../source/commands.ts';
import type { Peer } from './peer.ts';
import { headOf } from './records.ts';

const READ_BYTES = 1 << 18;
const NEWLINE = 0x0a;

type Arrival = Awaited<ReturnType<Peer['arrivals']>>[number];

export class Arrivals {
  readonly #byNumber = new Map<number, { times: number; readonly latencyMs: number }>();
  #waiting: { readonly count: number; reached(): void; failed(error: Error): void } | undefined;
  #foreign = 0;
  #failure: Error | undefined;

  /** Takes what arrived just now; what is no record is counted apart. */
  note(bytes: Buffer, arrivedAtMs = machineMs()): void {
    const head = headOf(bytes);
    if (head === undefined) {
      this.#foreign += 1;
      return;
    }
    const known = this.#byNumber.get(head.number);
    if (known !== undefined) {
      known.times += 1;
      return;
    }
    this.#byNumber.set(head.number, { times: 1, latencyMs: arrivedAtMs - head.capturedAtMs });
    if (this.#waiting !== undefined && this.#byNumber.size >= this.#waiting.count) {
      this.#waiting.reached();
    }
  }

  /** Nothing can arrive any more. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.failed(error);
  }

  /** Resolves when so many distinct records have come; one wait at a time. */
  async stored(count: number, withinMs: number): Promise<void> {
    if (this.#byNumber.size >= count) return;
    if (this.#failure !== undefined) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { count, reached: resolve, failed: reject };
    const timer = setTimeout(() => reject(this.#tooFew(count, withinMs)), withinMs);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  /** In the order of their first arrival. Throws BenchError when something came that is no record. */
  all(): readonly Arrival[] {
    if (this.#foreign > 0) {
      throw new BenchError(
        `${this.#foreign} of what the sink has are no records as they were given`,
      );
    }
    return [...this.#byNumber].map(([number, arrival]) => ({ number, ...arrival }));
  }

  #tooFew(count: number, withinMs: number): BenchError {
    const foreign = this.#foreign > 0 ? ` and ${this.#foreign} that are none` : '';
    return new BenchError(
      `the sink has ${this.#byNumber.size}${foreign} of ${count} records after ${withinMs} ms`,
    );
  }
}

/** Follows a file of one record a line, from its beginning; it need not be there yet. */
export class SinkFile {
  readonly #arrivals: Arrivals;
  readonly #file: number;
  readonly #watcher: FSWatcher;
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);
  /** Bytes at the buffer's start that are the beginning of a line. */
  #kept = 0;

  constructor(path: string, arrivals: Arrivals) {
    this.#arrivals = arrivals;
    this.#file = openSync(path, 'a+');
    this.#watcher = watch(path, () => this.read());
  }

  /** Takes what was written since; is called by itself as the file grows. */
  read(): void {
    for (;;) {
      const room = READ_BYTES - this.#kept;
      const read = readSync(this.#file, this.#buffer, this.#kept, room, null);
      if (read === 0) return;
      this.#split(this.#kept + read);
    }
  }

  close(): void {
    this.#watcher.close();
    closeSync(this.#file);
  }

  #split(length: number): void {
    const arrivedAtMs = machineMs();
    const filled = this.#buffer.subarray(0, length);
    let from = 0;
    for (;;) {
      const end = filled.indexOf(NEWLINE, from);
      if (end < 0) break;
      this.#arrivals.note(filled.subarray(from, end), arrivedAtMs);
      from = end + 1;
    }
    this.#kept = length - from;
    filled.copyWithin(0, from);
  }
}
