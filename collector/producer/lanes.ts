/**
 * The order in which frames leave: which lane has its turn, to be sent from and to be read into.
 *
 * - `oldest`: one lane, the queue from its beginning to its end.
 * - `live`: what was appended since the connection began has a lane of its own and goes first; what
 *   was there before, the backlog, has a set share of the link while both have something to send,
 *   and all of it while the other has nothing.
 *
 * Invariant: the lanes share no frame, whatever the queue answers; so nothing leaves twice on one
 * connection. Sans-IO.
 */
import type { Epoch, Frame } from '#protocol/identity.ts';
import { Lane, type Whereabouts } from './lane.ts';
import type { QueuePosition } from './queue/queue.ts';

export type DrainOrder = 'oldest' | 'live';

export interface LanesOptions {
  readonly order: DrainOrder;
  /** 0 to 1. */
  readonly backlogShare: number;
}

export class Lanes {
  readonly #lanes: readonly Lane[];
  readonly #backlog: Lane | undefined;
  readonly #backlogShare: number;
  /** By how many bytes the backlog is behind its share. */
  #owedBytes = 0;
  #reading: Lane | undefined;
  #lastRead: Lane | undefined;

  /**
   * `highest` is the newest frame in the queue by now. `isNewer` says of an epoch that is announced
   * whether it came after the one of `highest`.
   */
  constructor(
    { order, backlogShare }: LanesOptions,
    highest: QueuePosition | undefined,
    isNewer: (epoch: Epoch) => boolean,
  ) {
    this.#backlogShare = backlogShare;
    if (order === 'oldest' || highest === undefined) {
      this.#lanes = [new Lane(undefined, () => 'in', true)];
      return;
    }
    const isNew = (frame: Frame): boolean =>
      frame.epoch === highest.epoch ? frame.seq > highest.seq : isNewer(frame.epoch);
    const inBacklog = (frame: Frame): Whereabouts => (isNew(frame) ? 'behind' : 'in');
    const inLive = (frame: Frame): Whereabouts => (isNew(frame) ? 'in' : 'before');
    this.#backlog = new Lane(undefined, inBacklog, false);
    this.#lanes = [new Lane(highest, inLive, true), this.#backlog];
  }

  /** The lane whose turn it is to send, when any has frames waiting. */
  get next(): Lane | undefined {
    const waiting = this.#lanes.filter(({ waiting }) => waiting.length > 0);
    if (waiting.length < 2) return waiting[0];
    return this.#owedBytes > 0 ? this.#backlog : waiting[0];
  }

  /** Nothing waits in any, and the queue holds no more for now. */
  get empty(): boolean {
    return this.#lanes.every((lane) => lane.empty);
  }

  /** The first frames of a lane leave, in so many bytes. */
  take(lane: Lane, count: number, bytes: number): Frame[] {
    const contended = this.#lanes.every(({ waiting }) => waiting.length > 0);
    if (contended && this.#backlog !== undefined) {
      const fromBacklog = lane === this.#backlog;
      this.#owedBytes += bytes * (this.#backlogShare - (fromBacklog ? 1 : 0));
    }
    return lane.take(count);
  }

  /**
   * Where to read next, when a lane has less than so many bytes waiting and the queue may hold more
   * for it. The answer is due at `onFrames`; only one reading is under way at a time.
   */
  startReading(aheadBytes: number): { readonly after: QueuePosition | undefined } | undefined {
    if (this.#reading !== undefined) return undefined;
    const hungry = this.#lanes.filter(
      ({ unread, waitingBytes }) => unread && waitingBytes < aheadBytes,
    );
    const lane = hungry.find((one) => one !== this.#lastRead) ?? hungry[0];
    if (lane === undefined) return undefined;
    this.#reading = lane;
    this.#lastRead = lane;
    return { after: lane.startReading() };
  }

  /** False when frames could not be taken because their epoch is not known yet. */
  onFrames(frames: readonly Frame[], isKnown: (epoch: Epoch) => boolean): boolean {
    const lane = this.#reading;
    if (lane === undefined) return true;
    this.#reading = undefined;
    return lane.onFrames(frames, isKnown);
  }

  /**
   * Reads everything from the start again, for frames that were read before may be pending anew.
   * False when that has to wait, because some wait to leave or are being read.
   */
  startOver(): boolean {
    const isBusy = this.#reading !== undefined || this.next !== undefined;
    if (isBusy) return false;
    for (const lane of this.#lanes) lane.startOver();
    return true;
  }

  onAppended(): void {
    for (const lane of this.#lanes) lane.onAppended();
  }
}
