/**
 * Who may be connected: how many in all and from one address, and who goes where there are too many.
 *
 * The rule. Silent connections can't keep collectors out: where a place is wanted and there is none,
 * the connection that has been here longest without proving that it holds the token goes. Proven
 * ones are never sent away for a newcomer; where they have all the places a few are kept spare, so
 * that a collector that comes on top can prove itself and be told when to come again.
 *
 * Pure: no sockets, no clock.
 */

export interface PlacesOptions {
  readonly connectionsMax: number;
  readonly perAddressMax: number;
}

interface Group<C> {
  proven: number;
  /** In the order in which they came. */
  readonly unproven: Set<C>;
}

const SPARE_MAX = 64;
/** Of a small number of places it is a part. */
const SPARE_SHARE = 16;

/** Places beyond `places` proven ones for those who are yet to prove themselves. */
export function spareOf(places: number): number {
  return Math.min(SPARE_MAX, Math.ceil(places / SPARE_SHARE));
}

export class Places<C> {
  readonly #options: PlacesOptions;
  readonly #all: Group<C> = { proven: 0, unproven: new Set() };
  readonly #byAddress = new Map<string, Group<C>>();
  readonly #known = new Map<C, { readonly address: string; proven: boolean }>();

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** Takes a newcomer in. Answers who has to go for it; they are out already. */
  arrive(newcomer: C, address: string): C[] {
    const { connectionsMax, perAddressMax } = this.#options;
    const gone: C[] = [];
    const makeRoom = (group: Group<C>, max: number): void => {
      const oldest = oldestOver(group, max);
      if (oldest === undefined) return;
      this.leave(oldest);
      gone.push(oldest);
    };
    makeRoom(this.#groupOf(address), perAddressMax);
    makeRoom(this.#all, connectionsMax);
    // The group may have been forgotten as its last one left.
    this.#groupOf(address).unproven.add(newcomer);
    this.#all.unproven.add(newcomer);
    this.#known.set(newcomer, { address, proven: false });
    return gone;
  }

  /** It has proven itself: answers whether there is a place for it, which it then has. */
  prove(connection: C): boolean {
    const known = this.#known.get(connection);
    if (known === undefined) return false;
    const ofAddress = this.#groupOf(known.address);
    const { connectionsMax, perAddressMax } = this.#options;
    if (this.#all.proven >= connectionsMax || ofAddress.proven >= perAddressMax) return false;
    known.proven = true;
    for (const group of [this.#all, ofAddress]) {
      group.unproven.delete(connection);
      group.proven += 1;
    }
    return true;
  }

  /** Its place is free; doing so again changes nothing. */
  leave(connection: C): void {
    const known = this.#known.get(connection);
    if (known === undefined) return;
    this.#known.delete(connection);
    const ofAddress = this.#groupOf(known.address);
    for (const group of [this.#all, ofAddress]) {
      if (known.proven) group.proven -= 1;
      else group.unproven.delete(connection);
    }
    if (ofAddress.proven + ofAddress.unproven.size === 0) this.#byAddress.delete(known.address);
  }

  /** The one that has been here longest unproven: it goes where something else runs short. */
  get oldestUnproven(): C | undefined {
    return this.#all.unproven.values().next().value;
  }

  #groupOf(address: string): Group<C> {
    const group = this.#byAddress.get(address) ?? { proven: 0, unproven: new Set() };
    this.#byAddress.set(address, group);
    return group;
  }
}

/** Who has to go before one more comes into a group; undefined where there is room. */
function oldestOver<C>({ proven, unproven }: Group<C>, max: number): C | undefined {
  const room = Math.max(max - proven, spareOf(max));
  return unproven.size < room ? undefined : unproven.values().next().value;
}
