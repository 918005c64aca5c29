/**
 * Who knows from outside what a queue was given, what it confirmed and what was settled, and holds
 * an opened queue against that.
 */
import { expect } from 'vitest';
import type { QueueCore } from '#collector/producer/queue/core.ts';
import { DiskFullError } from '#collector/producer/queue/errors.ts';
import type { QueuePosition } from '#collector/producer/queue/types.ts';
import type { GapReason, SettledRange } from '#protocol/settlement.ts';
import type { Wound } from './damage.ts';
import { payloadOf, readAll, STORE } from './support.ts';

type Fate = Pick<SettledRange, 'state' | 'code'>;

export class Witness {
  /** By epoch and seq: which frame was appended. */
  readonly #attempted: Map<string, { n: number; bytes: number }>;
  readonly #confirmed: Set<string>;
  /** What the store knows. */
  readonly #settled: Map<string, Fate>;
  /** What it knew once. */
  readonly #lost: Set<string>;
  /** Numbers given to frames that found no room on the disk. */
  readonly #unwritten: Set<string>;
  /** Whether a crash came while such numbers were given out. */
  #unwrittenUnknown: boolean;
  /** What damage touched: it may be declared damaged. */
  readonly #touched = new Set<string>();
  /** What no file tells of any more: nobody can know of it. */
  readonly #unknowable = new Set<string>();
  #staged: string[] = [];
  #frames: number;

  /** @param before Another witness, of whose past this one knows, too. */
  constructor(before?: Witness) {
    this.#attempted = new Map(before === undefined ? [] : before.#attempted);
    this.#confirmed = new Set(before === undefined ? [] : before.#confirmed);
    this.#settled = new Map(before === undefined ? [] : before.#settled);
    this.#lost = new Set(before === undefined ? [] : before.#lost);
    this.#unwritten = new Set(before === undefined ? [] : before.#unwritten);
    this.#unwrittenUnknown = before === undefined ? false : before.#unwrittenUnknown;
    this.#frames = before === undefined ? 0 : before.#frames;
  }

  stage(core: QueueCore, bytes: number): void {
    this.#frames += 1;
    const position = core.append(payloadOf(this.#frames, bytes), this.#frames);
    if (position === undefined) return;
    const name = nameOf(position);
    const isTaken = this.#attempted.has(name) || this.#unwritten.has(name);
    if (isTaken) throw new Error(`${name} was given out twice`);
    this.#attempted.set(name, { n: this.#frames, bytes });
    this.#staged.push(name);
  }

  commit(core: QueueCore): void {
    core.commit();
    for (const name of this.#staged) this.#confirmed.add(name);
    this.#staged = [];
  }

  append(core: QueueCore, count: number, bytes: number): void {
    for (let i = 0; i < count; i += 1) this.stage(core, bytes);
    this.commit(core);
  }

  /** Appends to a disk that may be full; answers whether there was room. */
  offer(core: QueueCore, count: number, bytes: number): boolean {
    try {
      this.append(core, count, bytes);
      return true;
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
    }
    const { highest } = core.stats;
    for (const name of this.#attempted.keys()) {
      const [epoch = '', seq] = name.split('/');
      const isDurable = epoch === highest?.epoch && Number(seq) <= highest.seq;
      if (isDurable) this.#confirmed.add(name);
      else if (this.#staged.includes(name)) this.#attempted.delete(name);
    }
    this.#staged = [];
    return false;
  }

  /** Has frames declared that found no room. */
  declareLost(core: QueueCore, count: number): void {
    this.#unwrittenUnknown = true;
    const { epoch, from, to } = core.declareLost(count);
    this.#unwrittenUnknown = false;
    for (let seq = from; seq <= to; seq += 1) {
      const name = nameOf({ epoch, seq });
      if (this.#attempted.has(name)) throw new Error(`${name} was given out twice`);
      this.#unwritten.add(name);
    }
  }

  /** Settles up to `count` pending frames from the `skip`-th on, as a server does that has them. */
  settle(core: QueueCore, count: number, skip = 0): void {
    const frames = core.readPending(undefined, { frames: skip + count, bytes: 1e6 });
    for (const { epoch, seq } of frames.slice(skip)) {
      this.#settled.set(nameOf({ epoch, seq }), { state: 'stored', code: 0 });
      core.settle(STORE, epoch, [{ from: seq, to: seq, state: 'stored', code: 0 }]);
    }
  }

  /** Settles the gaps that are told, as a server does that took note of them. */
  settleGaps(core: QueueCore): void {
    for (const { epoch, from, to } of core.pendingGaps()) {
      for (let seq = from; seq <= to; seq += 1) {
        const name = nameOf({ epoch, seq });
        if (!this.#settled.has(name)) this.#settled.set(name, { state: 'declared', code: 1 });
      }
      core.settle(STORE, epoch, [{ from, to, state: 'declared', code: 1 }]);
    }
  }

  /** The store forgets some of what it knew, as one that an older copy has replaced. */
  lose(isLost: (seq: number) => boolean): void {
    for (const name of [...this.#settled.keys()]) {
      if (!isLost(Number(name.split('/')[1]))) continue;
      this.#settled.delete(name);
      this.#lost.add(name);
    }
  }

  /** Tells the queue all that the store knows. */
  reconcile(core: QueueCore): void {
    for (const { epoch, highest } of core.held()) {
      const ranges: SettledRange[] = [];
      for (let seq = 1; seq <= highest; seq += 1) {
        const fate = this.#settled.get(nameOf({ epoch, seq }));
        if (fate !== undefined) ranges.push({ from: seq, to: seq, ...fate });
      }
      core.reconcile(STORE, epoch, { from: 1, to: highest }, ranges);
    }
  }

  /** What was staged and not confirmed before a crash: it may or may not be there. */
  crashed(): void {
    this.#staged = [];
  }

  /** Files of the closed queue were damaged. */
  wounded({ touched, checkpointLost, known }: Wound): void {
    for (const name of touched) this.#touched.add(name);
    // Of what was settled in files that are gone, the checkpoint alone told.
    if (checkpointLost) for (const name of this.#everSettled()) this.#touched.add(name);
    for (const name of this.#touched) {
      const [epoch = '', seq = 0] = name.split('/');
      if (Number(seq) > (known.get(epoch) ?? 0)) this.#unknowable.add(name);
    }
  }

  /** Another copy of the queue is in place: it knows what it knew when it was made. */
  get promised(): ReadonlySet<string> {
    return new Set(this.#confirmed);
  }

  isNow(promised: ReadonlySet<string>): void {
    this.#staged = [];
    this.#confirmed.clear();
    for (const name of promised) this.#confirmed.add(name);
  }

  #everSettled(): string[] {
    return [...this.#settled.keys(), ...this.#lost];
  }

  /**
   * What was confirmed is pending, settled, or in a gap: because the queue was full, or because the
   * store has lost it. What is pending was appended, with these bytes and this time. Where the store
   * has lost something, the queue is told first. Of what damage touched, and of nothing else, the
   * queue may say that it is damaged.
   */
  check(core: QueueCore, opened: 'whole' | 'damaged' = 'whole'): void {
    if (opened === 'whole') expect(core.recovery.damage).toEqual([]);
    if (this.#lost.size > 0) this.reconcile(core);
    const found = new Set<string>(this.#settled.keys());
    const frames = readAll(core);
    expect(new Set(frames.map(nameOf)).size).toBe(frames.length);
    for (const frame of frames) {
      const attempted = this.#attempted.get(nameOf(frame));
      if (attempted === undefined) throw new Error(`${nameOf(frame)} was never appended`);
      const payload = payloadOf(attempted.n, attempted.bytes);
      if (frame.capturedAt !== attempted.n || payload.compare(frame.payload) !== 0) {
        throw new Error(`${nameOf(frame)} is not frame ${attempted.n} as it was appended`);
      }
      found.add(nameOf(frame));
    }
    expect(core.stats.frames).toBe(frames.length);
    for (const { epoch, from, to, reason } of core.pendingGaps()) {
      for (let seq = from; seq <= to; seq += 1) {
        const name = nameOf({ epoch, seq });
        if (!this.#mayBe(reason, name)) throw new Error(`a gap ${reason} over ${name}`);
        const isKnown = this.#attempted.has(name) || this.#isUnwritten(name);
        if (!isKnown) throw new Error(`a gap over ${name}, never appended`);
        found.add(name);
      }
    }
    const absent = [...this.#confirmed].filter((name) => !found.has(name));
    expect(absent.filter((name) => !this.#unknowable.has(name))).toEqual([]);
  }

  #mayBe(reason: GapReason, name: string): boolean {
    if (reason === 'lost_after_ack') return this.#lost.has(name);
    if (reason === 'damaged') return this.#touched.has(name);
    return reason === 'evicted' || (reason === 'disk_full' && this.#isUnwritten(name));
  }

  #isUnwritten(name: string): boolean {
    return this.#unwritten.has(name) || (this.#unwrittenUnknown && !this.#attempted.has(name));
  }
}

function nameOf({ epoch, seq }: QueuePosition): string {
  return `${epoch}/${seq}`;
}
