/** What `send` answers: the identity of a frame, and the way to hear what becomes of it. */
import type { Epoch } from '#protocol/identity.ts';
import type { QueuePosition } from './queue/queue.ts';
import type { Settlement, Settlements } from './settlements.ts';

export class Receipt {
  /** With the collector's id, the frame's identity for life. */
  readonly epoch: Epoch;
  readonly seq: number;
  readonly #settlements: Settlements;
  #settled: Promise<Settlement> | undefined;

  constructor({ epoch, seq }: QueuePosition, settlements: Settlements) {
    this.epoch = epoch;
    this.seq = seq;
    this.#settlements = settlements;
  }

  /**
   * Resolves once it is known what became of the frame, however long that takes and whenever it is
   * asked; the first fate is final. Costs memory only from the first look at it, and until it is
   * known. Rejects with NotSettledError (`not_settled`) when the producer is closed before, and
   * with SettlementUnknownError; unhandled, that disturbs nobody.
   */
  get settled(): Promise<Settlement> {
    this.#settled ??= this.#settlements.wait({ epoch: this.epoch, seq: this.seq });
    return this.#settled;
  }
}
