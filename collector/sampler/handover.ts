/**
 * Where samples become the producer's: captured here, accepted once the queue has made them
 * durable. The sampling loop never waits for that; so what is on the way is bounded, and a sample
 * that finds no place, or that the queue refuses, is counted as captured and not accepted, and
 * told.
 *
 * Nothing is tried again: the queue's own answer is final, and a later sample is worth more.
 */

/** Samples on their way to the disk. At one a second, a disk that stalls for minutes. */
const OUTSTANDING_MAX = 256;

/** The identity under which the queue took a sample. */
export interface Receipt {
  readonly epoch: string;
  readonly seq: number;
}

export interface HandoverOptions {
  /** Resolves when the payload is durable. */
  readonly send: (payload: Uint8Array, capturedAt: number) => Promise<Receipt>;
  readonly onAccepted: (receipt: Receipt, payload: Uint8Array, capturedAt: number) => void;
  /** A sample was lost before the queue took it; the only such place in the collector. */
  readonly onRefused: (error: Error, capturedAt: number) => void;
}

/** Too many samples wait for the disk; the newest one was dropped. */
class HandoverFullError extends Error {
  override readonly name = 'HandoverFullError';
  readonly code = 'handover_full';

  constructor() {
    super(
      `${OUTSTANDING_MAX} samples wait for the disk already, so the newest was not taken. ` +
        'Those that wait are kept. The disk under the queue is too slow or stuck: check it',
    );
  }
}

export class Handover {
  readonly #options: HandoverOptions;
  readonly #outstanding = new Set<Promise<void>>();
  #captured = 0;
  #refused = 0;
  #lastCapturedAt: number | undefined;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  get captured(): number {
    return this.#captured;
  }

  /** Captured samples that the queue did not take, and never will. */
  get refused(): number {
    return this.#refused;
  }

  /** Microseconds since 1970 UTC. */
  get lastCapturedAt(): number | undefined {
    return this.#lastCapturedAt;
  }

  submit(payload: Uint8Array, capturedAt: number): void {
    this.#captured += 1;
    this.#lastCapturedAt = capturedAt;
    if (this.#outstanding.size >= OUTSTANDING_MAX) {
      this.#refuse(new HandoverFullError(), capturedAt);
      return;
    }
    const sending = this.#send(payload, capturedAt).then(() => {
      this.#outstanding.delete(sending);
    });
    this.#outstanding.add(sending);
  }

  /** Resolves when the queue has answered for each sample that was submitted before. */
  async settled(): Promise<void> {
    await Promise.all(this.#outstanding);
  }

  async #send(payload: Uint8Array, capturedAt: number): Promise<void> {
    const { send, onAccepted } = this.#options;
    const outcome = await send(payload, capturedAt).catch((error: unknown) =>
      error instanceof Error ? error : new Error(String(error)),
    );
    if (outcome instanceof Error) this.#refuse(outcome, capturedAt);
    else onAccepted(outcome, payload, capturedAt);
  }

  #refuse(error: Error, capturedAt: number): void {
    this.#refused += 1;
    this.#options.onRefused(error, capturedAt);
  }
}
