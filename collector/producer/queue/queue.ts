/**
 * The queue as the rest of the collector sees it: the client, on the main thread, of the worker
 * that does the work. Here: batching appends for the way, bounding what is on its way to the disk,
 * and turning answers into calls, promises and events. What happens on disk is the core's.
 *
 * Invariants: append batches and their outcomes are first in, first out, so frames are resolved in the
 * order of the calls and seqs ascend with them; at most `unsyncedBytesMax` payload bytes are on
 * their way, and further appends wait for their turn, holding only a reference to their payload.
 *
 * A reader that has come to the end is spared the way to the thread and back: the next append asks
 * for what is then behind that place, and the frames come back with its outcome, as the tail.
 */
import { CAPTURED_AT_MAX, type Epoch, type Frame, PAYLOAD_BYTES_MAX } from '#protocol/identity.ts';
import type { SeqRange, SettledRange } from '#protocol/settlement.ts';
import {
  DiskFullError,
  fromFacts,
  PayloadTooLargeError,
  QueueClosedError,
  QueueFailedError,
  QueueFullError,
  QueueOpenError,
} from './errors.ts';
import { startThread } from './queue-thread.ts';
import { SEGMENT_BYTES_DEFAULT } from './segment.ts';
import type { Sending } from './sending-file.ts';
import {
  type Answers,
  type AppendOutcome,
  type NewFrame,
  type Opening,
  packNewFrames,
  type Question,
  type QueueThread,
  type ReadPlace,
  type Request,
  type StartThread,
  type Tail,
  type Turn,
  unpackFrames,
} from './thread.ts';
import type {
  Fate,
  Gap,
  HeldEpoch,
  QueueEvent,
  QueueOptions,
  QueuePosition,
  QueueStats,
  ReadLimits,
  RecoveryReport,
} from './types.ts';

export type * from './types.ts';

const LIMIT_BYTES_MIN = 65_536;
/** Offsets in a segment are written in 32 bits. */
const SEGMENT_BYTES_MAX = 1_073_741_824;
const DEFAULTS = {
  limitBytes: 1_073_741_824,
  whenFull: 'drop-oldest',
  maxAgeMs: 0,
  segmentBytes: SEGMENT_BYTES_DEFAULT,
  keepSettledBytes: 67_108_864,
  keepSettledMs: 3_600_000,
  unsyncedBytesMax: 8_388_608,
} as const;

type Listener = (event: QueueEvent) => void;

/** What a frame counts against `unsyncedBytesMax` beside its payload. */
export const FRAME_OVERHEAD_BYTES = 64;

/** A frame on its way to the disk, and who is told what became of it, once. */
export interface SentFrame extends NewFrame {
  /** It is durable. */
  resolve(position: QueuePosition): void;
  reject(error: Error): void;
}

/** Frames that went to the thread together, and what they count against `unsyncedBytesMax`. */
interface Batch {
  readonly frames: readonly SentFrame[];
  readonly bytes: number;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class Queue {
  /** What the opening found. */
  readonly recovery: RecoveryReport;
  readonly #options: Required<QueueOptions>;
  readonly #thread: QueueThread;
  readonly #listeners = new Set<Listener>();
  readonly #asked = new Map<number, Pending>();
  #waiting: SentFrame[] = [];
  readonly #inFlight: Batch[] = [];
  /** Where a reader came to the end, until an append asks for the tail behind it. */
  #atEnd: ReadPlace | undefined;
  #tail: Tail | undefined;
  #inFlightBytes = 0;
  #pumpScheduled = false;
  /** Of the frames that were taken. */
  #unanswered = 0;
  /** Set while a queue that is being closed waits for that. */
  #onAllAnswered: (() => void) | undefined;
  #nextId = 1;
  #stats: QueueStats;
  #failure: QueueFailedError | undefined;
  #workerError: QueueFailedError | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Opens a queue, or makes it. Repairs and declares what has to be; see `recovery`.
   * @param start Starts the thread that does the work.
   * @throws QueueInUseError, QueueForeignError, QueueOpenError; RangeError for settings out of range.
   */
  static async open(options: QueueOptions, start: StartThread = startThread): Promise<Queue> {
    const given = { ...DEFAULTS, ...options };
    checkOptions(given);
    const segmentBytes = Math.min(given.segmentBytes, Math.floor(given.limitBytes / 4));
    const complete = { ...given, segmentBytes };
    const thread = start(complete);
    const opening = await thread.opening.catch((error) => {
      throw new QueueOpenError(complete.path, error);
    });
    if ('recovery' in opening) return new Queue(complete, thread, opening);
    thread.close();
    throw fromFacts(opening.error);
  }

  private constructor(
    options: Required<QueueOptions>,
    thread: QueueThread,
    opening: Extract<Opening, { recovery: unknown }>,
  ) {
    this.#options = options;
    this.#thread = thread;
    this.recovery = opening.recovery;
    this.#stats = opening.stats;
    thread.listen(
      (turn) => this.#onTurn(turn),
      (cause) => this.#onWorkerError(cause),
    );
  }

  /** As of the worker's last message: after each group commit, and while things change. */
  get stats(): QueueStats {
    return this.#stats;
  }

  /** Calls `listener` for what the owner must hear. Answers how to stop that. */
  on(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Makes a frame of a payload and keeps it. Calls `resolve` when it is durable, in the order of the
   * calls, or `reject`; neither during the call.
   *
   * `payload`: 0 to PAYLOAD_BYTES_MAX bytes; not to be changed before the answer. `capturedAt`: whole
   * microseconds since 1970 UTC. Rejected with PayloadTooLargeError, QueueFullError, DiskFullError,
   * QueueFailedError, QueueClosedError or, for a wrong time, RangeError, it was not accepted, except
   * that after QueueFailedError it may be on disk all the same. When one of the frames that wait
   * together finds no room, those behind it are refused with it.
   */
  append(frame: SentFrame): void {
    const refusal = this.#refusal(frame);
    if (refusal !== undefined) {
      queueMicrotask(() => frame.reject(refusal));
      return;
    }
    this.#waiting.push(frame);
    this.#unanswered += 1;
    this.#schedulePump();
  }

  /**
   * Frames that are neither settled nor given up: oldest epoch first, seqs ascending, behind
   * `after`; [] when there are none. Their CRC was checked. What turns out to be damaged is skipped
   * and declared. Going on behind the last frame given costs no search. The frames of one answer
   * share memory: to keep one for long, copy its payload.
   * @throws QueueReadError, QueueFailedError, QueueClosedError.
   */
  async readPending(after: QueuePosition | undefined, limits: ReadLimits): Promise<Frame[]> {
    const place = { after: after && { epoch: after.epoch, seq: after.seq }, limits };
    const frames = this.#takeTail(after) ?? (await this.#readBehind(place));
    if (frames.length === 0) this.#atEnd = place;
    return frames;
  }

  /**
   * Declares that `count` frames, 1 or more, were captured and are lost because the disk was full:
   * they get the next seqs, and the server is told. To be called when no append is under way. On a
   * disk that is still full it is written down later, as soon as there is room.
   * @throws QueueFailedError, QueueClosedError.
   */
  declareLost(count: number): Promise<Gap> {
    if (!Number.isSafeInteger(count) || count < 1) {
      return Promise.reject(new RangeError(`count is ${count}; it must be 1 or more`));
    }
    return this.#ask({ type: 'declareLost', count });
  }

  /** Gaps that the server does not know of yet. */
  pendingGaps(): Promise<Gap[]> {
    return this.#ask({ type: 'gaps' });
  }

  /**
   * Epochs with anything pending, oldest first, always the newest epoch there ever was, and those
   * settled ones that are remembered.
   */
  held(): Promise<HeldEpoch[]> {
    return this.#ask({ type: 'held' });
  }

  /** What is remembered as settled of an epoch; [] for one that is forgotten or unknown. */
  settled(epoch: Epoch): Promise<readonly SettledRange[]> {
    return this.#ask({ type: 'settled', epoch });
  }

  /** What became of each of these frames, as far as it is remembered. */
  fates(positions: readonly QueuePosition[]): Promise<Fate[]> {
    return this.#ask({ type: 'fates', positions });
  }

  /** How many frames up to this one, those of older epochs included, are still to be sent. */
  pendingUpTo(position: QueuePosition): Promise<number> {
    return this.#ask({ type: 'pendingUpTo', position });
  }

  /**
   * Takes in what a server says is settled; cheap, and safe to repeat. It is written down within
   * about a second; should that be lost, frames are sent again, which the server notices.
   */
  settle(storeId: string, epoch: Epoch, ranges: readonly SettledRange[]): void {
    if (this.#closing === undefined) this.#send({ type: 'settle', storeId, epoch, ranges });
  }

  /**
   * Takes in all that a server says is settled within a range of an epoch. What was settled there
   * and isn't named is lost: it becomes pending again, and a `store_lost` event tells of it.
   * Refused frames among `ranges` are left as they are; `settle` them once they are kept aside.
   */
  reconcile(
    storeId: string,
    epoch: Epoch,
    within: SeqRange,
    ranges: readonly SettledRange[],
  ): void {
    if (this.#closing !== undefined) return;
    this.#send({ type: 'reconcile', storeId, epoch, within, ranges });
  }

  /** Leaves word of how sending goes, for whoever looks at the queue from outside; never fails. */
  noteSending(sending: Sending): void {
    if (this.#closing === undefined) this.#send({ type: 'sending', sending });
  }

  /**
   * The collector's id, made at the first call and kept in the queue's directory.
   * @throws CollectorIdError when the file holds something else.
   */
  collectorId(): Promise<string> {
    return this.#ask({ type: 'collectorId' });
  }

  /** Finishes what was asked, makes it durable, and gives the queue free. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await this.#allAnswered();
    try {
      await this.#post<undefined>({ type: 'close' });
    } catch (error) {
      const isKnown = error instanceof QueueFailedError || error instanceof DiskFullError;
      if (!isKnown) throw error;
    }
    await this.#thread.ended;
    this.#thread.close();
  }

  /** To be waited for when nothing more is taken. */
  async #allAnswered(): Promise<void> {
    if (this.#unanswered === 0) return;
    await new Promise<void>((resolve) => {
      this.#onAllAnswered = resolve;
    });
  }

  #noteAnswered(frames: number): void {
    this.#unanswered -= frames;
    if (this.#unanswered === 0) this.#onAllAnswered?.();
  }

  #refusal({ payload, capturedAt }: NewFrame): Error | undefined {
    if (this.#closing !== undefined) return new QueueClosedError(this.#options.path);
    if (this.#failure !== undefined) return this.#failure;
    if (payload.length > PAYLOAD_BYTES_MAX) {
      return new PayloadTooLargeError(payload.length, PAYLOAD_BYTES_MAX);
    }
    if (!Number.isSafeInteger(capturedAt) || capturedAt < 0) {
      return new RangeError(
        `capturedAt is ${capturedAt}; it must be whole microseconds, 0 to ${CAPTURED_AT_MAX}`,
      );
    }
    return undefined;
  }

  /** The tail, when it is what lies behind this place; else it is of no use any more. */
  #takeTail(after: QueuePosition | undefined): Frame[] | undefined {
    const tail = this.#tail;
    this.#tail = undefined;
    return tail && isSame(tail.after, after) ? unpackFrames(tail.frames) : undefined;
  }

  async #readBehind(place: ReadPlace): Promise<Frame[]> {
    const isEnd = isSame(place.after, this.#stats.highest);
    if (isEnd && this.#closing === undefined) return [];
    return unpackFrames(await this.#ask({ type: 'read', ...place }));
  }

  #ask<Q extends Question>(question: Q): Promise<Answers[Q['type']]> {
    if (this.#closing !== undefined)
      return Promise.reject(new QueueClosedError(this.#options.path));
    return this.#post(question);
  }

  #post<T>(question: Question): Promise<T> {
    if (this.#workerError !== undefined) return Promise.reject(this.#workerError);
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
    });
    this.#send({ type: 'ask', id, question });
    return answer as Promise<T>;
  }

  #send(request: Request, memory: ArrayBuffer[] = []): void {
    this.#thread.post(request, memory);
  }

  /** Sends at the end of the current microtasks, so that appends made together go together. */
  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    queueMicrotask(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    const before = this.#inFlightBytes;
    let count = 0;
    for (const { payload } of this.#waiting) {
      const bytes = payload.length + FRAME_OVERHEAD_BYTES;
      const fits = this.#inFlightBytes + bytes <= this.#options.unsyncedBytesMax;
      if (!fits && this.#inFlightBytes > 0) break;
      this.#inFlightBytes += bytes;
      count += 1;
    }
    if (count === 0) return;
    const frames = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    this.#inFlight.push({ frames, bytes: this.#inFlightBytes - before });
    const batch = packNewFrames(frames);
    this.#send({ type: 'append', batch, count, tail: this.#atEnd }, [batch]);
    this.#atEnd = undefined;
  }

  #onTurn(turn: Turn): void {
    const { highest: before, diskFull } = this.#stats;
    this.#stats = turn.stats;
    this.#tail = turn.tail ?? this.#tail;
    for (const outcome of turn.appended) this.#onAppended(outcome);
    if (turn.failure !== undefined) this.#fail(fromFacts(turn.failure));
    for (const answer of turn.answers) {
      const asked = this.#asked.get(answer.id);
      this.#asked.delete(answer.id);
      if ('error' in answer) asked?.reject(fromFacts(answer.error));
      else asked?.resolve(answer.value);
    }
    if (turn.stats.diskFull !== diskFull) this.#emit({ type: 'disk_full', full: !diskFull });
    for (const damage of turn.damage) this.#emit({ type: 'damage', damage });
    if (turn.replayed > 0) this.#emit({ type: 'replayed', frames: turn.replayed });
    for (const loss of turn.losses) this.#emit({ type: 'store_lost', loss });
    for (const gap of turn.gaps) this.#emit({ type: 'gap', gap });
    const now = turn.stats.highest;
    if (now !== undefined && (now.seq !== before?.seq || now.epoch !== before.epoch)) {
      this.#emit({ type: 'appended', ...now });
    }
    if (this.#waiting.length > 0) this.#schedulePump();
  }

  #onAppended({ accepted, epoch, firstSeq, diskFull }: AppendOutcome): void {
    const { frames, bytes } = this.#inFlight.shift() ?? { frames: [], bytes: 0 };
    const { path, limitBytes } = this.#options;
    const refusal = (): Error =>
      diskFull === undefined ? new QueueFullError(path, limitBytes) : fromFacts(diskFull);
    this.#inFlightBytes -= bytes;
    frames.forEach((frame, i) => {
      if (i < accepted) frame.resolve({ epoch, seq: firstSeq + i });
      else frame.reject(refusal());
    });
    this.#noteAnswered(frames.length);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined || !(error instanceof QueueFailedError)) return;
    this.#failure = error;
    const inFlight = this.#inFlight.flatMap(({ frames }) => frames);
    const refused = [...inFlight, ...this.#waiting];
    this.#inFlight.length = 0;
    this.#waiting = [];
    this.#inFlightBytes = 0;
    try {
      // Told first: whoever hears of it hands nothing more over as these answers make room.
      this.#emit({ type: 'failed', error });
    } finally {
      for (const frame of refused) frame.reject(error);
      this.#noteAnswered(refused.length);
    }
  }

  /** The worker is gone by an error of ours: nobody answers any more. */
  #onWorkerError(cause: unknown): void {
    const error = new QueueFailedError(this.#options.path, 'go on working', cause);
    this.#workerError = error;
    this.#fail(error);
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }

  #emit(event: QueueEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function isSame(a: QueuePosition | undefined, b: QueuePosition | undefined): boolean {
  return a !== undefined && a.epoch === b?.epoch && a.seq === b.seq;
}

function checkOptions(options: Required<QueueOptions>): void {
  const { limitBytes, segmentBytes, unsyncedBytesMax } = options;
  const { keepSettledBytes, keepSettledMs, maxAgeMs } = options;
  if (!Number.isSafeInteger(limitBytes) || limitBytes < LIMIT_BYTES_MIN) {
    throw new RangeError(`limitBytes is ${limitBytes}; it must be at least ${LIMIT_BYTES_MIN}`);
  }
  if (!Number.isSafeInteger(segmentBytes) || segmentBytes < 1 || segmentBytes > SEGMENT_BYTES_MAX) {
    throw new RangeError(`segmentBytes is ${segmentBytes}; it must be 1 to ${SEGMENT_BYTES_MAX}`);
  }
  for (const [name, value] of Object.entries({ keepSettledBytes, keepSettledMs, maxAgeMs })) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${name} is ${value}; it must be a whole number, 0 or more`);
    }
  }
  if (!Number.isSafeInteger(unsyncedBytesMax) || unsyncedBytesMax < 1) {
    throw new RangeError(`unsyncedBytesMax is ${unsyncedBytesMax}; it must be at least 1`);
  }
}
