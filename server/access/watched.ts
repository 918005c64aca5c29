/**
 * Something that stands in files and may change while the server runs: read at the start, and again
 * whenever a file has changed or somebody asks for it.
 *
 * Invariants: what can't be read at the start is thrown, and nothing begins; what can't be read
 * later is told, and what was in force stays. Files are looked at by their state, not by events of
 * the file system: those don't come over networks and bind mounts, nor through the links that
 * orchestrators swap.
 */
import { unwatchFile, watchFile } from 'node:fs';

/** How soon a change is seen. */
const LOOK_MS = 1_000;
/** Files that belong together, such as a key and its certificate, are rarely written at once. */
const SETTLE_MS = 250;

export interface WatchedOptions<T> {
  readonly paths: readonly string[];
  /** Reads and checks; throws an error whose message a person can act on. */
  readonly load: () => T;
  /** Comes when a new value is in force, not for the first. */
  readonly onReplaced: (value: T) => void;
  /** Comes when a new value was refused; the one before stays in force. */
  readonly onRefused: (error: Error) => void;
}

export class Watched<T> {
  readonly #options: WatchedOptions<T>;
  readonly #onChange = (): void => {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.reload(), SETTLE_MS);
  };
  #settling: NodeJS.Timeout | undefined;
  #value: T;

  /** Throws what `load` throws. */
  constructor(options: WatchedOptions<T>) {
    this.#options = options;
    this.#value = options.load();
    for (const path of options.paths) watchFile(path, { interval: LOOK_MS }, this.#onChange);
  }

  get value(): T {
    return this.#value;
  }

  reload(): void {
    clearTimeout(this.#settling);
    try {
      this.#value = this.#options.load();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#options.onRefused(error);
      return;
    }
    this.#options.onReplaced(this.#value);
  }

  close(): void {
    clearTimeout(this.#settling);
    for (const path of this.#options.paths) unwatchFile(path, this.#onChange);
  }
}
