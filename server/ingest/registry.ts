/**
 * Who is connected: at most one session for each collector.
 *
 * The rule for a second one: the same process's newer connection wins at once, for it has given the
 * older one up. Newer is what was taken later, not what says HELLO later: on a slow path the HELLO
 * of one that was given up can arrive behind that of its successor. Another process (a clone, a
 * second container on one id) has to wait while the first makes progress, or the two would throw
 * each other out for ever. Who waits is known, so that an operator can see both.
 *
 * Invariant: memory is bounded by the places for connections and the bounds below, whatever ids and
 * instances come.
 */
import { putLatest } from '#server/latest.ts';

/** A session as the registry sees it. */
export interface Member {
  readonly collector: string;
  readonly instance: string;
  /** Host and port of the other end. */
  readonly address: string;
  /** The registry's number for it, given as it was taken. */
  readonly order: number;
  /** When it was let in, in microseconds since 1970 UTC. */
  readonly connectedAt: number;
  /** When it was heard last, likewise. */
  readonly heardAt: number;
  /** True once the collector has been welcomed. */
  readonly open: boolean;
  /** True while it was heard of within two heartbeats, or while we keep it from speaking. */
  isLive(): boolean;
}

export type Admission<M extends Member> =
  | { readonly admitted: true; readonly superseded: M | undefined }
  /** Another process has the place. */
  | { readonly admitted: false; readonly holder: M }
  /** A later connection of the same process was here already. */
  | { readonly admitted: false; readonly holder: undefined };

/** A process that asked to come in while another one of the same collector was connected. */
export interface WaitingInstance {
  readonly instance: string;
  readonly address: string;
  /** When it asked first, and last, in microseconds since 1970 UTC. */
  readonly since: number;
  readonly askedAt: number;
}

/** A process that has not asked for so long, in microseconds, is gone: it was told to come sooner. */
const WAITING_US = 30_000_000;
/** Of one collector; the ones that asked last. */
const WAITING_MAX = 8;
/** Collectors of which it is remembered who was let in last, and who waits: the latest. */
const REMEMBERED_MAX = 16_384;

export class Registry<M extends Member = Member> {
  readonly #members = new Map<string, M>();
  /** The last that was let in for each collector, whether or not it is still here. */
  readonly #last = new Map<string, { readonly instance: string; readonly order: number }>();
  readonly #waiting = new Map<string, readonly WaitingInstance[]>();
  #taken = 0;

  /** The number of a connection that is taken now. */
  nextOrder(): number {
    this.#taken += 1;
    return this.#taken;
  }

  admit(candidate: M): Admission<M> {
    const { collector, instance, order } = candidate;
    const last = this.#last.get(collector);
    if (last?.instance === instance && order < last.order) {
      return { admitted: false, holder: undefined };
    }
    const holder = this.#members.get(collector);
    if (holder && holder.instance !== instance && holder.isLive()) {
      this.#noteWaiting(candidate);
      return { admitted: false, holder };
    }
    this.#members.set(collector, candidate);
    putLatest(this.#last, collector, { instance, order }, REMEMBERED_MAX);
    this.#forgetWaiting(collector, instance);
    return { admitted: true, superseded: holder };
  }

  /** Answers false for one that was superseded: its place is taken. */
  leave(member: M): boolean {
    const held = this.#members.get(member.collector) === member;
    if (held) this.#members.delete(member.collector);
    return held;
  }

  /** The welcomed session of a collector. */
  connected(collector: string): M | undefined {
    const member = this.#members.get(collector);
    return member?.open ? member : undefined;
  }

  /** Other processes that ask to come in as this collector, the one that began first before. */
  waiting(collector: string, now: number): readonly WaitingInstance[] {
    const all = this.#waiting.get(collector) ?? [];
    return all
      .filter(({ askedAt }) => now - askedAt <= WAITING_US)
      .toSorted((a, b) => a.since - b.since);
  }

  #noteWaiting({ collector, instance, address, connectedAt: askedAt }: M): void {
    const others = this.#waiting.get(collector) ?? [];
    const known = others.find((one) => one.instance === instance);
    const fresh = known !== undefined && askedAt - known.askedAt <= WAITING_US;
    const since = fresh ? known.since : askedAt;
    const rest = others.filter((one) => one.instance !== instance).slice(1 - WAITING_MAX);
    const waiting = [...rest, { instance, address, since, askedAt }];
    putLatest(this.#waiting, collector, waiting, REMEMBERED_MAX);
  }

  #forgetWaiting(collector: string, instance: string): void {
    const others = this.#waiting.get(collector)?.filter((one) => one.instance !== instance);
    if (others === undefined) return;
    if (others.length === 0) this.#waiting.delete(collector);
    else this.#waiting.set(collector, others);
  }

  /** Collectors that have a place, be they Ready or still joining. */
  get admittedCount(): number {
    return this.#members.size;
  }

  get connectedCount(): number {
    let count = 0;
    for (const member of this.#members.values()) if (member.open) count += 1;
    return count;
  }
}
