/**
 * One of the ways on which frames come out of the queue towards the link: how far it has been read,
 * and what was read and has not left. With the order `oldest` there is one lane; with `live` there
 * are two, and each frame belongs to exactly one of them (`delivery.ts`).
 *
 * Sans-IO. Not here: which lane has its turn, and whether anything may leave at all.
 */
import type { Frame } from '#protocol/identity.ts';
import type { QueuePosition } from './queue/queue.ts';

/** Where a frame lies as seen from a lane: before its beginning, in it, or behind its end. */
export type Whereabouts = 'before' | 'in' | 'behind';

export class Lane {
  readonly #whereabouts: (frame: Frame) => Whereabouts;
  readonly #grows: boolean;
  readonly #from: QueuePosition | undefined;
  #cursor: QueuePosition | undefined;
  #buffer: Frame[] = [];
  #bufferBytes = 0;
  #state: 'unread' | 'reading' | 'reading-stale' | 'at-end' | 'ended' = 'unread';

  /**
   * Reads behind `from`; with undefined from the queue's beginning. `grows`: frames that are yet to
   * come belong to it.
   */
  constructor(
    from: QueuePosition | undefined,
    whereabouts: (frame: Frame) => Whereabouts,
    grows: boolean,
  ) {
    this.#from = from;
    this.#cursor = from;
    this.#whereabouts = whereabouts;
    this.#grows = grows;
  }

  /** Frames that were read and have not left, in the queue's order. */
  get waiting(): readonly Frame[] {
    return this.#buffer;
  }

  /** Their payloads' bytes. */
  get waitingBytes(): number {
    return this.#bufferBytes;
  }

  /** The queue may hold more for this lane than was read so far. */
  get unread(): boolean {
    return this.#state === 'unread';
  }

  /** Nothing waits, and the queue holds no more for now. */
  get empty(): boolean {
    return this.#buffer.length === 0 && (this.#state === 'at-end' || this.#state === 'ended');
  }

  /** Frames that were read before may be pending again. To be called when none waits or is read. */
  startOver(): void {
    this.#cursor = this.#from;
    this.#state = 'unread';
  }

  /** Where reading goes on. The answer is due at `onFrames`. */
  startReading(): QueuePosition | undefined {
    this.#state = 'reading';
    return this.#cursor;
  }

  /**
   * Takes what was read. `isKnown` says of an epoch whether its frames may leave; false when one
   * could not be taken for that: the next reading gives it again.
   */
  onFrames(frames: readonly Frame[], isKnown: (epoch: string) => boolean): boolean {
    if (frames.length > 0) this.#state = 'unread';
    else if (this.#grows) this.#state = this.#state === 'reading' ? 'at-end' : 'unread';
    else this.#state = 'ended';
    for (const frame of frames) {
      if (!isKnown(frame.epoch)) return false;
      const where = this.#whereabouts(frame);
      if (where === 'behind') {
        this.#state = 'ended';
        return true;
      }
      this.#cursor = { epoch: frame.epoch, seq: frame.seq };
      if (where === 'before') continue;
      this.#buffer.push(frame);
      this.#bufferBytes += frame.payload.length;
    }
    return true;
  }

  /** New frames are in the queue, behind those that were read. */
  onAppended(): void {
    if (this.#state === 'at-end') this.#state = 'unread';
    else if (this.#state === 'reading') this.#state = 'reading-stale';
  }

  /** The first of those that wait leave. */
  take(count: number): Frame[] {
    const taken = this.#buffer.splice(0, count);
    for (const { payload } of taken) this.#bufferBytes -= payload.length;
    return taken;
  }
}
