/**
 * What the producer itself refuses or ends, as its users see it: one class per condition, with a
 * stable `code`. Not here: what goes wrong on the disk (`queue/errors.ts`, which `send` and
 * `opened` reject with, too), and failures of the link (`link-error.ts`), which no call ever fails
 * for.
 *
 * Every message says what happened, where, what it means for the data and what to do.
 */
import type { QueuePosition } from './queue/queue.ts';

export const PRODUCER_ERROR_CODES = [
  'options_invalid',
  'argument_invalid',
  'closed',
  'aborted',
  'not_settled',
  'settlement_unknown',
] as const;
export type ProducerErrorCode = (typeof PRODUCER_ERROR_CODES)[number];

export abstract class ProducerError extends Error {
  readonly code: ProducerErrorCode;

  protected constructor(code: ProducerErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** One option that can't be meant. */
export interface OptionProblem {
  readonly option: string;
  /** What would be right, in words. */
  readonly rule: string;
  /** What was found, in a few words; never a secret. */
  readonly got: string;
}

/** Options that can't be meant, all of them at once. Nothing was opened. */
export class OptionsError extends ProducerError {
  override readonly name = 'OptionsError';
  readonly problems: readonly OptionProblem[];

  constructor(problems: readonly OptionProblem[]) {
    const lines = problems.map(({ option, rule, got }) => `  ${option}: ${rule}; got ${got}`);
    const count = problems.length === 1 ? 'an option is' : `${problems.length} options are`;
    super('options_invalid', `${count} not right; nothing was opened:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

/** An argument of a call that can't be meant: nothing was done. */
export class ArgumentError extends ProducerError {
  override readonly name = 'ArgumentError';

  constructor(argument: string, rule: string, got: string) {
    super('argument_invalid', `${argument} must be ${rule}; got ${got}. Nothing was done`);
  }
}

/** The producer was closed before. */
export class ClosedError extends ProducerError {
  override readonly name = 'ClosedError';

  constructor(queuePath: string) {
    super(
      'closed',
      `the producer on ${queuePath} is closed: what was asked of it was not done. What it had ` +
        'accepted is on the disk or delivered; make a new one on the same queue to go on',
    );
  }
}

/**
 * A wait was ended by its AbortSignal, whose reason is the `cause`. By its name it is what
 * platform functions reject with, too.
 */
export class AbortedError extends ProducerError {
  override readonly name = 'AbortError';
  /**
   * Of a `send`: true when the frame was on its way to the disk already. It may be stored then, and
   * sending the same again may make two frames of it. False: no frame was made.
   */
  readonly mayBeStored: boolean;

  constructor(signal: AbortSignal, mayBeStored = false) {
    super(
      'aborted',
      mayBeStored
        ? 'the wait was aborted after the frame was handed to the disk: it may be stored'
        : 'the wait was aborted; nothing was lost by that',
      signal.reason,
    );
    this.mayBeStored = mayBeStored;
  }
}

/** The producer was closed while this frame was not known to be settled. */
export class NotSettledError extends ProducerError {
  override readonly name = 'NotSettledError';
  readonly epoch: string;
  readonly seq: number;

  constructor({ epoch, seq }: QueuePosition) {
    super(
      'not_settled',
      `the producer was closed before it knew what became of frame ${epoch}/${seq}. The frame is ` +
        'not lost: unless it is settled already it stays on the disk, and goes on with the next ' +
        'producer on the same queue',
    );
    this.epoch = epoch;
    this.seq = seq;
  }
}

/** The queue remembers nothing of this frame. */
export class SettlementUnknownError extends ProducerError {
  override readonly name = 'SettlementUnknownError';
  readonly epoch: string;
  readonly seq: number;

  constructor({ epoch, seq }: QueuePosition) {
    super(
      'settlement_unknown',
      `the queue remembers nothing of frame ${epoch}/${seq}: its epoch was settled as a whole, 64 or ` +
        'more openings ago, or its directory was replaced meanwhile. The audit of the server knows ' +
        'what became of it',
    );
    this.epoch = epoch;
    this.seq = seq;
  }
}
