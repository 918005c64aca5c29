/**
 * A producer that latches: after a request that failed it refuses everything until somebody clears
 * the error. It stands for Fluvio's, as that was measured under the same faults (two versions: before
 * and after its connect step was made to persist). Sans-IO: times are passed in, inputs are `on…`
 * methods, outputs are polled.
 *
 * What was measured, and is the same here:
 * - The queue is in memory: {@link BATCHES_MAX} batches of {@link BATCH_BYTES}, some 7,600 records of
 *   200 bytes. A batch leaves {@link LINGER_MS} after its first record, or when it is full; all that
 *   are ready leave in one request, and the next one waits for its answer.
 * - A connection that ends between two requests is replaced by the next one. Before the change
 *   (`connecting: 'fails'`) a connect that fails sets the error, the queue stays as it is, and nothing
 *   but a new record wakes it again. After it (`'persists'`) the connect is tried again after 1 s,
 *   1.1 s, 1.21 s … and no error reaches anybody.
 * - A connection that ends *under a request* costs a minute, in both versions: the retry goes to the
 *   same dead socket after {@link RETRY_MS} and waits for the whole {@link RESPONSE_LIMIT_MS}; the next
 *   one, {@link NEXT_RETRY_MS} later, finds the pipe broken. The request's records fail, the error
 *   sticks, what waits in the queue goes on.
 *
 * Simpler than that, each time in its favour:
 * - A request that is never answered on a connection that never ends fails after the first response
 *   limit. By the retries as documented it would take up to 300 s.
 * - `send` on a full queue waits without using the processor, for as long as it takes. Measured were
 *   a core at 100 % after the change, and an error after 30 s before it.
 * - It keeps numbers of records and no bytes, so its queue takes next to no memory.
 * - Measured on a link without latency, cuts fell between two requests. This server's commits make
 *   requests longer, so there more cuts fall under one; where `underRequest` is `'heals'`, such a
 *   request goes back into the queue and leaves again on the next connection, as though it hadn't left.
 */
import { strict as assert } from 'node:assert';

export const BATCHES_MAX = 100;
export const BATCH_BYTES = 16_384;
/** What a record takes beside its payload: so that as many fit as did. */
const RECORD_BYTES = 15;
export const LINGER_MS = 5;
export const RETRY_MS = 20;
export const NEXT_RETRY_MS = 400;
export const RESPONSE_LIMIT_MS = 60_000;
export const CONNECT_RETRY_MS = 1_000;
const CONNECT_RETRY_FACTOR = 1.1;
const CONNECT_RETRY_MS_MAX = 30_000;

/** What the owner has to do, and to be told; records are known by their numbers. */
export type ProducerAction =
  /** Replaces the connection. Answer by `onConnected` or `onClosed`. */
  | { readonly type: 'connect' }
  /** Answer by `onStored` or `onClosed`. */
  | { readonly type: 'request'; readonly batches: readonly (readonly number[])[] }
  | { readonly type: 'close' }
  | { readonly type: 'stored'; readonly records: readonly number[] }
  /** The application is told that they failed; whether they are stored, it can't know. */
  | { readonly type: 'failed'; readonly records: readonly number[] };

export interface LatchingOptions {
  readonly connecting: 'fails' | 'persists';
  /** What a connection that ends under a request does. */
  readonly underRequest: 'latches' | 'heals';
}

interface Batch {
  readonly records: number[];
  readonly startedAt: number;
  bytes: number;
}

type Flush =
  /** Nothing under way. */
  | { readonly name: 'idle' }
  /** Records wait for others. */
  | { readonly name: 'lingering'; readonly until: number }
  | { readonly name: 'connecting'; readonly retryMs: number }
  | { readonly name: 'reconnecting'; readonly until: number; readonly retryMs: number }
  /** A request is under way, or what is taken for one. */
  | { readonly name: 'requesting'; readonly batches: readonly Batch[]; readonly until: number };

export class LatchingProducer {
  readonly #options: LatchingOptions;
  readonly #batches: Batch[] = [];
  readonly #actions: ProducerAction[] = [];
  #flush: Flush = { name: 'idle' };
  #isConnected = false;
  #isLatched = false;
  #cutsInFlight = 0;

  constructor(options: LatchingOptions) {
    this.#options = options;
  }

  /** How often a connection ended under a request. */
  get cutsInFlight(): number {
    return this.#cutsInFlight;
  }

  /** Nothing happens any more unless somebody sends. */
  get isIdle(): boolean {
    return this.#flush.name === 'idle';
  }

  /** When `onTick` is due. */
  get nextDeadline(): number | undefined {
    return 'until' in this.#flush ? this.#flush.until : undefined;
  }

  /** `full`: it would wait; ask again after the next input. `refused`: an error sticks. */
  send(record: number, payloadBytes: number, now: number): 'taken' | 'full' | 'refused' {
    if (this.#isLatched) return 'refused';
    const bytes = payloadBytes + RECORD_BYTES;
    const last = this.#batches.at(-1);
    if (last !== undefined && last.bytes + bytes <= BATCH_BYTES) {
      last.records.push(record);
      last.bytes += bytes;
    } else {
      if (this.#batches.length === BATCHES_MAX) return 'full';
      this.#batches.push({ records: [record], startedAt: now, bytes });
    }
    if (this.#flush.name === 'idle' || this.#flush.name === 'lingering') this.#wake(now);
    return 'taken';
  }

  /** The next sends are taken again, until the next failure. */
  clearErrors(): void {
    this.#isLatched = false;
  }

  onConnected(now: number): void {
    assert(this.#flush.name === 'connecting', 'a connection nobody asked for');
    this.#isConnected = true;
    this.#request(now);
  }

  /** The connection ended, or the attempt to have one. */
  onClosed(now: number): void {
    this.#isConnected = false;
    if (this.#flush.name === 'connecting') return this.#onConnectFailed(this.#flush.retryMs, now);
    if (this.#flush.name !== 'requesting') return;
    this.#cutsInFlight += 1;
    if (this.#options.underRequest === 'heals') {
      this.#batches.unshift(...this.#flush.batches);
      return this.#wake(now);
    }
    const until = now + RETRY_MS + RESPONSE_LIMIT_MS + NEXT_RETRY_MS;
    this.#flush = { ...this.#flush, until };
  }

  /** The server has the whole request. */
  onStored(now: number): void {
    assert(this.#flush.name === 'requesting', 'an answer nobody waits for');
    this.#actions.push({ type: 'stored', records: recordsOf(this.#flush.batches) });
    this.#wake(now);
  }

  /** Does what is due; a tick that comes early or twice changes nothing. */
  onTick(now: number): void {
    const flush = this.#flush;
    if (!('until' in flush) || now < flush.until) return;
    switch (flush.name) {
      case 'lingering':
        if (this.#isConnected) return this.#request(now);
        return this.#connect(CONNECT_RETRY_MS);
      case 'reconnecting':
        return this.#connect(flush.retryMs);
      case 'requesting':
        this.#isLatched = true;
        this.#isConnected = false;
        this.#actions.push(
          { type: 'close' },
          {
            type: 'failed',
            records: recordsOf(flush.batches),
          },
        );
        return this.#wake(now);
    }
  }

  /** The next thing to do; call again until undefined. */
  poll(): ProducerAction | undefined {
    return this.#actions.shift();
  }

  /** Looks after the queue: its first batch leaves when it has waited for long enough, or is full. */
  #wake(now: number): void {
    const [first, ...others] = this.#batches;
    if (first === undefined) this.#flush = { name: 'idle' };
    else {
      const until = others.length > 0 ? now : first.startedAt + LINGER_MS;
      this.#flush = { name: 'lingering', until };
    }
  }

  #connect(retryMs: number): void {
    this.#flush = { name: 'connecting', retryMs };
    this.#actions.push({ type: 'connect' });
  }

  #onConnectFailed(retryMs: number, now: number): void {
    if (this.#options.connecting === 'fails') {
      this.#isLatched = true;
      this.#flush = { name: 'idle' };
      return;
    }
    const next = Math.min(retryMs * CONNECT_RETRY_FACTOR, CONNECT_RETRY_MS_MAX);
    this.#flush = { name: 'reconnecting', until: now + retryMs, retryMs: next };
  }

  /** All that is ready, the last batch too if it has waited for long enough. */
  #request(now: number): void {
    const last = this.#batches.at(-1);
    const isReady = last !== undefined && now >= last.startedAt + LINGER_MS;
    const ready = this.#batches.splice(0, this.#batches.length - (isReady ? 0 : 1));
    this.#flush = { name: 'requesting', batches: ready, until: now + RESPONSE_LIMIT_MS };
    this.#actions.push({ type: 'request', batches: ready.map(({ records }) => records) });
  }
}

function recordsOf(batches: readonly Batch[]): number[] {
  return batches.flatMap(({ records }) => records);
}
