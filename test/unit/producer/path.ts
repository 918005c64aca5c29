/**
 * The real sender and the real session, joined by a modelled path on a virtual clock: a rate and a
 * delay in each direction, a limit of bytes per connection, a half-open cut. The queue and the store
 * are arrays; nothing else is played. One collector, one connection at a time.
 */

import type { LinkError } from '#collector/producer/link-error.ts';
import { Sender, type SenderAction, type SenderOptions } from '#collector/producer/sender.ts';
import { macKeyOf } from '#protocol/handshake.ts';
import type { Frame } from '#protocol/identity.ts';
import { NONCE_BYTES } from '#protocol/limits.ts';
import type { EpochAnnouncement, Terms, WireFrame } from '#protocol/messages.ts';
import { type SettledRange, SettledRanges } from '#protocol/settlement.ts';
import { sharedKey } from '#server/access/keys.ts';
import { Budget } from '#server/ingest/budget.ts';
import { DEFAULT_CAPS } from '#server/ingest/caps.ts';
import { Session, type SessionAction } from '#server/ingest/session.ts';

const STORE_ID = '01938c5e-0000-7000-8000-0000000000aa';
const TOKEN = Buffer.from('the token of the test');
/** Bytes move on in pieces of so long, as Toxiproxy's do. */
const PIECE_MS = 100;
/** What the queue takes to answer; what comes into it meanwhile is not in the answer. */
const READ_MS = 0.1;
/** So often something may happen at one moment; more means that time stands still. */
const STEPS_PER_MOMENT_MAX = 100_000;

export interface Way {
  /** Bytes per millisecond. */
  bytesPerMs: number;
  delayMs: number;
}

export interface PathOptions {
  readonly up?: Partial<Way>;
  readonly down?: Partial<Way>;
  /** The time from dial to connected; a proxy accepts before it dials. */
  readonly connectMs?: number;
  readonly commitMs?: number;
  readonly terms?: Partial<Terms>;
  readonly sender?: Partial<SenderOptions>;
}

/** One direction of one connection. */
interface Pipe {
  freeAt: number;
  carried: number;
}

interface Joined {
  readonly connection: number;
  readonly session: Session;
  readonly up: Pipe;
  readonly down: Pipe;
  open: boolean;
}

export class Path {
  now = 0;
  readonly up: Way;
  readonly down: Way;
  /** Bytes that a connection carries in either direction before it is closed. */
  limitBytes = Number.POSITIVE_INFINITY;
  /** Directions that swallow whatever is sent, while everything seems to be well. */
  readonly swallows = { up: false, down: false };
  readonly queue: Frame[] = [];
  readonly settled = new Map<string, SettledRanges>();
  /** By epoch and seq; what came first stays. */
  readonly stored = new Map<string, WireFrame>();
  readonly #storedRanges = new Map<string, SettledRanges>();
  /** In the order in which they came in. */
  readonly arrivals: string[] = [];
  duplicates = 0;
  /** That arrived, handshakes and heartbeats included. */
  readonly bytes = { up: 0, down: 0 };
  readonly losses: { readonly at: number; readonly error: LinkError }[] = [];
  readonly sender: Sender;
  readonly #options: PathOptions;
  readonly #terms: Terms;
  #events: { at: number; order: number; run: () => void }[] = [];
  #order = 0;
  #joined: Joined | undefined;

  constructor(options: PathOptions = {}) {
    this.#options = options;
    this.up = { bytesPerMs: 100_000, delayMs: 0.5, ...options.up };
    this.down = { bytesPerMs: 100_000, delayMs: 0.5, ...options.down };
    this.#terms = {
      heartbeatIntervalMs: 1_000,
      retrySpreadMs: 0,
      retryCapMs: 1_000,
      payloadBytesMax: 1_048_576,
      windowBytesMax: 4_194_304,
      zstd: true,
      ...options.terms,
    };
    this.sender = new Sender(
      {
        collector: 'modelled',
        instance: '01938c5e-0000-4000-8000-0000000000bb',
        key: macKeyOf(TOKEN),
        random: () => 0.5,
        nonce: () => Buffer.alloc(NONCE_BYTES, 7),
        storeId: undefined,
        ...options.sender,
      },
      this.now,
    );
    this.#pumpSender();
  }

  get state() {
    return this.sender.state;
  }

  /** Frames that nothing has settled. */
  get pending(): number {
    return this.queue.filter((frame) => !this.#isSettled(frame)).length;
  }

  append(...frames: readonly Frame[]): void {
    this.queue.push(...frames);
    const last = frames.at(-1);
    if (last) this.sender.onAppended({ epoch: last.epoch, seq: last.seq });
    this.#pumpSender();
  }

  /** Appends `makeFrame(n)` at a steady rate until that time. */
  load(perSecond: number, untilMs: number, makeFrame: (n: number) => Frame): void {
    const startedAt = this.now;
    const next = (n: number): void => {
      this.append(makeFrame(n));
      const at = startedAt + ((n + 1) * 1_000) / perSecond;
      if (at < untilMs) this.#at(at, () => next(n + 1));
    };
    this.#at(startedAt, () => next(0));
  }

  /** Runs until that time, or until something holds. Answers whether it does. */
  run(untilMs: number, holds: () => boolean = () => false): boolean {
    for (let steps = 0; !holds(); steps += 1) {
      if (steps > STEPS_PER_MOMENT_MAX) throw new Error(`time stands still at ${this.now} ms`);
      const event = this.#events[0];
      const at = Math.min(event?.at ?? Infinity, this.#deadline);
      if (at > untilMs) {
        this.now = untilMs;
        return false;
      }
      if (at > this.now) steps = 0;
      this.now = Math.max(this.now, at);
      if (event !== undefined && event.at <= this.now) {
        this.#events.shift();
        event.run();
      } else {
        this.sender.onTick(this.now);
        this.#joined?.session.onTick(this.now);
        this.#pumpSender();
      }
      this.#pumpSession();
    }
    return true;
  }

  /** The connection breaks now; both ends see it. */
  cut(): void {
    if (this.#joined !== undefined) this.#break(this.#joined);
  }

  get #deadline(): number {
    const session = this.#joined?.session.nextDeadline ?? Infinity;
    return Math.min(this.sender.nextDeadline ?? Infinity, session);
  }

  #at(at: number, run: () => void): void {
    const order = this.#order++;
    let i = this.#events.length;
    while (i > 0 && (this.#events[i - 1]?.at ?? 0) > at) i -= 1;
    this.#events.splice(i, 0, { at, order, run });
  }

  /** After each of its inputs, and at no other time: as the driver does. */
  #pumpSender(): void {
    for (let action = this.sender.poll(this.now); action; action = this.sender.poll(this.now)) {
      this.#perform(action);
    }
  }

  #pumpSession(): void {
    const joined = this.#joined;
    if (joined === undefined) return;
    for (let action = joined.session.poll(); action; action = joined.session.poll()) {
      this.#serve(joined, action);
    }
  }

  #perform(action: SenderAction): void {
    switch (action.type) {
      case 'dial':
        return this.#at(this.now + (this.#options.connectMs ?? 0), () => this.#connect(action));
      case 'write':
        if (this.#joined?.connection === action.connection)
          this.#send(this.#joined, 'up', action.bytes);
        return;
      case 'close':
        if (this.#joined?.connection === action.connection) this.#join(undefined);
        return;
      case 'read-held':
        return this.#answer(
          this.#held().map((epoch) => ({ ...epoch, onlyRemembered: false })),
          (held) => this.sender.onHeld(action.connection, held, this.now),
        );
      case 'read-frames': {
        const from = this.queue.findIndex(
          ({ epoch, seq }) => epoch === action.after?.epoch && seq === action.after.seq,
        );
        const frames: Frame[] = [];
        let bytes = 0;
        for (const frame of this.queue.slice(from + 1)) {
          if (this.#isSettled(frame)) continue;
          bytes += frame.payload.length;
          if (frames.length > 0 && (bytes > action.bytes || frames.length === action.frames)) break;
          frames.push(frame);
        }
        return this.#answer(frames, () => this.sender.onFrames(action.connection, frames));
      }
      case 'read-gaps':
        return this.#answer([], (gaps) => this.sender.onGaps(action.connection, gaps));
      case 'settle':
      case 'reconcile':
        for (const range of action.ranges) rangesOf(this.settled, action.epoch).add(range);
        return;
      case 'reject':
        rangesOf(this.settled, action.epoch).add(action.range);
        return;
      case 'state':
        if (action.to.name === 'Backoff')
          this.losses.push({ at: this.now, error: action.to.error });
    }
  }

  #answer<T>(found: T, tell: (found: T) => void): void {
    this.#at(this.now + READ_MS, () => {
      tell(found);
      this.#pumpSender();
    });
  }

  #connect({ connection }: { connection: number }): void {
    const pipe = { freeAt: 0, carried: 0 };
    const session = new Session(
      {
        keys: sharedKey(TOKEN),
        storeId: STORE_ID,
        nonce: Buffer.alloc(NONCE_BYTES, 9),
        heartbeatMs: this.#terms.heartbeatIntervalMs,
        caps: {
          ...DEFAULT_CAPS,
          payloadBytesMax: this.#terms.payloadBytesMax,
          windowBytes: this.#terms.windowBytesMax,
        },
        account: new Budget({ bytesMax: 67_108_864, connectionsMax: 1 }).open(() => {}),
      },
      this.now,
    );
    this.#join({ connection, session, up: { ...pipe }, down: { ...pipe }, open: true });
    this.sender.onConnected(connection, this.now);
    this.#pumpSender();
  }

  #join(joined: Joined | undefined): void {
    if (this.#joined !== undefined) {
      this.#joined.open = false;
      this.#joined.session.onDisconnected('closed');
    }
    this.#joined = joined;
  }

  /** Both ends see the connection closed, and what is still on its way is gone. */
  #break(joined: Joined): void {
    if (!joined.open) return;
    this.#join(undefined);
    this.sender.onClosed(joined.connection, undefined, this.now);
    this.#pumpSender();
  }

  #send(joined: Joined, direction: 'up' | 'down', bytes: Buffer): void {
    const way = this[direction];
    const pipe = joined[direction];
    const pieceBytes = Math.max(1, Math.floor(way.bytesPerMs * PIECE_MS));
    for (let from = 0; from < bytes.length; from += pieceBytes) {
      const piece = bytes.subarray(from, from + pieceBytes);
      pipe.freeAt = Math.max(pipe.freeAt, this.now) + piece.length / way.bytesPerMs;
      this.#at(pipe.freeAt + way.delayMs, () => this.#arrive(joined, direction, piece));
    }
  }

  #arrive(joined: Joined, direction: 'up' | 'down', piece: Buffer): void {
    if (!joined.open || this.swallows[direction]) return;
    const pipe = joined[direction];
    const bytes = piece.subarray(0, Math.max(0, this.limitBytes - pipe.carried));
    pipe.carried += bytes.length;
    this.bytes[direction] += bytes.length;
    if (direction === 'up') joined.session.onBytes(bytes, this.now);
    else {
      this.sender.onBytes(joined.connection, bytes, this.now);
      this.#pumpSender();
    }
    this.#pumpSession();
    if (pipe.carried >= this.limitBytes) this.#break(joined);
  }

  #serve(joined: Joined, action: SessionAction): void {
    const { session } = joined;
    const commitMs = this.#options.commitMs ?? 1;
    switch (action.type) {
      case 'write':
        return this.#send(joined, 'down', action.bytes);
      case 'close':
        // What was written arrives before the end does.
        return this.#at(Math.max(joined.down.freeAt, this.now) + this.down.delayMs, () =>
          this.#break(joined),
        );
      case 'admit':
        return session.onAdmitted();
      case 'announce':
        return this.#at(this.now + commitMs, () => {
          const settled = action.epochs.map(({ epoch, lowest, highest }) =>
            rangesOf(this.#storedRanges, epoch).within(lowest, highest).slice(0, 64),
          );
          const streams = action.epochs.map((_, i) => i + 1);
          session.onAnnounced({ streams, settled, collectorsKnown: 1 }, this.#terms, this.now);
        });
      case 'commit':
        return this.#at(this.now + commitMs, () => {
          const duplicates = this.#store(action.epoch, action.frames);
          const settled = action.frames.map(
            ({ seq }): SettledRange => ({ from: seq, to: seq, state: 'stored', code: 0 }),
          );
          session.onCommitted(action.request, { settled, conflicts: [], duplicates }, this.now);
        });
    }
  }

  #store(epoch: string, frames: readonly WireFrame[]): number {
    let duplicates = 0;
    for (const frame of frames) {
      const key = `${epoch} ${frame.seq}`;
      this.arrivals.push(key);
      if (this.stored.has(key)) duplicates += 1;
      else this.stored.set(key, { ...frame, payload: Buffer.from(frame.payload) });
      const { seq } = frame;
      rangesOf(this.#storedRanges, epoch).add({ from: seq, to: seq, state: 'stored', code: 0 });
    }
    this.duplicates += duplicates;
    return duplicates;
  }

  #isSettled({ epoch, seq }: Frame): boolean {
    return this.settled.get(epoch)?.has(seq) ?? false;
  }

  #held(): EpochAnnouncement[] {
    const epochs = [...new Set(this.queue.map(({ epoch }) => epoch))];
    return epochs.flatMap((epoch): EpochAnnouncement[] => {
      const seqs = this.queue.filter((frame) => frame.epoch === epoch).map(({ seq }) => seq);
      const open = this.queue.find((frame) => frame.epoch === epoch && !this.#isSettled(frame));
      const highest = seqs.at(-1) ?? 0;
      if (open === undefined && epoch !== epochs.at(-1)) return [];
      return [{ epoch, lowest: open?.seq ?? highest + 1, highest, predecessor: undefined }];
    });
  }
}

function rangesOf(ranges: Map<string, SettledRanges>, epoch: string): SettledRanges {
  const known = ranges.get(epoch) ?? new SettledRanges();
  ranges.set(epoch, known);
  return known;
}
