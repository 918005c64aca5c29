/**
 * Where samples become the producer's: captured here, accepted once the queue has made them
 * durable. The sampling loop never waits for that; so what is on the way is bounded, and a sample
 * that finds no place, or that the queue refuses, is counted as captured and not accepted, and
 * told.
 *
 * A refusal is final, for a later sample is worth more. A full disk isn't one: samples that found no
 * room are held in memory, with their capture times, and tried again until there is some. What is
 * over the memory for that goes, the oldest first, and is declared by number once there is room.
 */
import type { Clock } from './clock.ts';

/** Samples on their way to the disk. At one a second, a disk that stalls for minutes. */
const OUTSTANDING_MAX = 256;
/** Samples held while the disk is full. At one a second of 2 KiB, more than an hour of them. */
const HELD_BYTES_MAX = 8_388_608;
/** What holding a sample takes beside its payload. */
const HELD_OVERHEAD_BYTES = 256;
/** How often a full disk is tried. */
const RETRY_MS = 1_000;

/** The identity under which the queue took a sample. */
export interface Receipt {
  readonly epoch: string;
  readonly seq: number;
}

export interface HandoverOptions {
  readonly clock: Pick<Clock, 'after'>;
  /** Resolves when the payload is durable. An error with the code `disk_full` is no refusal. */
  readonly send: (payload: Uint8Array, capturedAt: number) => Promise<Receipt>;
  /** Gives numbers to samples that are lost because the disk was full, and declares them. */
  readonly declareLost: (samples: number) => Promise<unknown>;
  readonly onAccepted: (receipt: Receipt, payload: Uint8Array, capturedAt: number) => void;
  /** A sample was lost and not declared; the only such place in the collector. */
  readonly onRefused: (error: Error, capturedAt: number) => void;
  /** Memory for samples that wait for room on the disk, in bytes. Default 8 MiB. */
  readonly heldBytesMax?: number;
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

interface Sample {
  /** In the order of capture. */
  readonly n: number;
  readonly payload: Uint8Array;
  readonly capturedAt: number;
}

export class Handover {
  readonly #options: HandoverOptions;
  readonly #heldBytesMax: number;
  readonly #outstanding = new Set<Promise<void>>();
  /** Those that found no room on the disk, or came while others waited for it; in order. */
  #held: Sample[] = [];
  #heldBytes = 0;
  #diskFull = false;
  #cancelRetry: (() => void) | undefined;
  #captured = 0;
  #refused = 0;
  /** Gone from the memory, and still to be declared. */
  #lost = 0;
  #lastCapturedAt: number | undefined;

  constructor(options: HandoverOptions) {
    this.#options = options;
    this.#heldBytesMax = options.heldBytesMax ?? HELD_BYTES_MAX;
  }

  get captured(): number {
    return this.#captured;
  }

  /** Captured samples that the queue did not take, never will, and that are not declared. */
  get refused(): number {
    return this.#refused;
  }

  /** Samples that wait in memory for room on the disk. */
  get held(): number {
    return this.#held.length;
  }

  /** Microseconds since 1970 UTC. */
  get lastCapturedAt(): number | undefined {
    return this.#lastCapturedAt;
  }

  submit(payload: Uint8Array, capturedAt: number): void {
    this.#captured += 1;
    this.#lastCapturedAt = capturedAt;
    const sample = { n: this.#captured, payload, capturedAt };
    if (this.#diskFull || this.#held.length > 0) this.#hold(sample);
    else if (this.#outstanding.size < OUTSTANDING_MAX) this.#send(sample);
    else this.#refuse(new HandoverFullError(), capturedAt);
  }

  /**
   * To be called when no more samples come. Resolves when the queue has answered for each of them;
   * those for which there is no room even now are declared.
   */
  async finish(): Promise<void> {
    this.#cancelRetry?.();
    await this.#settled();
    this.#diskFull = false;
    this.#sendHeld();
    await this.#settled();
    this.#cancelRetry?.();
    this.#lost += this.#held.length;
    this.#held = [];
    this.#heldBytes = 0;
    this.#declareLost();
    await this.#settled();
  }

  async #settled(): Promise<void> {
    while (this.#outstanding.size > 0) await Promise.all(this.#outstanding);
  }

  #send(sample: Sample): void {
    this.#track(
      this.#options.send(sample.payload, sample.capturedAt).then(
        (receipt) => this.#onAccepted(receipt, sample),
        (error: unknown) => this.#onError(toError(error), sample),
      ),
    );
  }

  #track(call: Promise<void>): void {
    const tracked = call.then(() => {
      this.#outstanding.delete(tracked);
      this.#sendHeld();
    });
    this.#outstanding.add(tracked);
  }

  #onAccepted(receipt: Receipt, { payload, capturedAt }: Sample): void {
    this.#options.onAccepted(receipt, payload, capturedAt);
    this.#diskFull = false;
    this.#declareLost();
  }

  #onError(error: Error, sample: Sample): void {
    if (!('code' in error) || error.code !== 'disk_full') {
      this.#refuse(error, sample.capturedAt);
      return;
    }
    this.#diskFull = true;
    this.#hold(sample);
  }

  /** One sample tries whether there is room; the others follow it. */
  #retry(): void {
    this.#cancelRetry = undefined;
    const sample = this.#takeHeld();
    if (sample !== undefined) this.#send(sample);
  }

  #sendHeld(): void {
    while (!this.#diskFull && this.#outstanding.size < OUTSTANDING_MAX) {
      const sample = this.#takeHeld();
      if (sample === undefined) return;
      this.#send(sample);
    }
  }

  #hold(sample: Sample): void {
    const after = this.#held.findLastIndex(({ n }) => n < sample.n);
    this.#held.splice(after + 1, 0, sample);
    this.#heldBytes += heldBytes(sample);
    while (this.#heldBytes > this.#heldBytesMax) {
      this.#takeHeld();
      this.#lost += 1;
    }
    if (!this.#diskFull) return;
    this.#cancelRetry ??= this.#options.clock.after(RETRY_MS, () => this.#retry());
  }

  #takeHeld(): Sample | undefined {
    const sample = this.#held.shift();
    if (sample !== undefined) this.#heldBytes -= heldBytes(sample);
    return sample;
  }

  #declareLost(): void {
    const samples = this.#lost;
    if (samples === 0) return;
    this.#lost = 0;
    const declared = this.#options.declareLost(samples).then(
      () => {},
      (error: unknown) => {
        this.#refused += samples - 1;
        this.#refuse(toError(error), this.#lastCapturedAt ?? 0);
      },
    );
    this.#track(declared);
  }

  #refuse(error: Error, capturedAt: number): void {
    this.#refused += 1;
    this.#options.onRefused(error, capturedAt);
  }
}

function heldBytes({ payload }: Sample): number {
  return payload.length + HELD_OVERHEAD_BYTES;
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
