/**
 * The line in which sends wait for their turn: first until a queue is open, then until what is on
 * the way to the disk leaves room. This is the backpressure: who awaits each send is slowed down to
 * the disk; who doesn't keeps no more here than references to payloads of his own.
 *
 * Invariant: first in, first out, over openings too; so promises resolve, and seqs ascend, in the
 * order of the calls.
 *
 * A fill goes through here frame by frame: a send costs one promise, one object, which the queue
 * takes as it is, and its receipt; only one that has to wait is put into the line.
 */
import { AbortedError } from './errors.ts';
import { FRAME_OVERHEAD_BYTES, type QueuePosition, type SentFrame } from './queue/queue.ts';

/** Hands a frame to the queue, which answers it later, never during the call. */
export type HandOver = (frame: SentFrame) => void;

/** A place in the line that is no send: called when all before it have gone. */
type Mark = () => void;

/** Sends that were handed over one behind the other, until somebody waited for all so far. */
interface Round {
  unanswered: number;
  onAnswered: (() => void) | undefined;
}

class Send<Receipt> implements SentFrame {
  readonly payload: Uint8Array;
  readonly capturedAt: number;
  /** What it counts against the bound, whatever its caller does to the payload meanwhile. */
  readonly unsyncedBytes: number;
  readonly #line: SendLine<Receipt>;
  readonly #onReceipt: (receipt: Receipt) => void;
  readonly #onError: (error: Error) => void;
  /** Of which it is part from its hand-over on. */
  round: Round;
  /** Stops listening for an abort. */
  leave: (() => void) | undefined;

  constructor(
    frame: { readonly payload: Uint8Array; readonly capturedAt: number },
    line: SendLine<Receipt>,
    round: Round,
    onReceipt: (receipt: Receipt) => void,
    onError: (error: Error) => void,
  ) {
    this.payload = frame.payload;
    this.capturedAt = frame.capturedAt;
    this.unsyncedBytes = frame.payload.length + FRAME_OVERHEAD_BYTES;
    this.#line = line;
    this.#onReceipt = onReceipt;
    this.#onError = onError;
    this.round = round;
    this.leave = undefined;
  }

  resolve(position: QueuePosition): void {
    this.leave?.();
    this.#onReceipt(this.#line.onAccepted(position));
    this.#line.onAnswered(this);
  }

  reject(error: Error): void {
    this.refuse(error);
    this.#line.onAnswered(this);
  }

  /** Tells the caller, and counts nothing: it was not handed over, or not answered yet. */
  refuse(error: Error): void {
    this.leave?.();
    this.#onError(error);
  }
}

export class SendLine<Receipt> {
  readonly #unsyncedBytesMax: number;
  readonly #receiptOf: (position: QueuePosition) => Receipt;
  /** In the order of the calls. */
  readonly #waiting = new Set<Send<Receipt> | Mark>();
  /** Undefined while no queue is open. */
  #handOver: HandOver | undefined;
  /** Why nothing more is taken. */
  #refusal: Error | undefined;
  #marks = 0;
  #unsyncedFrames = 0;
  #unsyncedBytes = 0;
  /** What is handed over now becomes part of this one. */
  #round: Round = { unanswered: 0, onAnswered: undefined };
  /** Of earlier rounds: the queue may refuse a send before it answers those in front of it. */
  readonly #earlier = new Set<Promise<void>>();
  #accepted = 0;

  /** @param receiptOf Makes what `send` resolves to. */
  constructor(unsyncedBytesMax: number, receiptOf: (position: QueuePosition) => Receipt) {
    this.#unsyncedBytesMax = unsyncedBytesMax;
    this.#receiptOf = receiptOf;
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
  send(payload: Uint8Array, capturedAt: number, signal: AbortSignal | undefined): Promise<Receipt> {
    if (signal?.aborted) return Promise.reject(new AbortedError(signal));
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      const send = new Send({ payload, capturedAt }, this, this.#round, resolve, reject);
      if (signal !== undefined) this.#heed(signal, send);
      const mayGo = this.#waiting.size === 0 && this.#hasRoom(send);
      if (mayGo && this.#handOver !== undefined) this.#take(send, this.#handOver);
      else this.#waiting.add(send);
    });
  }

  /** Resolves when all sends so far were answered. */
  async idle(): Promise<void> {
    if (this.#waiting.size > 0) {
      this.#marks += 1;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
    this.#endRound();
    await Promise.all(this.#earlier);
  }

  /** A queue is open: sends go there, those that wait first. */
  open(handOver: HandOver): void {
    this.#handOver = handOver;
    this.#next();
  }

  /** A queue is going to be opened: sends wait. */
  pause(): void {
    this.#refusal = undefined;
    this.#handOver = undefined;
  }

  /** The queue can't take anything more: what waits is rejected, and what comes. */
  refuse(error: Error): void {
    this.#refusal ??= error;
    this.#handOver = undefined;
    const refused = [...this.#waiting];
    this.#waiting.clear();
    this.#marks = 0;
    for (const waiting of refused) {
      if (typeof waiting === 'function') waiting();
      else waiting.refuse(error);
    }
  }

  /** Rejects what comes from now on; what waits keeps its place. */
  end(error: Error): void {
    this.#refusal = error;
  }

  /** For sends: the queue has made one durable. */
  onAccepted(position: QueuePosition): Receipt {
    this.#accepted += 1;
    return this.#receiptOf(position);
  }

  /** For sends: the queue has answered one. */
  onAnswered({ unsyncedBytes, round }: Send<Receipt>): void {
    this.#unsyncedFrames -= 1;
    this.#unsyncedBytes -= unsyncedBytes;
    round.unanswered -= 1;
    if (round.unanswered === 0) round.onAnswered?.();
    if (this.#waiting.size > 0) this.#next();
  }

  #heed(signal: AbortSignal, send: Send<Receipt>): void {
    const onAbort = (): void => {
      const mayBeStored = !this.#waiting.delete(send);
      send.refuse(new AbortedError(signal, mayBeStored));
      this.#next();
    };
    send.leave = () => {
      try {
        signal.removeEventListener('abort', onAbort);
      } catch {
        // Somebody else's signal, not the platform's: its failure must not cost other sends their answer.
      }
    };
    signal.addEventListener('abort', onAbort, { once: true });
  }

  /** Hands over as many as there is room for. */
  #next(): void {
    for (const waiting of this.#waiting) {
      if (typeof waiting === 'function') {
        this.#marks -= 1;
        this.#waiting.delete(waiting);
        waiting();
      } else {
        if (this.#handOver === undefined || !this.#hasRoom(waiting)) return;
        this.#waiting.delete(waiting);
        this.#take(waiting, this.#handOver);
      }
    }
  }

  #hasRoom({ unsyncedBytes }: Send<Receipt>): boolean {
    return (
      this.#unsyncedFrames === 0 || this.#unsyncedBytes + unsyncedBytes <= this.#unsyncedBytesMax
    );
  }

  #take(send: Send<Receipt>, handOver: HandOver): void {
    send.round = this.#round;
    this.#round.unanswered += 1;
    this.#unsyncedFrames += 1;
    this.#unsyncedBytes += send.unsyncedBytes;
    handOver(send);
  }

  #endRound(): void {
    const round = this.#round;
    if (round.unanswered === 0) return;
    this.#round = { unanswered: 0, onAnswered: undefined };
    const answered: Promise<void> = new Promise<void>((resolve) => {
      round.onAnswered = resolve;
    }).then(() => void this.#earlier.delete(answered));
    this.#earlier.add(answered);
  }
}
