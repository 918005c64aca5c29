/**
 * What the disk itself takes for making a few bytes durable: measured close to the frames, in the
 * same process, so that it sees the same neighbours.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';

export class SyncProbe {
  readonly #file: number;

  /** Makes a file, which lies on the disk in question. */
  constructor(path: string) {
    this.#file = openSync(path, 'wx');
  }

  /** Writes behind the file's end and syncs; answers how long both took, in milliseconds. */
  measure(bytes: Uint8Array): number {
    const startedAt = performance.now();
    writeSync(this.#file, bytes);
    fdatasyncSync(this.#file);
    return performance.now() - startedAt;
  }

  close(): void {
    closeSync(this.#file);
  }
}
