/**
 * What waits to be committed, by lanes, and how they share: each collector is a lane.
 *
 * A lane that had nothing waiting goes first, with the little that a living collector brings at a
 * time; the others follow in turns of equal weight. So how long a live frame waits depends neither
 * on how much is waiting nor on how many have a backlog. Those who go first get no more than half of
 * what is taken at a time while others wait: nobody starves.
 *
 * Invariants: a lane keeps its order; memory follows the items that wait, and a lane without any is
 * forgotten.
 */

interface Entry<T> {
  readonly item: T;
  readonly weight: number;
}

/** How much is taken at a time. */
export interface TakeLimits {
  readonly weight: number;
  readonly items: number;
}

/** A lane's part when it goes first: some frames of a living collector, in several messages. */
const FIRST_WEIGHT = 65_536;
/** A lane's part of a round. */
const TURN_WEIGHT = 262_144;

export class FairQueue<T> {
  readonly #lanes = new Map<string, Entry<T>[]>();
  /** Lanes that had nothing waiting and brought little, in the order in which they came. */
  readonly #first: string[] = [];
  /** Lanes that have had a part, in the order of their turns. */
  readonly #rest: string[] = [];

  get empty(): boolean {
    return this.#lanes.size === 0;
  }

  push(laneName: string, weight: number, item: T): void {
    const lane = this.#lanes.get(laneName);
    if (lane) {
      lane.push({ item, weight });
      return;
    }
    this.#lanes.set(laneName, [{ item, weight }]);
    (weight <= FIRST_WEIGHT ? this.#first : this.#rest).push(laneName);
  }

  /** Takes what fits within the limits, but one item at least where any waits. */
  take(limits: TakeLimits): T[] {
    const taking = new Taking<T>(limits);
    const others = this.#rest.length > 0;
    this.#takeParts(this.#first, FIRST_WEIGHT, taking, others ? 0.5 : 1);
    this.#takeParts(this.#rest, TURN_WEIGHT, taking, 1);
    this.#takeParts(this.#first, FIRST_WEIGHT, taking, 1);
    return taking.items;
  }

  /** Gives one lane after the other its part, until a share of the limits is used or none is left. */
  #takeParts(names: string[], partWeight: number, taking: Taking<T>, share: number): void {
    for (let name = names[0]; name !== undefined; name = names[0]) {
      const lane = this.#lanes.get(name) ?? [];
      const taken = taking.takePart(lane, partWeight, share);
      if (taken === 0) return;
      names.shift();
      if (lane.length === taken) {
        this.#lanes.delete(name);
      } else {
        lane.splice(0, taken);
        this.#rest.push(name);
      }
    }
  }
}

/** What is taken at a time, as it grows. */
class Taking<T> {
  readonly items: T[] = [];
  readonly #limits: TakeLimits;
  #weight = 0;

  constructor(limits: TakeLimits) {
    this.#limits = limits;
  }

  /** Takes from a lane's front. Answers how many items that were; 0 when none fits any more. */
  takePart(lane: readonly Entry<T>[], partWeight: number, share: number): number {
    let taken = 0;
    let partLeft = partWeight;
    for (const { item, weight } of lane) {
      if (partLeft <= 0 || !this.#fits(weight, share)) break;
      this.items.push(item);
      this.#weight += weight;
      partLeft -= weight;
      taken += 1;
    }
    return taken;
  }

  #fits(weight: number, share: number): boolean {
    if (this.items.length === 0) return true;
    const { weight: weightMax, items: itemsMax } = this.#limits;
    return this.#weight + weight <= weightMax * share && this.items.length < itemsMax * share;
  }
}
