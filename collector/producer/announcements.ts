/**
 * Which epochs one connection has told the server of, under which numbers, and what the server
 * answered: for each announcement all that it has settled within [lowest, highest].
 *
 * An answer names 64 ranges at most. Where it has that many, nothing is known of what lies behind
 * the last one; that part is left over here, to be announced once more under a further number. No
 * seq is asked about twice.
 *
 * Sans-IO, made with HELLO and thrown away with the connection. Not here: when something is
 * announced (`delivery.ts`), and what an answer means for the queue (`queue/core.ts`).
 */
import { ProtocolError } from '#protocol/errors.ts';
import type { Epoch } from '#protocol/identity.ts';
import { EPOCHS_PER_CONNECTION_MAX, RANGES_PER_MESSAGE_MAX } from '#protocol/limits.ts';
import type { EpochAnnouncement, SettledEntry } from '#protocol/messages.ts';
import type { SeqRange, SettledRange } from '#protocol/settlement.ts';

/** All that the server has settled within a part of an epoch. */
export interface SettledAnswer {
  readonly epoch: Epoch;
  readonly within: SeqRange;
  readonly ranges: readonly SettledRange[];
}

interface Asked {
  readonly count: number;
  /** The epochs are new to the server, and frames of them may wait for its answer. */
  readonly fresh: boolean;
}

export class Announcements {
  /** By epoch number. */
  readonly #announced: EpochAnnouncement[] = [];
  /** The first number of each epoch. */
  readonly #numbers = new Map<Epoch, number>();
  /** From where on each epoch was asked about. */
  readonly #askedFrom = new Map<Epoch, number>();
  /** What is announced and not answered, in the order of the messages. */
  readonly #asked: Asked[] = [];
  #answered = 0;
  #leftOver: EpochAnnouncement[] = [];

  /** @param hello What HELLO announced. */
  constructor(hello: readonly EpochAnnouncement[]) {
    this.announce(hello);
  }

  /** How many more this connection may announce. */
  get room(): number {
    return EPOCHS_PER_CONNECTION_MAX - this.#announced.length;
  }

  /** The server has yet to answer for epochs that it had not heard of on this connection. */
  get awaitsFresh(): boolean {
    return this.#asked.some(({ fresh }) => fresh);
  }

  /** Everything that was announced is answered, and answered whole. */
  get isComplete(): boolean {
    return this.#asked.length === 0 && this.#leftOver.length === 0;
  }

  isAnnounced(epoch: Epoch): boolean {
    return this.#numbers.has(epoch);
  }

  /** The number under which the server knows an epoch, once it has answered. */
  numberOf(epoch: Epoch): number | undefined {
    const number = this.#numbers.get(epoch);
    return number !== undefined && number < this.#answered ? number : undefined;
  }

  /** The epoch that a number of the server's means. Throws ProtocolError. */
  epochOf(number: number): Epoch {
    const announced = this.#announced[number];
    if (announced === undefined) {
      throw new ProtocolError('state', `epoch number ${number} was never announced`);
    }
    return announced.epoch;
  }

  /** Takes note of the epochs of one message, in its order. */
  announce(epochs: readonly EpochAnnouncement[]): void {
    const fresh = epochs.some(({ epoch }) => !this.#numbers.has(epoch));
    for (const announcement of epochs) {
      const { epoch, lowest } = announcement;
      if (!this.#numbers.has(epoch)) {
        this.#numbers.set(epoch, this.#announced.length);
        this.#askedFrom.set(epoch, lowest);
      }
      this.#announced.push(announcement);
    }
    this.#asked.push({ count: epochs.length, fresh });
  }

  /** Of the epochs that were announced from a later seq on, what is below it is to be asked, too. */
  askBelow(): void {
    for (const [epoch, from] of this.#askedFrom) {
      const announcement = this.#announced[this.#numbers.get(epoch) ?? 0];
      if (announcement === undefined || from <= 1) continue;
      this.#askedFrom.set(epoch, 1);
      this.#leftOver.push({ ...announcement, lowest: 1, highest: from - 1 });
    }
  }

  /** Up to so many of the parts that answers left open; they are to be announced. */
  takeLeftOver(countMax: number): EpochAnnouncement[] {
    return this.#leftOver.splice(0, countMax);
  }

  /**
   * The server's answer to the oldest message that has none. Throws ProtocolError when there is
   * none, or when it isn't the one that begins with this number.
   */
  onAnswer(firstNumber: number, entries: readonly SettledEntry[]): SettledAnswer[] {
    const asked = this.#asked[0];
    if (asked === undefined || firstNumber !== this.#answered) {
      throw new ProtocolError('state', `SETTLED from ${firstNumber} was not asked for`);
    }
    this.#asked.shift();
    this.#answered += asked.count;
    const last = entries.length < RANGES_PER_MESSAGE_MAX ? undefined : entries.at(-1);
    return this.#announced.slice(firstNumber, this.#answered).flatMap((announcement, i) => {
      const number = firstNumber + i;
      const { epoch, lowest: from, highest } = announcement;
      const to = Math.min(highest, knownUpTo(number, last));
      if (to < highest) this.#leftOver.push({ ...announcement, lowest: Math.max(from, to + 1) });
      if (to < from) return [];
      const ranges = entries
        .filter(({ epochIndex }) => epochIndex === number)
        .map(({ epochIndex: _, ...range }) => range);
      return [{ epoch, within: { from, to }, ranges }];
    });
  }
}

/** How far an answer speaks of an epoch, given the last entry of one that is full. */
function knownUpTo(number: number, last: SettledEntry | undefined): number {
  if (last === undefined || number < last.epochIndex) return Number.POSITIVE_INFINITY;
  return number === last.epochIndex ? last.to : 0;
}
