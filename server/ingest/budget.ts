/**
 * The memory that all connections share: bytes that have come and are not yet on disk, and answers
 * that nobody has read yet. Each connection has an account; what it holds is what it says.
 *
 * The rule. Up to the budget everybody may take on more. Past it a connection that holds no more
 * than its reserve still may, so that a living collector's few frames are never kept out by other
 * collectors' backlogs. The others wait in line, and the first in line goes on: so a message of
 * which a part has come is always finished in the end. What is held in all is therefore bounded by
 * the budget, the reserves, and one connection's window and message.
 *
 * Pure: no sockets, no clock. `wake` tells those who may go on again; its caller decides when.
 */

export interface Account {
  /** True while this connection may take on more. Joins the line where it may not. */
  mayTake(): boolean;
  /** How many bytes it holds now. */
  hold(bytes: number): void;
  /** It is gone, and holds nothing. */
  close(): void;
}

class Holder implements Account {
  readonly #budget: Budget;
  readonly onRoom: () => void;
  bytes = 0;

  constructor(budget: Budget, onRoom: () => void) {
    this.#budget = budget;
    this.onRoom = onRoom;
  }

  mayTake(): boolean {
    return this.#budget.mayTake(this);
  }

  hold(bytes: number): void {
    this.#budget.hold(this, bytes);
  }

  close(): void {
    this.#budget.leave(this);
  }
}

export class Budget {
  readonly #bytesMax: number;
  readonly #reserveBytes: number;
  readonly #line = new Set<Holder>();
  #held = 0;
  /** Something was given back since the last `wake`. */
  #roomier = false;
  #waking = false;

  /** `connectionsMax` of them have, together, reserves as large as the budget. */
  constructor(options: { readonly bytesMax: number; readonly connectionsMax: number }) {
    this.#bytesMax = options.bytesMax;
    this.#reserveBytes = Math.floor(options.bytesMax / options.connectionsMax);
  }

  /** Bytes that all connections hold. */
  get held(): number {
    return this.#held;
  }

  /** `onRoom` is called, by {@link wake}, when a connection that was refused may take on more. */
  open(onRoom: () => void): Account {
    return new Holder(this, onRoom);
  }

  /** Lets those go on who may again, in the order in which they had to wait. */
  wake(): void {
    // What those do who are woken wakes others; they come up in the same round.
    if (this.#waking) return;
    this.#waking = true;
    while (this.#roomier) {
      this.#roomier = false;
      for (const holder of [...this.#line]) {
        if (this.#held >= this.#bytesMax && !this.#isFirst(holder)) break;
        holder.onRoom();
      }
    }
    this.#waking = false;
  }

  mayTake(holder: Holder): boolean {
    if (this.#held < this.#bytesMax || holder.bytes <= this.#reserveBytes) {
      this.#line.delete(holder);
      return true;
    }
    this.#line.add(holder);
    return this.#isFirst(holder);
  }

  hold(holder: Holder, bytes: number): void {
    if (bytes < holder.bytes) this.#roomier = true;
    this.#held += bytes - holder.bytes;
    holder.bytes = bytes;
  }

  leave(holder: Holder): void {
    this.hold(holder, 0);
    if (this.#line.delete(holder)) this.#roomier = true;
  }

  #isFirst(holder: Holder): boolean {
    return this.#line.values().next().value === holder;
  }
}
