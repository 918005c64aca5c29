/**
 * How many bytes may be unacknowledged at a time: about a second's worth of what the path and the
 * server really get done, so that a fast link is kept busy and a thin one doesn't hold minutes of
 * data that a cut would make it send again.
 *
 * Works like the bandwidth half of BBR (Cardwell et al., ACM Queue 2016): each acknowledged message
 * gives a sample of the delivery rate over its own flight; the window is the best recent sample
 * times (a second plus the shortest flight seen). Samples taken while there was nothing to send say
 * only "at least", so they may raise the estimate, never lower it.
 */

/** One small message is always allowed, and so is a start without knowing anything. */
const WINDOW_BYTES_MIN = 4_096;
const WINDOW_BYTES_START = 16_384;
const HORIZON_MS = 1_000;
/** The best of so many samples counts; older ones fade with the path's change. */
const SAMPLES_MAX = 16;
/** A message is at most this part of the window, so that acks flow and a cut wastes little. */
const MESSAGES_PER_WINDOW = 4;
const MESSAGE_BYTES_MIN = 1_024;
const MESSAGE_BYTES_MAX = 262_144;

/** What the window noted when a message left; hand it back with the message's ack. */
export interface Flight {
  readonly bytes: number;
  readonly sentAt: number;
  readonly deliveredBefore: number;
  readonly deliveredAt: number;
  readonly sourceLimited: boolean;
}

export class Window {
  readonly #capBytes: number;
  readonly #samples: number[] = [];
  #shortestFlightMs = Number.POSITIVE_INFINITY;
  #delivered = 0;
  #deliveredAt: number;
  #inFlight = 0;

  /** `capBytes` is the server's bound, `now` monotonic milliseconds. */
  constructor(capBytes: number, now: number) {
    this.#capBytes = capBytes;
    this.#deliveredAt = now;
  }

  get bytesInFlight(): number {
    return this.#inFlight;
  }

  /** The window, in bytes. */
  get bytes(): number {
    if (this.#samples.length === 0) return Math.min(WINDOW_BYTES_START, this.#capBytes);
    const rate = Math.max(...this.#samples);
    const bytes = rate * (HORIZON_MS + this.#shortestFlightMs);
    return Math.min(Math.max(bytes, WINDOW_BYTES_MIN), this.#capBytes);
  }

  /** What is left of it. */
  get room(): number {
    return Math.max(0, this.bytes - this.#inFlight);
  }

  /** How long the next message should be, in bytes. */
  get messageBytes(): number {
    const part = this.bytes / MESSAGES_PER_WINDOW;
    return Math.min(Math.max(part, MESSAGE_BYTES_MIN), MESSAGE_BYTES_MAX);
  }

  /** True when a message of this length may leave now. The first always may, however large. */
  admits(bytes: number): boolean {
    return this.#inFlight === 0 || this.#inFlight + bytes <= this.bytes;
  }

  /** `sourceLimited`: nothing further waits behind this message. */
  onSent(bytes: number, sourceLimited: boolean, now: number): Flight {
    if (this.#inFlight === 0) this.#deliveredAt = now;
    this.#inFlight += bytes;
    return {
      bytes,
      sentAt: now,
      deliveredBefore: this.#delivered,
      deliveredAt: this.#deliveredAt,
      sourceLimited,
    };
  }

  onAcked(flight: Flight, now: number): void {
    this.#inFlight -= flight.bytes;
    this.#delivered += flight.bytes;
    this.#deliveredAt = now;
    this.#shortestFlightMs = Math.min(this.#shortestFlightMs, now - flight.sentAt);
    const elapsedMs = Math.max(now - flight.deliveredAt, 0.1);
    const rate = (this.#delivered - flight.deliveredBefore) / elapsedMs;
    const best = this.#samples.length === 0 ? 0 : Math.max(...this.#samples);
    if (flight.sourceLimited && rate < best) return;
    this.#samples.push(rate);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }
}
