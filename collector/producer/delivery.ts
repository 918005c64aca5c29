/**
 * What one proven connection still has to bring over: which epochs were announced, how far the
 * queue has been read, what is in flight and what was acknowledged. Made at WELCOME, thrown away
 * with the connection; so nothing of an old connection can leak into a new one.
 *
 * Sans-IO: `on…` methods take what happened, `poll` gives the next thing to do until there is none.
 * Not here: states, heartbeats and deadlines of the link (`sender.ts`), the bytes (`#protocol`).
 *
 * Invariant: a frame leaves only in an epoch that the server has answered, and a frame is settled
 * by the server's word alone.
 */
import type { Epoch, Frame } from '#protocol/identity.ts';
import {
  EPOCHS_PER_MESSAGE_MAX,
  FRAMES_PER_MESSAGE_MAX,
  GAPS_PER_MESSAGE_MAX,
} from '#protocol/limits.ts';
import type {
  EpochAnnouncement,
  Frames,
  GapEntry,
  Message,
  Settled,
  SettledEntry,
  Terms,
} from '#protocol/messages.ts';
import type { SettledRange } from '#protocol/settlement.ts';
import type { Announcements, SettledAnswer } from './announcements.ts';
import { Compression } from './compression.ts';
import { Flights, type InFlight } from './flights.ts';
import { type DrainOrder, Lanes } from './lanes.ts';
import type { Gap, HeldEpoch, QueuePosition } from './queue/queue.ts';
import { Window } from './window.ts';

export type DeliveryStep =
  | { readonly type: 'send'; readonly message: Exclude<Message, Frames> }
  /** Answer by `onFramesWritten`, before anything else. */
  | { readonly type: 'send-frames'; readonly message: Frames; readonly compress: boolean }
  /** Read pending frames behind a position; answer by `onFrames`. */
  | {
      readonly type: 'read-frames';
      readonly after: QueuePosition | undefined;
      readonly frames: number;
      readonly bytes: number;
    }
  /** Read the pending gaps; answer by `onGaps`. */
  | { readonly type: 'read-gaps' }
  /** Read which epochs are held; answer by `onHeld`. */
  | { readonly type: 'read-held' }
  /** This connection's epoch numbers are used up. */
  | { readonly type: 'renew' };

/** What an ACK changed, by epoch. */
export interface Settlement {
  readonly epoch: Epoch;
  readonly ranges: readonly SettledRange[];
}

/** What the operator decides of how frames are brought over. */
export interface DeliveryOptions {
  readonly order: DrainOrder;
  /** With the order `live`: the backlog's part of the link while new frames wait too, 0 to 1. */
  readonly backlogShare: number;
  /** How long a message that could hold more may wait for company, in milliseconds. */
  readonly flushMs: number;
  /** Compress where it helps and the server takes it. */
  readonly compression: boolean;
}

export const DELIVERY_DEFAULTS: DeliveryOptions = {
  order: 'oldest',
  backlogShare: 0.5,
  flushMs: 0,
  compression: true,
};

/** What is known as a connection begins to carry frames. */
interface Beginning {
  /** As answered by WELCOME. */
  readonly announcements: Announcements;
  readonly terms: Terms;
  /** Whether the store is to be asked for all that is remembered as settled. */
  readonly verifies: boolean;
  /** The newest frame that is in the queue by now. */
  readonly highest: QueuePosition | undefined;
}

/** The cost of a message and of a frame beside the payload, about; see `#protocol/frames.ts`. */
const MESSAGE_OVERHEAD_BYTES = 30;
const FRAME_OVERHEAD_BYTES = 12;
/** Bytes of frames in a compressed message at most; with all overhead well below what may be. */
const FRAME_BYTES_MAX = 786_432;
/** A connection that broke after fewer bytes than this is worth compressing for from the start. */
const YOUNG_BYTES = 65_536;
/** So much may be in flight whatever the connection before carried. */
const UNPROVEN_BYTES = 4_096;
/** A server that has to be waited for answers sooner than this; what takes longer is on its way. */
const LINK_HOLDS_MS = 50;
/** Of what the last connection carried before it broke, a message is at most one part in so many. */
const MESSAGES_PER_CONNECTION = 4;

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #window: Window;
  readonly #compression: Compression;
  readonly #lanes: Lanes;
  readonly #flights = new Flights();
  readonly #announcements: Announcements;
  readonly #highest: QueuePosition | undefined;
  /** Epochs that came after the one of `highest`. */
  readonly #newer = new Set<Epoch>();
  /** Of the gaps that are pending, those that left on this connection. */
  #gapsSent: ReadonlySet<string> = new Set();
  #gaps: 'unread' | 'reading' | 'read' = 'unread';
  #held: 'unread' | 'reading' | 'read' = 'read';
  /** Epochs that are only remembered are announced, too, when there is nothing else to do. */
  #verifies: boolean;
  /** Frames behind which reading has gone may be pending again. */
  #rereads = false;
  readonly #outbox: DeliveryStep[] = [];
  /** The frames of the last step, until it is known how many bytes they took. */
  #leaving: Leaving | undefined;
  /**
   * Something waits that only the path or the server keeps from leaving: when the oldest of what was
   * in flight had left as it was held back first.
   */
  #heldBackBehind: number | undefined;
  /** What left last was held back for so long that it is the path, and more waited behind it. */
  #heldBackByLink = false;
  /** Since when a message waits for company, if one does. */
  #waitingSince: number | undefined;
  #hurries = false;
  /** What the connection before this one carried, if it broke with frames on their way. */
  #carriedBefore: number | undefined;

  constructor(beginning: Beginning, options: DeliveryOptions, now: number) {
    const { announcements, terms, verifies, highest } = beginning;
    this.#options = options;
    this.#announcements = announcements;
    this.#verifies = verifies;
    this.#highest = highest;
    this.#window = new Window(terms.windowBytesMax, now);
    this.#compression = new Compression(options.compression && terms.zstd);
    this.#lanes = new Lanes(options, highest, (epoch) => this.#newer.has(epoch));
  }

  /** The store has been asked for all that is remembered as settled, and has answered. */
  get verified(): boolean {
    return !this.#verifies && this.#announcements.isComplete;
  }

  /** The oldest moment at which a message was overtaken and still isn't acknowledged. */
  get overtakenAt(): number | undefined {
    return this.#flights.overtakenAt;
  }

  /** What left and is not wholly acknowledged, oldest first. */
  get inFlight(): readonly InFlight[] {
    return this.#flights.all;
  }

  /** Bytes of messages with frames that were wholly acknowledged on this connection. */
  get bytesAcknowledged(): number {
    return this.#window.bytesAcknowledged;
  }

  /** When `poll` has to be asked although nothing happened; undefined when never. */
  get flushAt(): number | undefined {
    const since = this.#waitingSince;
    return since === undefined ? undefined : since + this.#options.flushMs;
  }

  /** The number under which the server knows an epoch, once it does. */
  epochIndex(epoch: Epoch): number | undefined {
    return this.#announcements.numberOf(epoch);
  }

  /** The connection before this one broke with frames on their way, after so many bytes of them. */
  onBrokeBefore(carriedBytes: number): void {
    this.#carriedBefore = carriedBytes;
  }

  /** Whether nothing waits for company: as long as somebody waits for the end. */
  hurry(hurries: boolean): void {
    this.#hurries = hurries;
  }

  /** The next thing to do; call again until undefined. */
  poll(now: number): DeliveryStep | undefined {
    const step = this.#outbox.shift();
    if (step !== undefined) return step;
    if (this.#gaps === 'unread') {
      this.#gaps = 'reading';
      return { type: 'read-gaps' };
    }
    if (this.#held === 'unread') {
      this.#held = 'reading';
      return { type: 'read-held' };
    }
    return this.#pollFrames(now) ?? this.#pollRead() ?? this.#pollVerification();
  }

  onFrames(frames: readonly Frame[]): void {
    const taken = this.#lanes.onFrames(frames, (epoch) => this.epochIndex(epoch) !== undefined);
    if (!taken) this.#held = 'unread';
  }

  /** The frames of the last step were written, in so many bytes. */
  onFramesWritten(wireBytes: number, now: number): void {
    const leaving = this.#leaving;
    if (leaving === undefined) return;
    this.#leaving = undefined;
    const { epochIndex, frames, frameBytes, compress, sourceLimited } = leaving;
    if (compress) this.#compression.onCompressed(frameBytes, wireBytes);
    else this.#compression.onPlain();
    const flight = this.#window.onSent(wireBytes, sourceLimited, now);
    this.#flights.onSent(
      epochIndex,
      frames.map(({ seq }) => seq),
      flight,
    );
  }

  /** New frames are in the queue, behind those that were read. */
  onAppended(): void {
    this.#lanes.onAppended();
  }

  /** The store has lost something: it may be pending again, and more may be lost. */
  onStoreLost(): void {
    this.#rereads = true;
    this.#verifies = true;
    this.onGapsChanged();
  }

  /** Frames that were read before, or lie before those, are pending again. */
  onReplayed(): void {
    this.#rereads = true;
  }

  /** New gaps may be in the queue. */
  onGapsChanged(): void {
    this.#gaps = 'unread';
  }

  onGaps(gaps: readonly Gap[]): void {
    if (this.#gaps === 'reading') this.#gaps = 'read';
    const entries: GapEntry[] = [];
    const sent = new Set<string>();
    for (const { epoch, from, to, reason } of gaps) {
      const epochIndex = this.epochIndex(epoch);
      if (epochIndex === undefined) {
        this.#held = 'unread';
        continue;
      }
      const key = `${epoch} ${from} ${to}`;
      sent.add(key);
      if (!this.#gapsSent.has(key)) entries.push({ epochIndex, from, to, reason });
    }
    this.#gapsSent = sent;
    for (let i = 0; i < entries.length; i += GAPS_PER_MESSAGE_MAX) {
      const message = { kind: 'gap', gaps: entries.slice(i, i + GAPS_PER_MESSAGE_MAX) } as const;
      this.#outbox.push({ type: 'send', message });
    }
  }

  /** Announces those of the held epochs that this connection doesn't know yet. */
  onHeld(held: readonly HeldEpoch[]): void {
    this.#held = 'read';
    const verifies = this.#verifies && this.#lanes.empty;
    const fresh = held.filter(
      ({ epoch, onlyRemembered }) =>
        !this.#announcements.isAnnounced(epoch) && (verifies || !onlyRemembered),
    );
    this.#noteNewer(held, fresh);
    if (fresh.length > 0) {
      const epochs = fresh.slice(0, EPOCHS_PER_MESSAGE_MAX);
      this.#announce(epochs, fresh.length > epochs.length);
    } else if (verifies) {
      this.#verifies = false;
    }
  }

  /** Of the fresh epochs those behind the one of `highest` came after it; all, if it is settled. */
  #noteNewer(held: readonly HeldEpoch[], fresh: readonly HeldEpoch[]): void {
    const newest = held.findIndex(({ epoch }) => epoch === this.#highest?.epoch);
    const behind = new Set(held.slice(newest + 1));
    for (const one of fresh) {
      if (behind.has(one) && !one.onlyRemembered) this.#newer.add(one.epoch);
    }
  }

  /** The server's answer to EPOCHS. Throws ProtocolError when nothing was asked. */
  onSettled({ firstEpochIndex, settled }: Settled, now: number): SettledAnswer[] {
    const answers = this.#announcements.onAnswer(firstEpochIndex, settled);
    this.#gaps = 'unread';
    this.onSettledEntries(settled, now);
    return answers;
  }

  /** Settled ranges of any message. Throws ProtocolError for an epoch that was never announced. */
  onSettledEntries(entries: readonly SettledEntry[], now: number): Settlement[] {
    const waiting = this.#lanes.next !== undefined;
    for (const flight of this.#flights.onSettled(entries, now)) {
      this.#window.onAcked(flight, now, waiting);
    }
    return this.#byEpoch(entries);
  }

  /** The epoch that a number of the server's means. Throws ProtocolError. */
  epochOf(epochIndex: number): Epoch {
    return this.#announcements.epochOf(epochIndex);
  }

  #pollFrames(now: number): DeliveryStep | undefined {
    this.#window.onTime(this.#flights.oldestSentAt, now);
    const lane = this.#lanes.next;
    const epoch = lane?.waiting[0]?.epoch;
    if (lane === undefined || epoch === undefined) return undefined;
    this.#judgeLink(now);
    const compress = this.#compression.wanted(this.#linkIsShort, this.#window.bytesPerMs);
    const ratio = compress ? this.#compression.ratio : 1;
    const { count, frameBytes, isFull } = this.#batch(lane.waiting, ratio);
    if (!this.#mayLeave(MESSAGE_OVERHEAD_BYTES + frameBytes / ratio, isFull, now)) return undefined;
    const frames = this.#lanes.take(lane, count, frameBytes);
    const epochIndex = this.epochIndex(epoch) ?? 0;
    const sourceLimited = this.#heldBackBehind === undefined && this.#lanes.empty;
    this.#leaving = { epochIndex, frames, frameBytes, compress, sourceLimited };
    this.#heldBackBehind = undefined;
    if (this.#lanes.empty) this.#heldBackByLink = false;
    this.#waitingSince = undefined;
    const message: Frames = { kind: 'frames', epochIndex, frames };
    return { type: 'send-frames', message, compress };
  }

  /**
   * By how long what was waited for has taken, at the moment at which it matters: nobody asks in
   * between. What leaves together with a message that was held back, into the same room, was so, too.
   */
  #judgeLink(now: number): void {
    if (this.#heldBackBehind === undefined) return;
    this.#heldBackByLink = now - this.#heldBackBehind >= LINK_HOLDS_MS;
  }

  get #linkIsShort(): boolean {
    const carried = this.#carriedBefore ?? Number.POSITIVE_INFINITY;
    return this.#heldBackByLink || carried < YOUNG_BYTES;
  }

  /**
   * The frames of the next message: one epoch, and no longer than the window likes and than
   * {@link Delivery.#provenBytes} allows, both in bytes on the wire.
   */
  #batch(waiting: readonly Frame[], ratio: number): Batch {
    const epoch = waiting[0]?.epoch;
    const wireBytesMax = Math.min(this.#window.messageBytes, this.#provenBytes);
    const frameBytesMax = Math.min(wireBytesMax * ratio, FRAME_BYTES_MAX);
    let frameBytes = 0;
    let count = 0;
    for (const frame of waiting) {
      const bytes = frame.payload.length + FRAME_OVERHEAD_BYTES;
      const isFull =
        frame.epoch !== epoch ||
        count === FRAMES_PER_MESSAGE_MAX ||
        (count > 0 && frameBytes + bytes > frameBytesMax);
      if (isFull) return { count, frameBytes, isFull };
      frameBytes += bytes;
      count += 1;
    }
    return { count, frameBytes, isFull: frameBytes >= frameBytesMax };
  }

  /**
   * How long a message may be for what connections have carried. One that breaks after a few bytes
   * shall have brought most of them over in whole messages: so each is at most a quarter of what the
   * one before carried, and past twice that, or where nothing is known, no longer than all that has
   * left.
   */
  get #provenBytes(): number {
    const { bytesSent } = this.#window;
    const carried = this.#carriedBefore ?? 0;
    return bytesSent < 2 * carried ? carried / MESSAGES_PER_CONNECTION : bytesSent;
  }

  /**
   * False when the message has to wait: for room in the window; or because it could hold more, and
   * either company may still come or what left before is late. The last is what keeps a source of
   * many small frames from filling a link that became thin with messages of one frame each.
   */
  #mayLeave(wireBytes: number, isFull: boolean, now: number): boolean {
    const hasRoom = this.#window.admits(wireBytes) && this.#isWorthIt(wireBytes);
    if (!hasRoom || (!isFull && this.#window.late)) {
      this.#heldBackBehind ??= this.#flights.oldestSentAt ?? now;
      this.#waitingSince = undefined;
      return false;
    }
    if (isFull || this.#hurries || this.#options.flushMs === 0) return true;
    this.#waitingSince ??= now;
    return now >= this.#waitingSince + this.#options.flushMs;
  }

  /**
   * Where the connection before broke early, what would be in flight far beyond that is likely to be
   * sent for nothing: it waits until as much was acknowledged on this one.
   */
  #isWorthIt(wireBytes: number): boolean {
    const { bytesInFlight, bytesAcknowledged } = this.#window;
    const carried = this.#carriedBefore;
    if (carried === undefined || bytesAcknowledged >= carried || bytesInFlight === 0) return true;
    return bytesInFlight + wireBytes <= Math.max(2 * carried, UNPROVEN_BYTES);
  }

  /** Reads ahead by one message, so that the disk's answer is there when the window opens. */
  #pollRead(): DeliveryStep | undefined {
    const waitsForServer = this.#announcements.awaitsFresh || this.#held !== 'read';
    if (waitsForServer) return undefined;
    if (this.#rereads) {
      // From the start; but what is in flight is pending in the queue, too, so its acks come first.
      if (this.inFlight.length > 0 || !this.#lanes.startOver()) return undefined;
      this.#rereads = false;
    }
    const { messageBytes, room } = this.#window;
    const aheadBytes = Math.min(messageBytes * this.#compression.ratio, FRAME_BYTES_MAX);
    const read = this.#lanes.startReading(aheadBytes);
    if (read === undefined) return undefined;
    const bytes = Math.max(room, aheadBytes);
    return { type: 'read-frames', after: read.after, frames: FRAMES_PER_MESSAGE_MAX, bytes };
  }

  /** Asks the store for what it hasn't answered yet of what is remembered as settled. */
  #pollVerification(): DeliveryStep | undefined {
    const { room, awaitsFresh } = this.#announcements;
    if (!this.#lanes.empty || room < EPOCHS_PER_MESSAGE_MAX) return undefined;
    if (this.#verifies) this.#announcements.askBelow();
    const open = this.#announcements.takeLeftOver(EPOCHS_PER_MESSAGE_MAX);
    if (open.length > 0) {
      this.#announce(open, this.#verifies);
      return this.#outbox.shift();
    }
    if (!this.#verifies || awaitsFresh || this.#held !== 'read') return undefined;
    this.#held = 'reading';
    return { type: 'read-held' };
  }

  #announce(epochs: readonly EpochAnnouncement[], more: boolean): void {
    if (this.#announcements.room < epochs.length) {
      this.#outbox.push({ type: 'renew' });
      return;
    }
    this.#announcements.announce(epochs);
    this.#outbox.push({ type: 'send', message: { kind: 'epochs', more, epochs } });
  }

  #byEpoch(entries: readonly SettledEntry[]): Settlement[] {
    const settlements = new Map<Epoch, SettledRange[]>();
    for (const { epochIndex, ...range } of entries) {
      const epoch = this.epochOf(epochIndex);
      const ranges = settlements.get(epoch);
      if (ranges === undefined) settlements.set(epoch, [range]);
      else ranges.push(range);
    }
    return [...settlements].map(([epoch, ranges]) => ({ epoch, ranges }));
  }
}

/** The beginning of a lane, as long as one message may be. */
interface Batch {
  readonly count: number;
  /** With the frames' own overhead, before compression. */
  readonly frameBytes: number;
  /** It could hold no more. */
  readonly isFull: boolean;
}

interface Leaving {
  readonly epochIndex: number;
  readonly frames: Frames['frames'];
  readonly frameBytes: number;
  readonly compress: boolean;
  readonly sourceLimited: boolean;
}
