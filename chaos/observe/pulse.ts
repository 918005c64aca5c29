/**
 * Whether the run itself was awake: a runner that stood still, because it was frozen or its machine
 * slept, has seen nothing meanwhile, and calls late what it noticed late.
 */

const EVERY_MS = 250;
/** Less than the recoveries that scenarios limit. */
const STANDSTILL_MS = 5_000;

export class Pulse {
  readonly #standstills: number[] = [];
  readonly #clock: () => number;
  readonly #timer: NodeJS.Timeout;
  #last: number;

  /** `clock`: monotonic milliseconds. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#last = clock();
    this.#timer = setInterval(() => this.beat(), EVERY_MS);
    this.#timer.unref();
  }

  beat(): void {
    const at = this.#clock();
    if (at - this.#last > STANDSTILL_MS) this.#standstills.push(at - this.#last);
    this.#last = at;
  }

  stop(): void {
    this.beat();
    clearInterval(this.#timer);
  }

  /** For the evidence, in words. */
  get failures(): readonly string[] {
    return this.#standstills.map((ms) => {
      const seconds = (ms / 1_000).toFixed(1);
      return `the run itself stood still for ${seconds} s, and saw nothing of what happened in it`;
    });
  }
}
