/**
 * How many bytes may be unacknowledged at a time: about a second's worth of what the path and the
 * server really get done, so that a fast link is kept busy and a thin one doesn't hold minutes of
 * data that a cut would make it send again.
 *
 * Works like BBR (Cardwell et al., ACM Queue 2016): each acknowledged message gives a sample of the
 * delivery rate over its own flight; the window is the best recent sample times (a second plus the
 * path's own round trip). Samples taken while there was nothing to send say only "at least", so they
 * may raise the estimate, never lower it.
 *
 * The path's own round trip shows in messages that left while nothing else was in flight; in all
 * others our own data may stand before them. It has to be known: on a path that is longer than the
 * window assumes, each rate measured is smaller than the one before, down to nothing. So when
 * messages take longer than the window explains, it is closed until all is acknowledged, and the
 * next message measures the path anew.
 *
 * Until a round trip has brought no faster rate than the one before, the path is taken to carry more
 * than is known, and the window is twice as long: so it is found out in a few round trips, however
 * long they are, what a far path holds.
 *
 * While what is in flight is late, the newest sample counts alone: a path that has just become thin
 * shall not be filled with seconds of data for the sake of what it was.
 */

/** One small message is always allowed, and so is a start without knowing anything. */
const WINDOW_BYTES_MIN = 4_096;
const WINDOW_BYTES_START = 16_384;
/**
 * However much a server takes at a time and however fast it acknowledges: what is in flight is in
 * this process's memory until the kernel has it. A server of ours asks for no more.
 */
export const WINDOW_BYTES_MAX = 67_108_864;
const HORIZON_MS = 1_000;
/** The best of so many samples counts; older ones fade with the path's change. */
const SAMPLES_MAX = 16;
/** A message is at most this part of the window, so that acks flow and a cut wastes little. */
const MESSAGES_PER_WINDOW = 4;
const MESSAGE_BYTES_MIN = 2_048;
const MESSAGE_BYTES_MAX = 262_144;
/** A message this short shows the path's round trip, not what the path takes for its bytes. */
const PROBE_BYTES = 1_024;
/** Of the path's time, a closing for a measurement costs about one part in so many. */
const MEASURE_EVERY_WINDOWS = 20;
/** How much longer the window is until the path is known to be full. */
const START_GAIN = 2;
/** A rate that has not grown by so much in a round trip is the path's. */
const GROWS_BY = 1.25;
/** What is answered so much after two round trips is late: something holds it up. */
const LATE_MARGIN_MS = 20;

/** What the window noted when a message left; hand it back with the message's ack. */
export interface Flight {
  readonly bytes: number;
  readonly sentAt: number;
  readonly deliveredBefore: number;
  readonly deliveredAt: number;
  readonly sourceLimited: boolean;
  /** Nothing else was in flight. */
  readonly alone: boolean;
}

export class Window {
  readonly #capBytes: number;
  /** Bytes per millisecond, newest last. */
  #samples: number[] = [];
  /** Of the newest message that left alone. */
  #roundTripMs = 0;
  #late = false;
  /** While closed until a message has measured the round trip: how long the late one took, in ms. */
  #unexplainedMs: number | undefined;
  #measureFrom = Number.NEGATIVE_INFINITY;
  #delivered = 0;
  #deliveredAt: number;
  #inFlight = 0;
  /** The rate has stopped to grow with the window: that is all that the path carries. */
  #full = false;
  /** What was delivered as this round trip began, and the best rate by then. */
  #roundFrom = 0;
  #roundBest = 0;

  /** `capBytes` is the server's bound, `now` monotonic milliseconds. */
  constructor(capBytes: number, now: number) {
    this.#capBytes = Math.min(capBytes, WINDOW_BYTES_MAX);
    this.#deliveredAt = now;
  }

  get bytesInFlight(): number {
    return this.#inFlight;
  }

  get bytesAcknowledged(): number {
    return this.#delivered;
  }

  /** What the path and the server get done, in bytes per millisecond; 0 while nothing is known. */
  get bytesPerMs(): number {
    return (this.#late ? this.#samples.at(-1) : this.#best) ?? 0;
  }

  /** Bytes that have left, acknowledged or not. */
  get bytesSent(): number {
    return this.#delivered + this.#inFlight;
  }

  /** The window, in bytes. */
  get bytes(): number {
    if (this.#samples.length === 0) return Math.min(WINDOW_BYTES_START, this.#capBytes);
    const bytes = this.bytesPerMs * this.#spanMs;
    return Math.min(Math.max(bytes, WINDOW_BYTES_MIN), this.#capBytes);
  }

  /** What is left of it. */
  get room(): number {
    return Math.max(0, this.bytes - this.#inFlight);
  }

  get #best(): number {
    return Math.max(0, ...this.#samples);
  }

  /**
   * How long a message of a full window may take. On a long path a second more than the round trip
   * would hardly ever find out that the path carries more: there it is half a round trip more.
   */
  get #spanMs(): number {
    const fullMs = this.#roundTripMs + Math.max(HORIZON_MS, this.#roundTripMs / 2);
    return this.#full ? fullMs : START_GAIN * fullMs;
  }

  /** How long the next message should be, in bytes. */
  get messageBytes(): number {
    if (this.#unexplainedMs !== undefined) return PROBE_BYTES;
    const part = this.bytes / MESSAGES_PER_WINDOW;
    return Math.min(Math.max(part, MESSAGE_BYTES_MIN), MESSAGE_BYTES_MAX);
  }

  /** True when a message of this length may leave now. The first always may, however large. */
  admits(bytes: number): boolean {
    if (this.#inFlight === 0) return true;
    return this.#unexplainedMs === undefined && this.#inFlight + bytes <= this.bytes;
  }

  /** `oldestSentAt`: when the first of what is in flight left; undefined when nothing is. */
  onTime(oldestSentAt: number | undefined, now: number): void {
    const ageMs = oldestSentAt === undefined ? 0 : now - oldestSentAt;
    this.#late = ageMs > lateAfterMs(this.#roundTripMs);
  }

  /** What is in flight should have been acknowledged long ago. */
  get late(): boolean {
    return this.#late;
  }

  /** `sourceLimited`: nothing further waits behind this message. */
  onSent(bytes: number, sourceLimited: boolean, now: number): Flight {
    const alone = this.#inFlight === 0;
    if (alone) this.#deliveredAt = now;
    this.#inFlight += bytes;
    return {
      bytes,
      sentAt: now,
      deliveredBefore: this.#delivered,
      deliveredAt: this.#deliveredAt,
      sourceLimited,
      alone,
    };
  }

  /** `waiting`: other frames wait now, so that the path is what limits, not the source. */
  onAcked(flight: Flight, now: number, waiting = false): void {
    this.#inFlight -= flight.bytes;
    this.#delivered += flight.bytes;
    this.#deliveredAt = now;
    this.#measure(flight, now);
    const elapsedMs = Math.max(now - flight.deliveredAt, 0.1);
    const bytesPerMs = (this.#delivered - flight.deliveredBefore) / elapsedMs;
    if (flight.sourceLimited && !waiting && bytesPerMs < this.#best) return;
    this.#samples.push(bytesPerMs);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    if (!this.#full && flight.deliveredBefore >= this.#roundFrom) this.#onRound(now);
  }

  /** What left after the round trip before is here: has it come faster? */
  #onRound(now: number): void {
    this.#full = this.#best < GROWS_BY * this.#roundBest;
    this.#roundFrom = this.#delivered;
    this.#roundBest = this.#best;
    // What is in flight by now is more than the window explains from here on.
    if (!this.#full) return;
    this.#measureFrom = Math.max(this.#measureFrom, now + START_GAIN * this.#spanMs);
  }

  #measure({ sentAt, bytes, alone }: Flight, now: number): void {
    const tookMs = now - sentAt;
    if (!alone) {
      if (tookMs <= this.#spanMs || now < this.#measureFrom) return;
      this.#unexplainedMs = tookMs;
      this.#measureFrom = now + MEASURE_EVERY_WINDOWS * this.#spanMs;
    } else if (this.#unexplainedMs !== undefined) {
      this.#explain(this.#unexplainedMs, bytes, tookMs);
    } else if (bytes <= PROBE_BYTES || tookMs < this.#roundTripMs || this.#roundTripMs === 0) {
      // A longer message takes its time on a thin path; its way there and back it doesn't show. Nor
      // is a single one believed that came late: the path may just have become thin.
      const known = this.#roundTripMs;
      this.#roundTripMs = known === 0 ? tookMs : Math.min(tookMs, lateAfterMs(known));
    }
  }

  /** A message was late, and one that left alone has come back: is the path longer, or thinner? */
  #explain(lateMs: number, bytes: number, tookMs: number): void {
    const newest = this.#samples.at(-1);
    const sendingMs = newest === undefined ? 0 : bytes / newest;
    this.#roundTripMs = Math.max(0, tookMs - sendingMs);
    this.#unexplainedMs = undefined;
    if (newest !== undefined && lateMs > this.#spanMs) this.#samples = [newest];
  }
}

function lateAfterMs(roundTripMs: number): number {
  return 2 * roundTripMs + LATE_MARGIN_MS;
}
