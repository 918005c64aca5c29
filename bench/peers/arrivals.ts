/**
 * What came out at a peer's far end: each record's first arrival and how often it came, noted as it
 * comes or read off the end of the file that the peer writes.
 *
 * While the clock runs a record is only kept and its number counted: what the sink takes of the
 * machine the peer hasn't. Whether it is the record that was given is judged when somebody asks.
 */
import { closeSync, type FSWatcher, openSync, readSync, watch } from 'node:fs';
import { BenchError } from '../errors.ts';
import { inTime } from '../in-time.ts';
import { machineMs } from '../source/commands.ts';
import type { Peer } from './peer.ts';
import { headOf, numberOf } from './records.ts';

const READ_BYTES = 1 << 18;
const NEWLINE = 0x0a;

type Arrival = Awaited<ReturnType<Peer['arrivals']>>[number];

export class Arrivals {
  /** All that came, and when. */
  readonly #payloads: Buffer[] = [];
  readonly #timesMs: number[] = [];
  /** Those that the records say they have. */
  readonly #numbers = new Set<number>();
  /** When each of them came first, in that order. */
  readonly #firstTimesMs: number[] = [];
  #waiting: { readonly count: number; reached(): void; failed(error: Error): void } | undefined;
  #failure: Error | undefined;

  /** Takes what arrived then, by {@link machineMs}; keeps the bytes, which nobody may change. */
  note(bytes: Buffer, arrivedAtMs: number): void {
    this.#payloads.push(bytes);
    this.#timesMs.push(arrivedAtMs);
    const number = numberOf(bytes);
    if (Number.isNaN(number)) return;
    this.#numbers.add(number);
    if (this.#numbers.size === this.#firstTimesMs.length) return;
    this.#firstTimesMs.push(arrivedAtMs);
    if (this.#firstTimesMs.length === this.#waiting?.count) this.#waiting.reached();
  }

  /** Nothing can arrive any more. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.failed(error);
  }

  /**
   * When the last of so many distinct records came; waits until it has, one wait at a time. Throws
   * LateError when it hasn't by then, and what it failed with when nothing can come any more.
   */
  async stored(count: number, withinMs: number): Promise<number> {
    if (this.#firstTimesMs.length < count) await this.#come(count, withinMs);
    return this.#firstTimesMs[count - 1] ?? Number.NaN;
  }

  async #come(count: number, withinMs: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { count, reached: resolve, failed: reject };
    try {
      await inTime(promise, withinMs, () => this.#tooFew(count));
    } finally {
      this.#waiting = undefined;
    }
  }

  /** In the order of their first arrival. Throws BenchError when something came that is no record. */
  all(): readonly Arrival[] {
    const { byNumber, foreign } = this.#judged();
    if (foreign > 0) {
      throw new BenchError(`${foreign} of what the sink has are no records as they were given`);
    }
    return [...byNumber].map(([number, arrival]) => ({ number, ...arrival }));
  }

  #judged() {
    const byNumber = new Map<number, { times: number; readonly latencyMs: number }>();
    let foreign = 0;
    for (const [i, bytes] of this.#payloads.entries()) {
      const head = headOf(bytes);
      const known = head && byNumber.get(head.number);
      if (head === undefined) foreign += 1;
      else if (known !== undefined) known.times += 1;
      else {
        const latencyMs = (this.#timesMs[i] ?? Number.NaN) - head.capturedAtMs;
        byNumber.set(head.number, { times: 1, latencyMs });
      }
    }
    return { byNumber, foreign };
  }

  #tooFew(count: number): string {
    const { byNumber, foreign } = this.#judged();
    const others = foreign > 0 ? ` and ${foreign} that are none` : '';
    return `the sink got ${byNumber.size}${others} of ${count} records`;
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
    // Not persistent: that of a peer that failed is never closed, and must not keep the process alive.
    this.#watcher = watch(path, { persistent: false }, () => this.read());
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
    const linesBytes = filled.lastIndexOf(NEWLINE) + 1;
    // A copy: what is noted is kept, and the buffer is filled again.
    const lines = Buffer.from(filled.subarray(0, linesBytes));
    for (let from = 0; from < linesBytes; ) {
      const end = lines.indexOf(NEWLINE, from);
      this.#arrivals.note(lines.subarray(from, end), arrivedAtMs);
      from = end + 1;
    }
    this.#kept = length - linesBytes;
    filled.copyWithin(0, linesBytes);
  }
}
