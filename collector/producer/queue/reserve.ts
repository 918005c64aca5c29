/**
 * Room on the disk that is kept for when there is none: files of a fixed size whose blocks the
 * queue has already. On a full disk some writes have to work all the same, because space is got
 * back by them: the checkpoint and the gaps that must be written before segments can go. Such a file
 * is then written over one of these and takes its name, so that nobody else can take the room first.
 *
 * Not a guarantee: on a file system that never writes in place, or when the reserve was spent and
 * not yet made again, there may be none. Then nothing is removed until there is room.
 */
import { createWhole, type FilePort } from './file-port.ts';

const RESERVE_NAMES = ['reserve-1', 'reserve-2'] as const;
/** A checkpoint of two thousand settled ranges; more than a thousand gaps. */
const RESERVE_BYTES = 65_536;
/** Not zeros: a file system may keep those without any room. */
const CONTENT = Buffer.alloc(RESERVE_BYTES, 'H');

export class Reserve {
  readonly #files: FilePort;
  readonly #lacking: Set<string>;

  constructor(files: FilePort) {
    this.#files = files;
    this.#lacking = new Set(RESERVE_NAMES.filter((name) => files.size(name) !== RESERVE_BYTES));
  }

  /** False when something of it was spent, or never had room. */
  get isWhole(): boolean {
    return this.#lacking.size === 0;
  }

  /**
   * Makes what is lacking.
   * @throws NoSpaceError
   */
  refill(): void {
    if (this.isWhole) return;
    for (const name of this.#lacking) {
      if (this.#files.size(name) !== undefined) this.#files.unlink(name);
      createWhole(this.#files, name, CONTENT);
      this.#lacking.delete(name);
    }
    this.#files.syncDirectory('');
  }

  /**
   * Puts a file in place, durably, in the room of the reserve; one that has this name is replaced.
   * @returns false when the reserve has no room for it: nothing was done.
   */
  spend(path: string, content: Uint8Array): boolean {
    const name = RESERVE_NAMES.find((kept) => !this.#lacking.has(kept));
    if (name === undefined || content.length > RESERVE_BYTES) return false;
    this.#lacking.add(name);
    this.#files.truncate(name, content.length);
    const handle = this.#files.overwrite(name);
    try {
      this.#files.write(handle, content);
      this.#files.sync(handle);
    } finally {
      this.#files.close(handle);
    }
    this.#files.rename(name, path);
    this.#files.syncDirectory('');
    return true;
  }
}
