/**
 * How long ago frames were appended, for a queue that keeps them for a limited time only. Marks are
 * taken now and then: "up to this frame all was appended by then". So a frame is never taken for
 * older than it is, and for younger by at most the time between two marks.
 *
 * Time is the owner's monotonic clock, never the wall clock: a clock that jumps ages nothing. It
 * begins anew with each opening of the queue, for nothing else is known then.
 */
import type { QueuePosition } from './types.ts';

/** Bounds the marks that are kept, and with them how exact an age is. */
const MARKS_PER_AGE = 64;

interface Mark {
  readonly position: QueuePosition;
  readonly at: number;
}

export class Ages {
  readonly #maxAgeMs: number;
  /** In ascending order of both. */
  #marks: Mark[] = [];
  #noted: QueuePosition | undefined;

  /** @param maxAgeMs 0: frames don't age. */
  constructor(maxAgeMs: number) {
    this.#maxAgeMs = maxAgeMs;
  }

  /** True while frames age. */
  get any(): boolean {
    return this.#marks.length > 0;
  }

  /** The newest durable frame at a time. */
  note(position: QueuePosition | undefined, now: number): void {
    if (this.#maxAgeMs === 0 || position === undefined) return;
    if (this.#noted?.epoch === position.epoch && this.#noted.seq === position.seq) return;
    this.#noted = position;
    const beforeLast = this.#marks.at(-2);
    const isClose = beforeLast && now - beforeLast.at < this.#maxAgeMs / MARKS_PER_AGE;
    if (isClose) this.#marks.pop();
    this.#marks.push({ position, at: now });
  }

  /** Takes the newest frame that is too old, if one has become so: all before it are, too. */
  takeExpired(now: number): QueuePosition | undefined {
    const young = this.#marks.findIndex(({ at }) => now - at < this.#maxAgeMs);
    const old = young < 0 ? this.#marks : this.#marks.slice(0, young);
    this.#marks = young < 0 ? [] : this.#marks.slice(young);
    return old.at(-1)?.position;
  }
}
