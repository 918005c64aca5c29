/**
 * What an application does around a producer that latches, as the three that were measured: it sends
 * its records on a schedule, each in its turn, and
 * - `naive` stops at the first error, of a send or of a record that it had sent;
 * - `clear` waits for {@link PAUSE_MS}, clears the error, sends what had failed again, and goes on;
 * - `renew` waits as long, makes a new connection and a new producer, and sends all again of which it
 *   doesn't know that it is stored. It does so, too, when nothing was confirmed for
 *   {@link ACK_LIMIT_MS} while something should have been.
 *
 * In favour of `renew`: the producer that it gives up sends nothing any more, and what is sent again
 * goes in its old order before anything new. Measured were 23 to 1,022 records stored twice, and lost
 * order, in a minute.
 *
 * Sans-IO: times are passed in. Records are numbers; their bytes are made when they leave.
 */
export type Kind = 'naive' | 'clear' | 'renew';

export const PAUSE_MS = 1_000;
export const ACK_LIMIT_MS = 5_000;

type State =
  | { readonly name: 'sending' }
  | { readonly name: 'paused'; readonly until: number }
  | { readonly name: 'stopped' };

export class Application {
  readonly #kind: Kind;
  /** Records are numbered from 0 to below this. */
  readonly #count: number;
  #state: State = { name: 'sending' };
  #next = 0;
  /** To be sent before the next one. */
  #again: number[] = [];
  /** Taken by the producer, no word of them yet. */
  readonly #open = new Set<number>();
  #failed: number[] = [];
  /** The last word, or when the first of those that are open was taken. */
  #heardAt = 0;

  constructor(kind: Kind, count: number) {
    this.#kind = kind;
    this.#count = count;
  }

  /** How many records a producer took, from the first on without a hole. */
  get taken(): number {
    return this.#next;
  }

  /** It has sent all and heard of all, or has stopped. */
  get isDone(): boolean {
    if (this.#state.name === 'stopped') return true;
    const left = this.#again.length + this.#failed.length + this.#open.size;
    return this.#next === this.#count && left === 0 && this.#state.name === 'sending';
  }

  /** When `onTick` is due. */
  get nextDeadline(): number | undefined {
    if (this.#state.name === 'paused') return this.#state.until;
    const isTimed = this.#kind === 'renew' && this.#state.name === 'sending' && this.#open.size > 0;
    return isTimed ? this.#heardAt + ACK_LIMIT_MS : undefined;
  }

  /** What it sends now; `due` are those whose time has come. */
  next(due: number): number | undefined {
    if (this.#state.name !== 'sending') return undefined;
    return this.#again[0] ?? (this.#next < Math.min(due, this.#count) ? this.#next : undefined);
  }

  /** The one from `next` was taken by the producer. */
  onTaken(record: number, now: number): void {
    if (this.#open.size === 0) this.#heardAt = now;
    this.#open.add(record);
    if (this.#again.length > 0) this.#again.shift();
    else this.#next += 1;
  }

  /** The one from `next` was refused; it stays the next one. */
  onRefused(now: number): void {
    this.#onError(now);
  }

  onStored(records: readonly number[], now: number): void {
    this.#heardAt = now;
    for (const record of records) this.#open.delete(record);
  }

  onFailed(records: readonly number[], now: number): void {
    for (const record of records) this.#open.delete(record);
    this.#failed.push(...records);
    this.#onError(now);
  }

  /** What is to be done with the producer before the next record, when a pause has ended. */
  onTick(now: number): 'clear' | 'renew' | undefined {
    const { nextDeadline } = this;
    if (nextDeadline === undefined || now < nextDeadline) return undefined;
    if (this.#state.name === 'sending') {
      this.#onError(now);
      return undefined;
    }
    this.#state = { name: 'sending' };
    const isNew = this.#kind === 'renew';
    const again = [...this.#failed, ...(isNew ? [...this.#open, ...this.#again] : this.#again)];
    if (isNew) this.#open.clear();
    this.#failed = [];
    this.#again = again.toSorted((a, b) => a - b);
    return isNew ? 'renew' : 'clear';
  }

  #onError(now: number): void {
    if (this.#kind === 'naive') this.#state = { name: 'stopped' };
    else if (this.#state.name === 'sending')
      this.#state = { name: 'paused', until: now + PAUSE_MS };
  }
}
