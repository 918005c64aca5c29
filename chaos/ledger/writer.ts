/**
 * Writing a ledger: append-only, one writer, group commit.
 *
 * `append` only collects; `sync` resolves once everything collected before it is on disk. While one
 * sync runs, what comes goes into the next, so thousands of lines a second cost a few dozen syncs.
 * A ledger that exists is continued: a fragment left by a killed process is ended, never cut off,
 * so that nothing written is ever taken back.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatLine, LEDGER_VERSION, type LedgerLine, type StartLine } from './lines.ts';
import { linesOf } from './lines-of.ts';
import { LedgerReader } from './reader.ts';

export type LedgerErrorCode = 'ledger_open_failed' | 'ledger_damaged' | 'ledger_write_failed';

/** The ledger can't be used. The source must stop: what it can't account for proves nothing. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';
  readonly code: LedgerErrorCode;

  constructor(code: LedgerErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** What a ledger held when it was opened. */
export interface LedgerPast {
  /** The number of the last attempt; 0 in a new ledger. */
  readonly attempts: number;
  /** Microseconds since 1970 UTC; undefined before the first attempt. */
  readonly lastCapturedAt: number | undefined;
  readonly seed: number | undefined;
  readonly tornBytes: number;
}

interface Waiter {
  resolve(): void;
  reject(error: LedgerError): void;
}

export class LedgerWriter {
  readonly path: string;
  readonly past: LedgerPast;
  readonly #file: FileHandle;
  #lines: string[] = [];
  #waiters: Waiter[] = [];
  #writing: Promise<void> | undefined;
  #failure: LedgerError | undefined;

  /**
   * Opens the ledger or makes it; its directory must be there.
   * @throws LedgerError `ledger_open_failed`, or `ledger_damaged` when there is a ledger that can't
   * be continued because its account has holes.
   */
  static async open(path: string): Promise<LedgerWriter> {
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'a', 0o600);
      await syncDirectory(dirname(path));
      return new LedgerWriter(path, file, await readPast(path));
    } catch (error) {
      await file?.close();
      if (error instanceof LedgerError) throw error;
      const text = `the ledger ${path} can't be opened (${reasonOf(error)}); nothing was sent. Its directory must exist and be writable by this user; HOLDFAST_LEDGER_PATH names the file`;
      throw new LedgerError('ledger_open_failed', text, error);
    }
  }

  private constructor(path: string, file: FileHandle, past: LedgerPast) {
    this.path = path;
    this.#file = file;
    this.past = past;
  }

  /** Writes the first line of this process. Resolves when it is on disk. */
  async start(facts: Omit<StartLine, 'type' | 'version' | 'next' | 'torn_bytes'>): Promise<void> {
    const { attempts, tornBytes } = this.past;
    // Ends the fragment, and with it says that the fragment is one.
    if (tornBytes > 0) this.#lines.push('\n');
    const version = LEDGER_VERSION;
    const { run, collector, seed, at, settings } = facts;
    const whose = { run, collector, seed, at };
    const where = { next: attempts + 1, torn_bytes: tornBytes };
    this.append({ type: 'start', version, ...whose, ...where, settings });
    await this.sync();
  }

  append(line: LedgerLine): void {
    this.#lines.push(formatLine(line));
  }

  /** @throws LedgerError `ledger_write_failed`, from then on always. */
  sync(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const synced = new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    this.#writing ??= this.#write();
    return synced;
  }

  /** Syncs what is left and closes the file. */
  async close(): Promise<void> {
    await this.sync();
    await this.#file.close();
  }

  async #write(): Promise<void> {
    while (this.#waiters.length > 0) {
      const waiters = this.#waiters;
      const text = this.#lines.join('');
      this.#waiters = [];
      this.#lines = [];
      try {
        if (this.#failure === undefined) await this.#persist(text);
      } catch (error) {
        const what = `the ledger ${this.path} can't be written (${reasonOf(error)}). Attempts up to now are accounted for; no more are made. Make room or mend the disk, then start again`;
        this.#failure = new LedgerError('ledger_write_failed', what, error);
      }
      const failure = this.#failure;
      for (const { resolve, reject } of waiters) failure ? reject(failure) : resolve();
    }
    this.#writing = undefined;
  }

  async #persist(text: string): Promise<void> {
    if (text === '') return;
    await this.#file.appendFile(text);
    await this.#file.datasync();
  }
}

async function readPast(path: string): Promise<LedgerPast> {
  const reader = new LedgerReader();
  const rest = await linesOf(path, reader);
  const { problems, attempts, starts } = reader.finish(rest);
  const [problem] = problems;
  if (problem !== undefined) {
    const text = `the ledger ${path} is damaged: line ${problem.line}: ${problem.text}. Nothing was sent and nothing in it was changed. Move it away to begin a new one`;
    throw new LedgerError('ledger_damaged', text);
  }
  return {
    attempts: attempts.length,
    lastCapturedAt: attempts.at(-1)?.capturedAt,
    seed: starts.at(-1)?.seed,
    tornBytes: Buffer.byteLength(rest),
  };
}

/** So that a new ledger's name survives a power cut, too. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
