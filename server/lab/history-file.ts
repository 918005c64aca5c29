/**
 * The faults of the link on disk, so that a restart of the server does not forget them: one small
 * file beside the store, written anew whenever a fault begins or ends. Its time of change says when
 * a fault that goes on was last seen.
 *
 * It is a comfort and no more: nothing here waits for the disk, and nothing fails. What can't be read
 * is told and begun anew, what can't be written is told once and tried again with the next change.
 */
import { readFileSync, statSync } from 'node:fs';
import { open, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { LinkFault } from './link-history.ts';

const FILE = 'lab-link.json';

const time = z.int().nonnegative();
const history = z.strictObject({
  version: z.literal(1),
  faults: z.array(
    z
      .strictObject({
        from: time,
        to: time.nullable(),
        state: z.enum(['slow', 'cut', 'unknown']),
        details: z.array(z.string()),
      })
      .refine(({ from, to }) => to === null || to >= from),
  ),
});

/** Times in microseconds since 1970 UTC. */
interface Kept {
  readonly faults: readonly LinkFault[];
  /** When the link was looked at last, as far as the file tells: while a fault goes on. */
  readonly seenAt: number;
}

export class HistoryFile {
  readonly #path: string;
  readonly #log: Logger;
  /** What is to be written; undefined while the disk has all of it. */
  #next: { readonly faults?: readonly LinkFault[]; readonly seenAt: number } | undefined;
  #working: Promise<void> | undefined;
  #ailing = false;

  /** @param directory where it stands; it has to be there. */
  constructor(directory: string, log: Logger) {
    this.#path = join(directory, FILE);
    this.#log = log;
  }

  /** undefined where there is none, or none that can be used. */
  read(): Kept | undefined {
    try {
      const { faults } = history.parse(JSON.parse(readFileSync(this.#path, 'utf8')));
      const isLast = (at: number) => at === faults.length - 1;
      if (faults.some(({ to }, at) => to === null && !isLast(at))) throw new Error('out of order');
      return { faults, seenAt: Math.floor(statSync(this.#path).mtimeMs * 1_000) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      const text = `${this.#path} can't be used; the faults of the link are noted anew from now on. Nothing else is lost`;
      this.#log.warn({ event: 'lab_history_lost', err: error }, text);
      return undefined;
    }
  }

  /** Has these in the file soon, as seen at that time; of several calls at once the last one counts. */
  write(faults: readonly LinkFault[], seenAt: number): void {
    this.#next = { faults: [...faults], seenAt };
    this.#working ??= this.#work();
  }

  /** Notes that the fault that goes on was seen at that time. */
  touch(seenAt: number): void {
    if (this.#ailing) return;
    this.#next = { ...this.#next, seenAt };
    this.#working ??= this.#work();
  }

  /** Resolves when all that was to be written has been, or could not be. */
  async close(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#next = undefined;
      try {
        if (next.faults !== undefined) await this.#replace(next.faults);
        await utimes(this.#path, next.seenAt / 1e6, next.seenAt / 1e6);
        this.#ailing = false;
      } catch (error) {
        this.#tell(error);
      }
    }
    this.#working = undefined;
  }

  /** A reader, or a server after a crash, sees the old one or the new one. */
  async #replace(faults: readonly LinkFault[]): Promise<void> {
    const beside = `${this.#path}.new`;
    await using file = await open(beside, 'w', 0o600);
    await file.writeFile(JSON.stringify({ version: 1, faults }));
    await file.sync();
    await rename(beside, this.#path);
  }

  #tell(error: unknown): void {
    if (!this.#ailing) {
      const text = `${this.#path} can't be written; a restart will have forgotten the faults of the link. Nothing else is lost`;
      this.#log.warn({ event: 'lab_history_not_kept', err: error }, text);
    }
    this.#ailing = true;
  }
}
