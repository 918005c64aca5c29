/**
 * A list that a long run can't fill: when it has as many as it may, every other one goes, and from
 * then on half as many of those that come are kept. So it always covers all of the time, evenly.
 */

export class Thinned<T> {
  readonly #most: number;
  #kept: T[] = [];
  /** One of so many is kept. */
  #every = 1;
  #skipped = 0;

  /** `most` is 2 or more. */
  constructor(most: number) {
    this.#most = most;
  }

  get kept(): readonly T[] {
    return this.#kept;
  }

  add(one: T): void {
    this.#skipped += 1;
    if (this.#skipped < this.#every) return;
    this.#skipped = 0;
    this.#kept.push(one);
    if (this.#kept.length < this.#most) return;
    this.#kept = this.#kept.filter((_, index) => index % 2 === 1);
    this.#every *= 2;
  }
}
