/**
 * Up to a few faults of a swarm that are in force together, put together one by one by the table of
 * `rules.ts`: a new one begins within the newest, or beside it. The last one to begin in a method
 * is in the foreground and ends last by plan, so that a storm is over when its method is.
 */
import type { Fault, FaultKind } from '../faults/fault.ts';
import { tenthsBetween } from './draws.ts';
import { relation } from './rules.ts';
import { RESTART_SECONDS } from './timeline.ts';

/** A fault as it came out of the draw. */
export interface Drawn {
  readonly name: string;
  readonly kind: FaultKind;
  readonly args: Readonly<Record<string, unknown>>;
  readonly fault: Fault;
}

/** An action of a scenario, while it is being put together. */
export interface Node {
  readonly type: 'action';
  readonly name: string;
  readonly fault: string;
  readonly kind: FaultKind;
  readonly arguments: Drawn['args'];
  /** Left out for what comes back by itself. */
  readonly until?: { readonly seconds: number };
  method: Node[];
  background: boolean;
  readonly pauses: { before: number; after: number };
}

/** One that has been added: its node, where that stands, and when it is in force by plan. */
interface Placed {
  readonly fault: Fault;
  readonly node: Node;
  readonly siblings: Node[];
  readonly outer: readonly Placed[];
  /** Seconds since the storm's beginning; what is put within it only makes it longer. */
  readonly from: number;
  readonly to: number;
}

type Place = Pick<Placed, 'siblings' | 'outer' | 'from'> & {
  readonly before: number;
  /** Calm behind it, still within what it stands in. */
  readonly after: number;
  /** When those beside it have ended. */
  readonly notBefore: number;
};

const SHORTEST_SECONDS = 2;

export class Storm {
  readonly method: Node[] = [];
  readonly #random: () => number;
  readonly #longestSeconds: number;
  readonly #placed: Placed[] = [];

  constructor(random: () => number, longestSeconds: number) {
    this.#random = random;
    this.#longestSeconds = longestSeconds;
  }

  get size(): number {
    return this.#placed.length;
  }

  /** Whether there is a place for it that the table allows. */
  takes({ fault }: Drawn): boolean {
    return this.size === 0 || this.#fitsWithin(fault) || this.#fitsBeside(fault);
  }

  /** Puts it where `takes` has found a place. */
  add(drawn: Drawn): void {
    const random = this.#random;
    const within = this.#fitsWithin(drawn.fault);
    const beside = this.#fitsBeside(drawn.fault);
    const last = this.#placed.at(-1);
    if (last === undefined) {
      const { method: siblings } = this;
      this.#place(drawn, { siblings, outer: [], from: 0, before: 0, after: 0, notBefore: 0 });
    } else if (within && !(beside && random() < 0.5)) {
      const siblings = last.node.method;
      const outer = [...last.outer, last];
      const [before, after] = [tenthsBetween(random, 0, 2), tenthsBetween(random, 0, 2)];
      this.#place(drawn, { siblings, outer, from: last.to + before, before, after, notBefore: 0 });
    } else if (beside) {
      const { siblings, outer, node } = last;
      const before = tenthsBetween(random, 0, last.to - last.from);
      const { after } = node.pauses;
      node.background = true;
      node.pauses.after = 0;
      const ends = this.#placed.filter((one) => one.siblings === siblings).map(({ to }) => to);
      const notBefore = Math.max(...ends) + 1;
      this.#place(drawn, { siblings, outer, from: last.from + before, before, after, notBefore });
    } else {
      throw new RangeError(`${drawn.name} has no place beside ${last.node.name}`);
    }
  }

  #fitsWithin(fault: Fault): boolean {
    const last = this.#placed.at(-1);
    if (last?.fault.lift === undefined) return false;
    const enclosing = [...last.outer, last];
    return this.#placed.every((one) => {
      const how = relation(one.fault, fault);
      return how === 'across' || (how === 'within' && enclosing.includes(one));
    });
  }

  #fitsBeside(fault: Fault): boolean {
    const last = this.#placed.at(-1);
    if (last === undefined) return false;
    // In the background it may outlive what it stands in.
    if (last.outer.some((one) => relation(one.fault, last.fault) !== 'across')) return false;
    return this.#placed.every((one) => {
      const how = relation(one.fault, fault);
      return how === 'across' || (how === 'within' && last.outer.includes(one));
    });
  }

  #place({ name, kind, args, fault }: Drawn, place: Place): void {
    const { siblings, outer, from, before, after, notBefore } = place;
    const lifted = fault.lift !== undefined;
    const drawn = tenthsBetween(this.#random, SHORTEST_SECONDS, this.#longestSeconds);
    const seconds = tenths(Math.max(drawn, notBefore - from));
    const to = from + (lifted ? seconds : RESTART_SECONDS);
    const node: Node = {
      type: 'action',
      name,
      fault: kind.kind,
      kind,
      arguments: args,
      ...(lifted ? { until: { seconds } } : {}),
      method: [],
      background: false,
      // What comes back by itself may be back before those beside it have ended.
      pauses: { before, after: tenths(after + Math.max(0, notBefore - to)) },
    };
    siblings.push(node);
    this.#placed.push({ fault, node, siblings, outer, from, to });
  }
}

function tenths(seconds: number): number {
  return Math.ceil(Math.round(seconds * 100) / 10) / 10;
}
