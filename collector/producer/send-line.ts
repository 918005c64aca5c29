/**
 * The line in which sends wait for their turn: first until a queue is open, then until what is on
 * the way to the disk leaves room. This is the backpressure: who awaits each send is slowed down to
 * the disk; who doesn't keeps no more here than references to payloads of his own.
 *
 * Invariant: first in, first out, over openings too; so promises resolve, and seqs ascend, in the
 * order of the calls.
 */
import { AbortedError } from './errors.ts';
import { FRAME_OVERHEAD_BYTES, type QueuePosition } from './queue/queue.ts';

/** Hands a payload to the queue; rejects with its typed errors. */
export type Append = (payload: Uint8Array, capturedAt: number) => Promise<QueuePosition>;

interface Send {
  readonly payload: Uint8Array;
  readonly capturedAt: number;
  readonly resolve: (position: QueuePosition) => void;
  readonly reject: (error: Error) => void;
}

/** A place in the line that is no send: called when all before it have gone. */
type Mark = () => void;

export class SendLine {
  readonly #unsyncedBytesMax: number;
  /** In the order of the calls. */
  readonly #waiting = new Set<Send | Mark>();
  /** Undefined while no queue is open. */
  #append: Append | undefined;
  /** Why nothing more is taken. */
  #refusal: Error | undefined;
  #marks = 0;
  #unsyncedFrames = 0;
  #unsyncedBytes = 0;
  /** Handed over and not answered. The queue may refuse one before it answers those in front of it. */
  readonly #handedOver = new Set<Promise<void>>();
  #accepted = 0;

  constructor(unsyncedBytesMax: number) {
    this.#unsyncedBytesMax = unsyncedBytesMax;
  }

  /** Frames that became durable, whether or not somebody still waited for it. */
  get accepted(): number {
    return this.#accepted;
  }

  get unsynced(): { frames: number; bytes: number; limitBytes: number; waiting: number } {
    return {
      frames: this.#unsyncedFrames,
      bytes: this.#unsyncedBytes,
      limitBytes: this.#unsyncedBytesMax,
      waiting: this.#waiting.size - this.#marks,
    };
  }

  /** Resolves when the frame is durable; rejects as the queue does, or with AbortedError. */
  send(
    payload: Uint8Array,
    capturedAt: number,
    signal: AbortSignal | undefined,
  ): Promise<QueuePosition> {
    if (signal?.aborted) return Promise.reject(new AbortedError(signal));
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    const sent = new Promise<QueuePosition>((resolve, reject) => {
      const send = { payload, capturedAt, resolve, reject };
      this.#waiting.add(signal === undefined ? send : this.#abortable(send, signal));
    });
    this.#next();
    return sent;
  }

  /** Resolves when all sends so far were answered. */
  async idle(): Promise<void> {
    if (this.#waiting.size > 0) {
      this.#marks += 1;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
    await Promise.all(this.#handedOver);
  }

  /** A queue is open: sends go there, those that wait first. */
  open(append: Append): void {
    this.#append = append;
    this.#next();
  }

  /** A queue is going to be opened: sends wait. */
  pause(): void {
    this.#refusal = undefined;
    this.#append = undefined;
  }

  /** The queue can't take anything more: what waits is rejected, and what comes. */
  refuse(error: Error): void {
    this.#refusal ??= error;
    this.#append = undefined;
    const refused = [...this.#waiting];
    this.#waiting.clear();
    this.#marks = 0;
    for (const waiting of refused) {
      if (typeof waiting === 'function') waiting();
      else waiting.reject(error);
    }
  }

  /** Rejects what comes from now on; what waits keeps its place. */
  end(error: Error): void {
    this.#refusal = error;
  }

  #abortable(send: Send, signal: AbortSignal): Send {
    const onAbort = (): void => {
      const mayBeStored = !this.#waiting.delete(abortable);
      send.reject(new AbortedError(signal, mayBeStored));
      this.#next();
    };
    const leave = (): void => signal.removeEventListener('abort', onAbort);
    const abortable: Send = {
      ...send,
      resolve: (position) => {
        leave();
        send.resolve(position);
      },
      reject: (error) => {
        leave();
        send.reject(error);
      },
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return abortable;
  }

  /** Hands over as many as there is room for. */
  #next(): void {
    for (const waiting of this.#waiting) {
      if (typeof waiting === 'function') {
        this.#marks -= 1;
        this.#waiting.delete(waiting);
        waiting();
      } else {
        if (this.#append === undefined || !this.#hasRoom(waiting)) return;
        this.#waiting.delete(waiting);
        this.#handOver(this.#append, waiting);
      }
    }
  }

  #hasRoom({ payload }: Send): boolean {
    const bytes = payload.length + FRAME_OVERHEAD_BYTES;
    return this.#unsyncedFrames === 0 || this.#unsyncedBytes + bytes <= this.#unsyncedBytesMax;
  }

  #handOver(append: Append, { payload, capturedAt, resolve, reject }: Send): void {
    const bytes = payload.length + FRAME_OVERHEAD_BYTES;
    this.#unsyncedFrames += 1;
    this.#unsyncedBytes += bytes;
    const answered = (): void => {
      this.#handedOver.delete(appended);
      this.#unsyncedFrames -= 1;
      this.#unsyncedBytes -= bytes;
      this.#next();
    };
    const appended = append(payload, capturedAt).then(
      (position) => {
        this.#accepted += 1;
        resolve(position);
        answered();
      },
      (error: Error) => {
        reject(error);
        answered();
      },
    );
    this.#handedOver.add(appended);
  }
}
