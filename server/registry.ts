/**
 * Who is connected: at most one session for each collector.
 *
 * The rule for a second one: the same process's newer connection wins at once, for it has given the
 * older one up. Newer is what was taken later, not what says HELLO later: on a slow path the HELLO
 * of one that was given up can arrive behind that of its successor. Another process (a clone, a
 * second container on one id) has to wait while the first makes progress, or the two would throw
 * each other out for ever.
 */

/** A session as the registry sees it. */
export interface Member {
  readonly collector: string;
  readonly instance: string;
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

export class Registry<M extends Member = Member> {
  readonly #members = new Map<string, M>();
  /** The last that was let in for each collector, whether or not it is still here. */
  readonly #last = new Map<string, { readonly instance: string; readonly order: number }>();
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
      return { admitted: false, holder };
    }
    this.#members.set(collector, candidate);
    this.#last.set(collector, { instance, order });
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

  get connectedCount(): number {
    let count = 0;
    for (const member of this.#members.values()) if (member.open) count += 1;
    return count;
  }
}
