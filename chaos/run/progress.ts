/**
 * What a person sees of a run while it goes on. On a terminal, a line under the finished scenarios
 * that is always now: what is being done, for how long, how much waits, how the link stands. Without
 * one, a plain line whenever something else is being done. Nothing here decides anything.
 */
import { styleText } from 'node:util';
import type { CollectorStatus } from '../observe/observer.ts';

const REDRAW_MS = 200;
const COLUMNS_USUAL = 100;

/** Where the lines go. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export type Mark = 'held' | 'failed' | 'open' | 'skipped';

const MARKS = {
  held: { sign: '✓', style: 'green' },
  failed: { sign: '✗', style: 'red' },
  open: { sign: '?', style: 'yellow' },
  skipped: { sign: '-', style: 'dim' },
} as const satisfies Record<Mark, { sign: string; style: Parameters<typeof styleText>[0] }>;

export class Progress {
  readonly #output: Output;
  #scenario: { readonly title: string; readonly beganMs: number } | undefined;
  #doing = '';
  #status: CollectorStatus | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  /** A line that stays. */
  line(text: string): void {
    this.#erase();
    this.#output.write(`${text}\n`);
    this.#draw();
  }

  /** A scenario begins; what is told from now on is about it. */
  begin(title: string): void {
    this.#scenario = { title, beganMs: performance.now() };
    this.#doing = '';
    this.#status = undefined;
    if (this.#output.isTTY === true) this.#timer = setInterval(() => this.#redraw(), REDRAW_MS);
    else this.#output.write(`${title}\n`);
  }

  doing(text: string): void {
    if (text === this.#doing) return;
    this.#doing = text;
    if (this.#output.isTTY === true) this.#redraw();
    else this.#output.write(`  ${this.#now()}\n`);
  }

  status(status: CollectorStatus): void {
    this.#status = status;
  }

  /** The scenario is over. */
  end(mark: Mark, text: string): void {
    clearInterval(this.#timer);
    this.#erase();
    this.#scenario = undefined;
    const { sign, style } = MARKS[mark];
    this.#output.write(`${this.#styled(style, sign)} ${text}\n`);
  }

  #redraw(): void {
    this.#erase();
    this.#draw();
  }

  #draw(): void {
    if (this.#output.isTTY !== true || this.#scenario === undefined) return;
    const { title } = this.#scenario;
    const columns = this.#output.columns ?? COLUMNS_USUAL;
    const now = this.#now();
    const whole = `… ${title}: ${now}`;
    // What is being done changes; what the scenario is called is enough to tell it by.
    const text = whole.length < columns ? whole : `… ${title.split(':', 1)[0]}: ${now}`;
    this.#output.write(text.length < columns ? text : `${text.slice(0, columns - 2)}…`);
  }

  #erase(): void {
    if (this.#output.isTTY === true && this.#scenario !== undefined)
      this.#output.write('\r\x1b[2K');
  }

  /** "12 s  Ready, 3 frames wait  the drain" */
  #now(): string {
    const sinceMs = performance.now() - (this.#scenario?.beganMs ?? 0);
    const seconds = `${Math.round(sinceMs / 1_000)} s`.padStart(5);
    const status = this.#status;
    const link =
      status === undefined ? '' : `${status.state}, ${status.queue.frames} frames wait | `;
    return `${seconds} | ${link}${this.#doing}`;
  }

  #styled(style: Parameters<typeof styleText>[0], text: string): string {
    return this.#output.isTTY === true ? styleText(style, text, { validateStream: false }) : text;
  }
}
