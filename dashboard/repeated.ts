/** Something that is done again and again: never twice at a time, and not more often than so. */
export class Repeated {
  readonly #run: () => Promise<void>;
  readonly #everyMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #wanted = false;
  #stopped = false;
  #startedAt = Number.NEGATIVE_INFINITY;

  /** `run` tells of its errors by itself. */
  constructor(run: () => Promise<void>, everyMs: number) {
    this.#run = run;
    this.#everyMs = everyMs;
  }

  /** As soon as it may be; not at all after `stop`. */
  soon(): void {
    if (this.#stopped) return;
    this.#wanted = true;
    if (this.#running || this.#timer !== undefined) return;
    const waitMs = Math.max(0, this.#startedAt + this.#everyMs - performance.now());
    this.#timer = setTimeout(() => this.#start(), waitMs);
  }

  /** Without waiting for its time, but still not twice at a time; after `stop`, too. */
  now(): void {
    this.#stopped = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#startedAt = Number.NEGATIVE_INFINITY;
    this.soon();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wanted = false;
    this.#stopped = true;
  }

  #start(): void {
    this.#timer = undefined;
    this.#running = true;
    this.#wanted = false;
    this.#startedAt = performance.now();
    void this.#run().finally(() => {
      this.#running = false;
      if (this.#wanted) this.soon();
    });
  }
}
