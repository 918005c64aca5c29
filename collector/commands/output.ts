/**
 * How the commands speak: tables and sizes for people, JSON for scripts, rows as a stream that waits
 * for whoever reads it, progress on a terminal, and the question before something is done.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';

export function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

/** Writes to stdout; resolves when there is room for more. */
export async function printRows(rows: string): Promise<void> {
  if (!process.stdout.write(rows)) await once(process.stdout, 'drain');
}

/** Rows under a heading, each column as wide as its widest; numbers stand on the right. */
export function table(heading: readonly string[], rows: readonly (string | number)[][]): string {
  const cells = [heading, ...rows.map((row) => row.map(String))];
  const widths = heading.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const isNumber = heading.map((_, i) => rows.every((row) => typeof row[i] === 'number'));
  return cells
    .map((row) =>
      row
        .map((cell, i) =>
          isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function sizeText(bytes: number): string {
  const power = bytes < 1_024 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const scaled = bytes / 1_024 ** power;
  return `${power === 0 ? bytes : scaled.toFixed(1)} ${UNITS[power]}`;
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** One line on a terminal's stderr that is written over; nothing where nobody watches. */
export class Progress {
  readonly #everyMs = 200;
  #shownAt = Number.NEGATIVE_INFINITY;
  #isShown = false;

  show(text: () => string): void {
    if (!process.stderr.isTTY || performance.now() - this.#shownAt < this.#everyMs) return;
    this.#shownAt = performance.now();
    this.#isShown = true;
    process.stderr.write(`\r\u001b[K${text()}`);
  }

  end(): void {
    if (this.#isShown) process.stderr.write('\r\u001b[K');
    this.#isShown = false;
  }
}

/** Whether somebody is there who could be asked. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks on the terminal; only a yes is one. */
export async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
