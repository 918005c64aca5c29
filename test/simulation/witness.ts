/**
 * Who saw from outside what was given to the collectors and what they accepted, and holds the
 * store, the audit and the acks against it. Knows the promise and nothing of how it is kept.
 */
import { frameCrc } from '#protocol/identity.ts';
import type { GapReason, SettledRange } from '#protocol/settlement.ts';
import type { CollectorAudit, StoredFrame } from '#server/store/store.ts';
import type { StoreDisk } from './model/store.ts';

/** Something that the promise rules out. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** The point of the promise. */
  readonly check: Check;

  constructor(check: Check, message: string) {
    super(`${check}: ${message}`);
    this.check = check;
  }
}

export type Check =
  | 'loss'
  | 'declared without a cause'
  | 'rejected without a cause'
  | 'duplicate'
  | 'altered'
  | 'unexpected'
  | 'identity'
  | 'ack'
  | 'missing'
  | 'pending'
  | 'recovery'
  | 'dials'
  | 'memory'
  | 'disk'
  | 'state'
  | 'dead letter';

/** A frame that a program gave to its producer. */
export interface Attempt {
  readonly capturedAt: number;
  readonly payload: Buffer;
  /** Of the host that it was given to. */
  readonly host: string;
  identity: string | undefined;
  /** The producer said that it surely did not take it. */
  isRefused: boolean;
  /** When the producer said so, in virtual milliseconds. */
  acceptedAt: number;
}

export class Witness {
  /** By capture time, which no two attempts share. */
  readonly #attempts = new Map<number, Attempt>();
  readonly #accepted = new Map<string, Attempt>();
  /** Frames that an operator's act may have taken: a copy put back, a damaged disk. */
  readonly #excused = new Map<string, string>();
  readonly #declared = new Set<string>();
  readonly #unheard = new Set<string>();
  readonly #withoutCheckpoint = new Set<string>();
  readonly #causes = new Map<string, Set<GapReason>>();
  readonly #shortOfRoom = new Set<string>();
  readonly #missingExcused = new Map<string, 'meanwhile' | 'for good'>();
  /** Stores that were there before the last one. */
  readonly #formerStores: StoreDisk[] = [];
  #lastCapturedAt = 0;
  #rejectable = (_: Attempt): boolean => false;

  get accepted(): number {
    return this.#accepted.size;
  }

  /** `capturedAt` is moved on where another attempt has it. */
  attempt(host: string, payload: Buffer, capturedAt: number): Attempt {
    this.#lastCapturedAt = Math.max(this.#lastCapturedAt + 1, capturedAt);
    const attempt = {
      capturedAt: this.#lastCapturedAt,
      payload,
      host,
      identity: undefined,
      isRefused: false,
      acceptedAt: 0,
    };
    this.#attempts.set(attempt.capturedAt, attempt);
    return attempt;
  }

  accept(
    attempt: Attempt,
    receipt: { collector: string; epoch: string; seq: number; at: number },
  ): void {
    const { collector, epoch, seq, at } = receipt;
    const identity = nameOf(collector, epoch, seq);
    if (this.#accepted.has(identity)) {
      throw new Violation('identity', `${identity} was given out twice`);
    }
    attempt.identity = identity;
    attempt.acceptedAt = at;
    this.#accepted.set(identity, attempt);
  }

  refuse(attempt: Attempt): void {
    attempt.isRefused = true;
  }

  /** Frames of a host accepted at or after a moment may be gone: the disk was put back to it. */
  excuseSince(host: string, acceptedFrom: number): void {
    for (const [identity, attempt] of this.#accepted) {
      if (attempt.host !== host || attempt.acceptedAt < acceptedFrom) continue;
      this.#excused.set(identity, 'an older copy of the queue was put in place');
    }
  }

  excuse(collector: string, epoch: string, seq: number, why: string): void {
    this.#excused.set(nameOf(collector, epoch, seq), why);
  }

  /** The queue's checkpoint was damaged: what it knew of settled frames is gone. */
  excuseCheckpoint(collector: string): void {
    this.#withoutCheckpoint.add(collector);
  }

  /** From here on numbers that this collector gave to samples, not to frames, may vanish. */
  shortOfRoom(collector: string): void {
    this.#shortOfRoom.add(collector);
  }

  /** The audit of a collector may show frames as missing: until the end, or even then. */
  excuseMissing(collector: string, how: 'meanwhile' | 'for good'): void {
    if (this.#missingExcused.get(collector) !== 'for good')
      this.#missingExcused.set(collector, how);
  }

  /** From here on this reason may stand for frames of a collector. */
  allow(collector: string, reason: GapReason): void {
    const reasons = this.#causes.get(collector) ?? new Set();
    this.#causes.set(collector, reasons.add(reason));
  }

  /** The collector says that it gave these up. */
  declared(collector: string, epoch: string, from: number, to: number): void {
    for (let seq = from; seq <= to; seq += 1) this.#declared.add(nameOf(collector, epoch, seq));
  }

  /** A crash within an eviction: what was given up there nobody heard. */
  excuseLetters(collector: string): void {
    this.#unheard.add(collector);
  }

  allowRejection(rejectable: (attempt: Attempt) => boolean): void {
    this.#rejectable = rejectable;
  }

  storeReplaced(store: StoreDisk): void {
    this.#formerStores.push(store);
  }

  /** A collector's queue takes in that these are settled. */
  checkAck(
    store: StoreDisk,
    storeId: string,
    collector: string,
    epoch: string,
    ranges: readonly SettledRange[],
  ): void {
    const known = [store, ...this.#formerStores].filter((disk) => disk.storeId === storeId);
    for (const { from, to, state } of ranges) {
      if (state !== 'stored') continue;
      for (let seq = from; seq <= to; seq += 1) {
        if (known.some((disk) => disk.holds(collector, epoch, seq))) continue;
        const name = nameOf(collector, epoch, seq);
        throw new Violation('ack', `${name} was acknowledged and is not in the store`);
      }
    }
  }

  /** Nothing is missing, at any moment. */
  checkAudit(audits: readonly CollectorAudit[], atEnd = false): void {
    for (const { collector, epochs } of audits) {
      const excuse = this.#missingExcused.get(collector);
      if (excuse === 'for good' || (excuse === 'meanwhile' && !atEnd)) continue;
      for (const { epoch, missing } of epochs) {
        const found = missing.flatMap(({ from, to }) =>
          this.#unexcused(collector, epoch, from, to),
        );
        const [first] = found;
        if (first !== undefined) throw new Violation('missing', `the audit misses ${first}`);
      }
    }
  }

  /** True when the audit knows of nothing that is still to come. */
  isSettled(audits: readonly CollectorAudit[]): boolean {
    return audits.every(
      ({ collector, epochs }) =>
        this.#missingExcused.get(collector) === 'for good' ||
        epochs.every(({ epoch, pending }) =>
          pending.every(({ from, to }) => this.#unexcused(collector, epoch, from, to).length === 0),
        ),
    );
  }

  /** At the end: everything that the promise says. */
  checkStore(store: StoreDisk, deadLetters: ReadonlyMap<string, string>): void {
    const audits = store.audit();
    this.#checkFrames(store.frames());
    this.#checkAccepted(store, audits, deadLetters);
    this.checkAudit(audits, true);
    for (const { collector, epochs } of audits) {
      if (this.#missingExcused.get(collector) === 'for good') continue;
      for (const { epoch, pending } of epochs) {
        const [first] = pending.flatMap(({ from, to }) =>
          this.#unexcused(collector, epoch, from, to),
        );
        if (first !== undefined) throw new Violation('pending', first);
      }
    }
  }

  #checkFrames(frames: readonly StoredFrame[]): void {
    const seen = new Map<number, string>();
    for (const frame of frames) {
      const name = nameOf(frame.collector, frame.epoch, frame.seq);
      const attempt = this.#attempts.get(frame.capturedAt);
      if (attempt === undefined) {
        const accepted = this.#accepted.get(name);
        if (accepted === undefined) throw new Violation('unexpected', `${name} was never given`);
        throw new Violation('altered', `${name} came with another capture time`);
      }
      if (attempt.isRefused) throw new Violation('unexpected', `${name} was refused`);
      const before = seen.get(frame.capturedAt);
      if (before !== undefined) throw new Violation('duplicate', `${before} is ${name}, too`);
      seen.set(frame.capturedAt, name);
      if (attempt.identity !== undefined && attempt.identity !== name) {
        throw new Violation('identity', `${attempt.identity} is stored as ${name}`);
      }
      if (attempt.payload.compare(frame.payload) !== 0 || frame.crc !== frameCrc(frame)) {
        throw new Violation('altered', `${name} is not what was given`);
      }
    }
  }

  #checkAccepted(
    store: StoreDisk,
    audits: readonly CollectorAudit[],
    deadLetters: ReadonlyMap<string, string>,
  ): void {
    const fates = fatesOf(audits);
    for (const [identity, attempt] of this.#accepted) {
      const [collector = '', epoch = '', seq = ''] = identity.split(' ');
      if (store.holds(collector, epoch, Number(seq))) continue;
      const fate = fates(identity);
      if (fate === undefined) {
        // A queue forgets epochs that are settled as a whole; a new store then never hears of them.
        if (this.#excused.has(identity) || this.#wasSettled(identity)) continue;
        throw new Violation('loss', `${identity} was accepted and is nowhere`);
      }
      if (fate.state === 'rejected') this.#checkRejected(identity, attempt, deadLetters);
      else this.#checkDeclared(identity, collector, fate.reason);
    }
  }

  #checkRejected(
    identity: string,
    attempt: Attempt,
    deadLetters: ReadonlyMap<string, string>,
  ): void {
    if (!this.#rejectable(attempt)) {
      throw new Violation('rejected without a cause', identity);
    }
    // Given up before the refusal came: there was nothing left to be kept.
    const gone =
      this.#declared.has(identity) ||
      this.#excused.has(identity) ||
      this.#unheard.has(identity.slice(0, identity.indexOf(' ')));
    const kept = deadLetters.get(identity) ?? (gone ? attempt.payload.toString('base64') : '');
    if (kept !== attempt.payload.toString('base64')) {
      throw new Violation('dead letter', `${identity} was refused and is not kept as it was`);
    }
  }

  #checkDeclared(identity: string, collector: string, reason: string): void {
    if (reason === 'damaged' && this.#excused.has(identity)) return;
    // Without its checkpoint a queue can't tell what was settled, and is gone, from what is lost.
    const forgot = this.#withoutCheckpoint.has(collector) && this.#wasSettled(identity);
    if (reason === 'damaged' && forgot) return;
    const allowed = this.#causes.get(collector)?.has(reason as GapReason) === true;
    if (!allowed) throw new Violation('declared without a cause', `${identity} as ${reason}`);
    const wasLost = reason === 'settled_elsewhere' || reason === 'lost_after_ack';
    if (wasLost && !this.#wasSettled(identity)) {
      throw new Violation('declared without a cause', `${identity} was in no other store`);
    }
  }

  #wasSettled(identity: string): boolean {
    const [collector = '', epoch = '', seq = ''] = identity.split(' ');
    return this.#formerStores.some((disk) => disk.settles(collector, epoch, Number(seq)));
  }

  #unexcused(collector: string, epoch: string, from: number, to: number): string[] {
    const names: string[] = [];
    for (let seq = from; seq <= to; seq += 1) {
      const name = nameOf(collector, epoch, seq);
      // With its checkpoint a queue loses the memory of what was settled, and is gone.
      const forgot = this.#withoutCheckpoint.has(collector) && this.#wasSettled(name);
      // A number for a sample that found no room may be told before it is on disk, and forgotten.
      const vanished = this.#shortOfRoom.has(collector) && !this.#accepted.has(name);
      if (!this.#excused.has(name) && !forgot && !vanished) names.push(name);
    }
    return names;
  }
}

interface Fate {
  readonly state: 'declared' | 'rejected';
  readonly reason: string;
}

/** What the audit says of a frame that is not stored. */
function fatesOf(audits: readonly CollectorAudit[]): (identity: string) => Fate | undefined {
  const epochs = new Map(
    audits.flatMap(({ collector, epochs: all }) =>
      all.map((epoch) => [`${collector} ${epoch.epoch}`, epoch] as const),
    ),
  );
  return (identity) => {
    const [collector, epoch, seqText] = identity.split(' ');
    const audit = epochs.get(`${collector} ${epoch}`);
    const seq = Number(seqText);
    for (const state of ['declared', 'rejected'] as const) {
      const range = audit?.[state].find(({ from, to }) => from <= seq && seq <= to);
      if (range !== undefined) return { state, reason: range.reason ?? 'nothing' };
    }
    return undefined;
  };
}

export function nameOf(collector: string, epoch: string, seq: number): string {
  return `${collector} ${epoch} ${seq}`;
}
