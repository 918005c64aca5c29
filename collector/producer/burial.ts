/**
 * Keeps refused frames aside, on disk, before the queue may forget them; one refusal after the
 * other, so that one that is told twice finds its frame settled the second time.
 *
 * A refusal holds for as long as its connection. A later one tells it again, unless the store has
 * lost it, or is another one: then the frame is still to be sent.
 */
import type { Frame } from '#protocol/identity.ts';
import { settledReason } from '#protocol/settlement.ts';
import type { DeadLetter } from './dead-letters.ts';
import { QueueFailedError } from './queue/errors.ts';
import { isOutOfRoom } from './queue/file-port.ts';
import type { Queue } from './queue/queue.ts';
import type { SenderAction } from './sender.ts';
import type { Surroundings } from './surroundings.ts';

/** How often a dead letter is tried on a disk without room. */
const DEAD_LETTER_RETRY_MS = 1_000;

export type Refusal = Extract<SenderAction, { type: 'reject' }>;

export interface BurialPorts extends Pick<Surroundings, 'after' | 'wallTime' | 'keepDeadLetter'> {
  readonly queue: Pick<Queue, 'readPending' | 'settle'>;
  readonly queuePath: string;
  readonly collector: string;
  /** Answers whether the connection that tells a refusal now is still the one, and its store, too. */
  readonly watchConnection: (storeId: string) => () => boolean;
  /** A frame is kept aside, and settled. */
  readonly onBuried: (frame: Frame, code: string, text: string) => void;
}

export class Burial {
  readonly #ports: BurialPorts;
  #last: Promise<void> = Promise.resolve();

  constructor(ports: BurialPorts) {
    this.#ports = ports;
  }

  /** Rejects with the queue's typed errors when frames can't be read, or letters not be kept. */
  bury(refusal: Refusal): Promise<void> {
    const holds = this.#ports.watchConnection(refusal.storeId);
    const buried = this.#last.then(() => this.#buryNow(refusal, holds));
    this.#last = buried.catch(() => undefined);
    return buried;
  }

  async #buryNow(refusal: Refusal, holds: () => boolean): Promise<void> {
    const { storeId, epoch, range, text } = refusal;
    const { queue, collector, wallTime, onBuried } = this.#ports;
    const code = settledReason(range) ?? 'unknown';
    for (let { from: seq } = range; seq <= range.to && holds(); seq += 1) {
      const before = { epoch, seq: seq - 1 };
      const [frame] = await queue.readPending(before, { frames: 1, bytes: 0 });
      if (frame?.epoch !== epoch || frame.seq > range.to) break;
      seq = frame.seq;
      const letter = { collector, frame, code, text, rejectedAt: wallTime() };
      await this.#keep(letter, holds);
      if (!holds()) return;
      queue.settle(storeId, epoch, [{ ...range, from: seq, to: seq }]);
      onBuried(frame, code, text);
    }
    if (holds()) queue.settle(storeId, epoch, [range]);
  }

  /**
   * A disk without room is waited for: meanwhile the frame stays pending in the queue. Whether the
   * letter lies there already, since an earlier connection, only the disk can tell: a person may
   * have had it sent again since, or dropped it.
   */
  async #keep(letter: DeadLetter, holds: () => boolean): Promise<void> {
    const { queuePath, keepDeadLetter, after } = this.#ports;
    while (holds()) {
      try {
        return await keepDeadLetter(queuePath, letter);
      } catch (error) {
        if (!isOutOfRoom(error)) throw new QueueFailedError(queuePath, 'keep a dead letter', error);
        await new Promise<void>((resolve) => after(DEAD_LETTER_RETRY_MS, resolve));
      }
    }
  }
}
