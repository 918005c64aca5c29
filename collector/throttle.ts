/** Lets one through per period and counts the others, so that a flood leaves a trace but no flood. */

export class Throttle {
  readonly #periodMs: number;
  #passedAtMs: number | undefined;
  #omitted = 0;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** How many were held back since the last one that passed; undefined: this one is held back. */
  pass(nowMs: number): number | undefined {
    if (this.#passedAtMs !== undefined && nowMs - this.#passedAtMs < this.#periodMs) {
      this.#omitted += 1;
      return undefined;
    }
    const omitted = this.#omitted;
    this.#omitted = 0;
    this.#passedAtMs = nowMs;
    return omitted;
  }
}
