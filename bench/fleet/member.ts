/**
 * One collector of a fleet: the real sender on the real link, over a queue that is nothing but a list
 * in memory. So thousands fit into one process; what is measured with it is the server, and how
 * senders behave together. What it accepted is lost when its process ends.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { dial, Link } from '#collector/producer/link.ts';
import { Sender, type SenderAction } from '#collector/producer/sender.ts';
import type { MacKey } from '#protocol/handshake.ts';
import { type Frame, FrameCrc } from '#protocol/identity.ts';
import { NONCE_BYTES } from '#protocol/limits.ts';
import type { SettledRange } from '#protocol/settlement.ts';

export interface MemberOptions {
  readonly port: number;
  readonly key: MacKey;
  readonly collector: string;
  /** How long after it was due, in milliseconds: a thousand members share one thread. */
  readonly onDial: (lateMs: number) => void;
  /** Milliseconds from when it was appended until the ack of a frame. */
  readonly onAcked: (ms: number) => void;
}

interface Held {
  readonly frame: Frame;
  readonly appendedAt: number;
}

export class Member {
  readonly #options: MemberOptions;
  readonly #epoch = randomUUID();
  readonly #crc = new FrameCrc(this.#epoch);
  readonly #link: Link;
  readonly #sender: Sender;
  /** By seq, ascending. */
  readonly #held = new Map<number, Held>();
  #seq = 0;
  #timer: NodeJS.Timeout | undefined;
  #driving = false;
  /** Of a dial that follows from the input at hand. */
  #lateMs = 0;

  constructor(options: MemberOptions) {
    this.#options = options;
    const { port, key, collector } = options;
    this.#link = new Link(
      { host: '127.0.0.1', port },
      {
        onConnected: (connection) =>
          this.#drive((now) => this.#sender.onConnected(connection, now)),
        onBytes: (connection, bytes) =>
          this.#drive((now) => this.#sender.onBytes(connection, bytes, now)),
        onClosed: (connection, error) =>
          this.#drive((now) => this.#sender.onClosed(connection, error, now)),
      },
      {
        dial: (target) => {
          options.onDial(this.#lateMs);
          return dial(target);
        },
        after: (ms, call) => {
          const timer = setTimeout(call, ms);
          return () => clearTimeout(timer);
        },
      },
    );
    const nonce = () => randomBytes(NONCE_BYTES);
    const identity = { collector, instance: randomUUID(), key, storeId: undefined };
    this.#sender = new Sender({ ...identity, random: Math.random, nonce }, performance.now());
    this.#drive(() => {});
  }

  get ready(): boolean {
    return this.#sender.state.name === 'Ready';
  }

  get resent(): number {
    return this.#sender.counters.resent;
  }

  /** Frames that are not settled yet. */
  get heldCount(): number {
    return this.#held.size;
  }

  append(payload: Buffer, capturedAt: number): void {
    this.#seq += 1;
    const seq = this.#seq;
    const crc = this.#crc.of(seq, capturedAt, payload);
    const frame = { epoch: this.#epoch, seq, capturedAt, crc, payload };
    this.#held.set(seq, { frame, appendedAt: performance.now() });
    this.#drive(() => this.#sender.onAppended({ epoch: this.#epoch, seq }));
  }

  stop(): void {
    this.#drive((now) => this.#sender.onStop(now));
  }

  /** Does all that the sender wants after an input, then arms the timer. */
  #drive(input: (now: number) => void): void {
    const now = performance.now();
    const { state } = this.#sender;
    this.#lateMs = state.name === 'Backoff' ? Math.max(0, now - state.until) : 0;
    input(now);
    // An answer that is given at once is an input in the middle of another one's actions.
    if (this.#driving) return;
    this.#driving = true;
    for (let action = this.#next(); action; action = this.#next()) this.#perform(action);
    this.#driving = false;
    clearTimeout(this.#timer);
    const deadline = this.#sender.nextDeadline;
    if (deadline === undefined) return;
    const waitMs = Math.max(0, deadline - performance.now());
    this.#timer = setTimeout(() => this.#drive((now) => this.#sender.onTick(now)), waitMs);
  }

  #next(): SenderAction | undefined {
    return this.#sender.poll(performance.now());
  }

  #perform(action: SenderAction): void {
    switch (action.type) {
      case 'dial':
        return this.#link.dial(action.connection);
      case 'write':
        return this.#link.write(action.connection, action.bytes);
      case 'close':
        return this.#link.close(action.connection);
      case 'settle':
      case 'reconcile':
        for (const range of action.ranges) this.#settle(range);
        return;
      case 'read-held': {
        const [lowest = this.#seq + 1] = this.#held.keys();
        const epoch = { epoch: this.#epoch, lowest, highest: this.#seq };
        const held = [{ ...epoch, predecessor: undefined, onlyRemembered: false }];
        return this.#drive((now) => this.#sender.onHeld(action.connection, held, now));
      }
      case 'read-frames': {
        const frames = this.#framesAfter(action.after?.seq ?? 0, action.frames, action.bytes);
        return this.#drive(() => this.#sender.onFrames(action.connection, frames));
      }
      case 'read-gaps':
        return this.#drive(() => this.#sender.onGaps(action.connection, []));
      case 'state':
        return;
      case 'reject':
        throw new Error(`frames were rejected: ${JSON.stringify(action.range)}`);
    }
  }

  #framesAfter(seq: number, count: number, bytes: number): Frame[] {
    const frames: Frame[] = [];
    let bytesLeft = bytes;
    for (const { frame } of this.#held.values()) {
      if (frame.seq <= seq) continue;
      bytesLeft -= frame.payload.length;
      if (frames.length === count || (bytesLeft < 0 && frames.length > 0)) break;
      frames.push(frame);
    }
    return frames;
  }

  #settle({ from, to }: SettledRange): void {
    const now = performance.now();
    for (const [seq, { appendedAt }] of this.#held) {
      if (seq > to) break;
      if (seq < from) continue;
      this.#held.delete(seq);
      this.#options.onAcked(now - appendedAt);
    }
  }
}
