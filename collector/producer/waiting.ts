/** Waiting for something that a deadline or an AbortSignal may end. */
import { AbortedError } from './errors.ts';

/** What the promise does, unless the signal comes first: AbortedError then. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new AbortedError(signal));
    const leave = (): void => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    promise.then(resolve, reject).finally(leave);
  });
}

/** A moment after which nobody waits any more. To be ended once it isn't needed. */
export class Deadline {
  #isPassed = false;
  readonly #waiting = new Set<() => void>();
  readonly #disarm: () => void;
  readonly #signal: AbortSignal | undefined;

  /**
   * @param ms From now; without it, only the signal ends the wait.
   * @param signal Ends the wait early.
   */
  constructor(
    ms: number | undefined,
    signal: AbortSignal | undefined,
    after: (ms: number, call: () => void) => () => void,
  ) {
    this.#disarm = ms === undefined || ms === 0 ? () => {} : after(ms, this.#pass);
    this.#signal = signal;
    signal?.addEventListener('abort', this.#pass);
    if (ms === 0 || signal?.aborted) this.#pass();
  }

  get isPassed(): boolean {
    return this.#isPassed;
  }

  /** What the promise resolves to, or undefined when the moment comes first. */
  wait<T>(promise: Promise<T>): Promise<T | undefined> {
    if (this.#isPassed) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const onPassed = (): void => resolve(undefined);
      this.#waiting.add(onPassed);
      promise.then(resolve, reject).finally(() => this.#waiting.delete(onPassed));
    });
  }

  end(): void {
    this.#disarm();
    this.#signal?.removeEventListener('abort', this.#pass);
  }

  readonly #pass = (): void => {
    this.#isPassed = true;
    for (const call of this.#waiting) call();
  };
}
