/**
 * How much longer everything takes because the machine is busy with other things: the share that
 * this thread waited for a processor, by the kernel's own account. What the programs under test feel
 * is of the same kind, so times that were measured meanwhile can be told from what they would be.
 */
import { readFileSync } from 'node:fs';

/** Of the main thread: nanoseconds on a processor, nanoseconds of waiting for one, turns. */
const ACCOUNT = '/proc/self/schedstat';

export class Stretch {
  readonly #account: () => string;
  readonly #began: Times;

  /** From now on. */
  constructor(account: () => string = read) {
    this.#account = account;
    this.#began = timesIn(account());
  }

  /** 1 where it never waited, or where the kernel doesn't tell; 3 where all took three times as long. */
  factor(): number {
    const { ran, waited } = timesIn(this.#account());
    const ranSince = ran - this.#began.ran;
    return ranSince > 0 ? 1 + (waited - this.#began.waited) / ranSince : 1;
  }
}

interface Times {
  readonly ran: number;
  readonly waited: number;
}

function timesIn(account: string): Times {
  const [ran = 0, waited = 0] = account.split(' ').map(Number);
  return { ran, waited };
}

/** Not every kernel has it. */
function read(): string {
  try {
    return readFileSync(ACCOUNT, 'utf8');
  } catch {
    return '0 0 0';
  }
}
