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
import { ProtocolError } from '#protocol/errors.ts';
import type { Epoch, Frame } from '#protocol/identity.ts';
import {
  EPOCHS_PER_CONNECTION_MAX,
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
  WireFrame,
} from '#protocol/messages.ts';
import type { SeqRange, SettledRange } from '#protocol/settlement.ts';
import type { Gap, QueuePosition } from './queue/queue.ts';
import { type Flight, Window } from './window.ts';

export type DeliveryStep =
  | { readonly type: 'send'; readonly message: Message }
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

/** What an ACK, WELCOME or SETTLED changed, by epoch. */
export interface Settlement {
  readonly epoch: Epoch;
  readonly ranges: readonly SettledRange[];
}

interface InFlight {
  readonly epochIndex: number;
  readonly flight: Flight;
  /** The seqs that no ack has named yet. */
  open: readonly SeqRange[];
  /** When a message that left later was acknowledged before this one. */
  overtakenAt: number | undefined;
}

/** The cost of a frame beside its payload, about; see `#protocol/frames.ts`. */
const FRAME_OVERHEAD_BYTES = 12;

export class Delivery {
  readonly #window: Window;
  readonly #epochs: Epoch[] = [];
  readonly #epochIndexes = new Map<Epoch, number>();
  /** How many of the announced epochs the server has answered. */
  #answered = 0;
  #buffer: Frame[] = [];
  #bufferBytes = 0;
  #flights: InFlight[] = [];
  readonly #gapsSent = new Set<string>();
  #cursor: QueuePosition | undefined;
  #frames: 'unread' | 'reading' | 'reading-stale' | 'at-end' = 'unread';
  #gaps: 'unread' | 'reading' | 'read' = 'unread';
  #held: 'unread' | 'reading' | 'read' = 'read';
  readonly #outbox: DeliveryStep[] = [];

  constructor(announced: readonly EpochAnnouncement[], terms: Terms, now: number) {
    this.#window = new Window(terms.windowBytesMax, now);
    for (const { epoch } of announced) this.#number(epoch);
    this.#answered = this.#epochs.length;
  }

  /** Frames that wait for their ack. */
  get inFlight(): boolean {
    return this.#flights.length > 0;
  }

  /** The oldest moment at which a message was overtaken and still isn't acknowledged. */
  get overtakenAt(): number | undefined {
    return this.#flights[0]?.overtakenAt;
  }

  /** The number under which the server knows an epoch, once it does. */
  epochIndex(epoch: Epoch): number | undefined {
    const index = this.#epochIndexes.get(epoch);
    return index !== undefined && index < this.#answered ? index : undefined;
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
    return this.#pollFrames(now) ?? this.#pollRead();
  }

  onFrames(frames: readonly Frame[]): void {
    const stale = this.#frames === 'reading-stale';
    this.#frames = frames.length === 0 && !stale ? 'at-end' : 'unread';
    for (const frame of frames) {
      if (this.epochIndex(frame.epoch) === undefined) {
        this.#held = 'unread';
        return;
      }
      this.#buffer.push(frame);
      this.#bufferBytes += frame.payload.length;
      this.#cursor = { epoch: frame.epoch, seq: frame.seq };
    }
  }

  /** New frames are in the queue, behind those that were read. */
  onAppended(): void {
    if (this.#frames === 'at-end') this.#frames = 'unread';
    else if (this.#frames === 'reading') this.#frames = 'reading-stale';
  }

  /** New gaps may be in the queue. */
  onGapsChanged(): void {
    this.#gaps = 'unread';
  }

  onGaps(gaps: readonly Gap[]): void {
    if (this.#gaps === 'reading') this.#gaps = 'read';
    const entries: GapEntry[] = [];
    for (const { epoch, from, to, reason } of gaps) {
      const epochIndex = this.epochIndex(epoch);
      if (epochIndex === undefined) {
        this.#held = 'unread';
        continue;
      }
      const key = `${epoch} ${from} ${to}`;
      if (this.#gapsSent.has(key)) continue;
      this.#gapsSent.add(key);
      entries.push({ epochIndex, from, to, reason });
    }
    for (let i = 0; i < entries.length; i += GAPS_PER_MESSAGE_MAX) {
      const message = { kind: 'gap', gaps: entries.slice(i, i + GAPS_PER_MESSAGE_MAX) } as const;
      this.#outbox.push({ type: 'send', message });
    }
  }

  /** Announces those of the held epochs that this connection doesn't know yet. */
  onHeld(held: readonly EpochAnnouncement[]): void {
    this.#held = 'read';
    const fresh = held.filter(({ epoch }) => !this.#epochIndexes.has(epoch));
    if (fresh.length === 0) return;
    const epochs = fresh.slice(0, EPOCHS_PER_MESSAGE_MAX);
    if (this.#epochs.length + epochs.length > EPOCHS_PER_CONNECTION_MAX) {
      this.#outbox.push({ type: 'renew' });
      return;
    }
    for (const { epoch } of epochs) this.#number(epoch);
    const message = { kind: 'epochs', more: fresh.length > epochs.length, epochs } as const;
    this.#outbox.push({ type: 'send', message });
  }

  /** The server's answer to EPOCHS. Throws ProtocolError when nothing was asked. */
  onSettled(message: Settled, now: number): Settlement[] {
    if (message.firstEpochIndex !== this.#answered || this.#answered === this.#epochs.length) {
      throw new ProtocolError('state', `SETTLED from ${message.firstEpochIndex} was not asked for`);
    }
    this.#answered = Math.min(this.#answered + EPOCHS_PER_MESSAGE_MAX, this.#epochs.length);
    this.#frames = 'unread';
    this.#gaps = 'unread';
    return this.onSettledEntries(message.settled, now);
  }

  /** Settled ranges of any message. Throws ProtocolError for an epoch that was never announced. */
  onSettledEntries(entries: readonly SettledEntry[], now: number): Settlement[] {
    for (const entry of entries) this.#acknowledge(entry, now);
    this.#retire(now);
    return this.#byEpoch(entries);
  }

  /** The epoch that a number of the server's means. Throws ProtocolError. */
  epochOf(epochIndex: number): Epoch {
    const epoch = this.#epochs[epochIndex];
    if (epoch === undefined) {
      throw new ProtocolError('state', `epoch number ${epochIndex} was never announced`);
    }
    return epoch;
  }

  #pollFrames(now: number): DeliveryStep | undefined {
    const first = this.#buffer[0];
    if (first === undefined) return undefined;
    const batch = this.#batch(first.epoch);
    const bytes = batch.reduce(
      (sum, { payload }) => sum + payload.length + FRAME_OVERHEAD_BYTES,
      0,
    );
    if (!this.#window.admits(bytes)) return undefined;
    this.#buffer.splice(0, batch.length);
    this.#bufferBytes -= batch.reduce((sum, { payload }) => sum + payload.length, 0);
    const epochIndex = this.#epochIndexes.get(first.epoch) ?? 0;
    const sourceLimited = this.#buffer.length === 0 && this.#frames === 'at-end';
    this.#flights.push({
      epochIndex,
      flight: this.#window.onSent(bytes, sourceLimited, now),
      open: runs(batch),
      overtakenAt: undefined,
    });
    const message: Frames = { kind: 'frames', epochIndex, frames: batch };
    return { type: 'send', message };
  }

  /**
   * The frames of the next message: one epoch, no longer than the window likes, and no longer than
   * all before it on this connection. So the first one is a single frame, and where connections
   * break after a few bytes, each brings over at least half of what it could.
   */
  #batch(epoch: Epoch): WireFrame[] {
    const bytesMax = Math.min(this.#window.messageBytes, this.#window.bytesSent);
    let bytes = 0;
    let count = 0;
    for (const frame of this.#buffer) {
      if (frame.epoch !== epoch || count === FRAMES_PER_MESSAGE_MAX) break;
      bytes += frame.payload.length + FRAME_OVERHEAD_BYTES;
      if (count > 0 && bytes > bytesMax) break;
      count += 1;
    }
    return this.#buffer.slice(0, count);
  }

  /** Reads ahead by one message, so that the disk's answer is there when the window opens. */
  #pollRead(): DeliveryStep | undefined {
    const waitsForServer = this.#answered < this.#epochs.length || this.#held !== 'read';
    if (this.#frames !== 'unread' || waitsForServer) return undefined;
    if (this.#bufferBytes >= this.#window.messageBytes) return undefined;
    this.#frames = 'reading';
    const bytes = Math.max(this.#window.room, this.#window.messageBytes);
    return { type: 'read-frames', after: this.#cursor, frames: FRAMES_PER_MESSAGE_MAX, bytes };
  }

  #number(epoch: Epoch): void {
    this.#epochIndexes.set(epoch, this.#epochs.length);
    this.#epochs.push(epoch);
  }

  #acknowledge(entry: SettledEntry, now: number): void {
    let overtaking = false;
    for (let i = this.#flights.length - 1; i >= 0; i -= 1) {
      const flight = this.#flights[i];
      if (flight === undefined) continue;
      if (flight.epochIndex === entry.epochIndex) flight.open = without(flight.open, entry);
      if (flight.open.length === 0) overtaking = true;
      else if (overtaking) flight.overtakenAt ??= now;
    }
  }

  /** Takes what is wholly acknowledged out of flight. */
  #retire(now: number): void {
    const done = this.#flights.filter(({ open }) => open.length === 0);
    if (done.length === 0) return;
    for (const { flight } of done) this.#window.onAcked(flight, now);
    this.#flights = this.#flights.filter(({ open }) => open.length > 0);
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

/** The seqs of frames in ascending order as runs without holes. */
function runs(frames: readonly WireFrame[]): SeqRange[] {
  const result: { from: number; to: number }[] = [];
  for (const { seq } of frames) {
    const last = result.at(-1);
    if (last !== undefined && last.to + 1 === seq) last.to = seq;
    else result.push({ from: seq, to: seq });
  }
  return result;
}

function without(open: readonly SeqRange[], { from, to }: SeqRange): readonly SeqRange[] {
  if (open.every((run) => run.to < from || run.from > to)) return open;
  return open.flatMap((run) =>
    [
      { from: run.from, to: Math.min(run.to, from - 1) },
      { from: Math.max(run.from, to + 1), to: run.to },
    ].filter((rest) => rest.from <= rest.to),
  );
}
