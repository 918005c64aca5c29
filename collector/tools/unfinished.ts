/**
 * A queue's files as they are once an interrupted repair is completed, which the next opening does:
 * a repaired segment whose place is free is found under its own name. Reads only.
 */
import type { FileHandle, FileReader } from '#collector/producer/queue/file-port.ts';
import { repairedAs } from '#collector/producer/queue/repair.ts';

export class AsCompleted implements FileReader {
  readonly #files: FileReader;

  constructor(files: FileReader) {
    this.#files = files;
  }

  list(directory: string): string[] {
    const names = this.#files.list(directory);
    if (directory !== '') return names;
    const completed = names.map((name) => repairedAs(name)).filter((name) => name !== undefined);
    return [...new Set([...names, ...completed])];
  }

  size(path: string): number | undefined {
    return this.#files.size(this.#actual(path));
  }

  open(path: string): FileHandle {
    return this.#files.open(this.#actual(path));
  }

  read(handle: FileHandle, target: Uint8Array, position: number): number {
    return this.#files.read(handle, target, position);
  }

  close(handle: FileHandle): void {
    this.#files.close(handle);
  }

  #actual(path: string): string {
    if (this.#files.size(path) !== undefined) return path;
    const repaired = this.#files.list('').find((name) => repairedAs(name) === path);
    return repaired ?? path;
  }
}
