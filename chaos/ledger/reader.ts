/**
 * A ledger, read: what was attempted, with what outcome, and whether the account itself can be
 * believed.
 *
 * A process that is killed leaves at most one unfinished line, at the end of what it wrote; the
 * next process ends that line and says in its own first line how long the fragment is. Any other
 * line that doesn't read is damage. What an attempt's missing answer means is told by Jepsen's rule:
 * it is indeterminate, whether stored or not.
 *
 * Invariants: attempts are numbered without a hole and their capture times ascend strictly, or the
 * ledger has problems; reading never throws for what is in the file.
 */

import type { LedgerLine, StartLine } from './lines.ts';
import { type AcceptedLine, type AttemptLine, type FailedLine, parseLine } from './lines.ts';

export interface Attempt {
  readonly n: number;
  /** The id under which the source ran when it made the attempt. */
  readonly collector: string;
  /** Microseconds since 1970 UTC. */
  readonly capturedAt: number;
  readonly bytes: number;
  readonly sha256: string;
  outcome: 'indeterminate' | 'accepted' | 'refused';
  /** The identity that the queue gave it; undefined unless accepted. */
  identity: { readonly epoch: string; readonly seq: number } | undefined;
}

export interface LedgerProblem {
  /** Counted from 1. */
  readonly line: number;
  readonly text: string;
}

export interface Ledger {
  readonly starts: readonly StartLine[];
  /** In the order of their numbers, from 1. */
  readonly attempts: readonly Attempt[];
  /** Attempts that were due and not made. */
  readonly skipped: number;
  /** Unfinished lines that killed processes left. */
  readonly torn: number;
  /** The last process ended its account. Without it, more may have happened than is told here. */
  readonly ended: boolean;
  /** What makes the account unbelievable; empty in any ledger that was only cut short. */
  readonly problems: readonly LedgerProblem[];
}

/** Problems told one by one; more add nothing. */
const PROBLEMS_TOLD_MAX = 20;

/** Takes in lines, without their line ends, in their order. */
export class LedgerReader {
  readonly #starts: StartLine[] = [];
  readonly #attempts: Attempt[] = [];
  readonly #problems: LedgerProblem[] = [];
  #skipped = 0;
  #torn = 0;
  #ended = false;
  #line = 0;
  /** The newest line, until the one after it tells whether it was a fragment. */
  #held: string | undefined;

  push(text: string): void {
    const start = startOf(text);
    const held = this.#held;
    if (held !== undefined && start !== undefined && isFragment(held, start)) {
      this.#line += 1;
      this.#torn += 1;
    } else {
      this.#takeHeld();
    }
    this.#held = text;
  }

  /** `rest` is what stands behind the last line end, '' when nothing does. */
  finish(rest: string): Ledger {
    this.#takeHeld();
    return {
      starts: this.#starts,
      attempts: this.#attempts,
      skipped: this.#skipped,
      torn: this.#torn + (rest === '' ? 0 : 1),
      ended: this.#ended && rest === '',
      problems: this.#problems,
    };
  }

  #takeHeld(): void {
    if (this.#held === undefined) return;
    this.#line += 1;
    const line = parseLine(this.#held);
    this.#held = undefined;
    if (line === undefined) this.#problem('is no line of a ledger');
    else if (line.type === 'start') this.#onStart(line);
    else this.#onLine(line);
  }

  #onStart(start: StartLine): void {
    const next = this.#attempts.length + 1;
    if (start.next !== next) {
      this.#problem(`a start that goes on with attempt ${start.next}, where ${next} is next`);
    }
    this.#starts.push(start);
    this.#ended = false;
  }

  #onLine(line: Exclude<LedgerLine, StartLine>): void {
    if (this.#starts.length === 0) this.#problem(`${line.type} before any start`);
    if (this.#ended) this.#problem(`${line.type} behind an end`);
    switch (line.type) {
      case 'attempt':
        return this.#onAttempt(line);
      case 'accepted':
      case 'refused':
      case 'unsure':
        return this.#onAnswer(line);
      case 'skipped':
        this.#skipped += line.frames;
        return;
      case 'end':
        if (line.attempts !== this.#attempts.length) {
          this.#problem(
            `an end after ${line.attempts} attempts; ${this.#attempts.length} are here`,
          );
        }
        this.#ended = true;
        return;
      default:
        line satisfies never;
    }
  }

  #onAttempt({ n, captured_at: capturedAt, bytes, sha256 }: AttemptLine): void {
    const last = this.#attempts.at(-1);
    if (n !== this.#attempts.length + 1) {
      this.#problem(`attempt ${n}, where ${this.#attempts.length + 1} is next`);
      return;
    }
    if (last !== undefined && capturedAt <= last.capturedAt) {
      this.#problem(`attempt ${n} was not captured after the one before it`);
    }
    const collector = this.#starts.at(-1)?.collector ?? '';
    const open = { outcome: 'indeterminate', identity: undefined } as const;
    this.#attempts.push({ n, collector, capturedAt, bytes, sha256, ...open });
  }

  #onAnswer(line: AcceptedLine | FailedLine): void {
    const attempt = this.#attempts[line.n - 1];
    if (attempt === undefined) return this.#problem(`${line.type} of ${line.n}, never attempted`);
    if (attempt.outcome !== 'indeterminate') {
      return this.#problem(`${line.type} of ${line.n}, which was ${attempt.outcome} before`);
    }
    if (line.type === 'unsure') return;
    attempt.outcome = line.type;
    if (line.type === 'accepted') attempt.identity = { epoch: line.epoch, seq: line.seq };
  }

  #problem(text: string): void {
    if (this.#problems.length >= PROBLEMS_TOLD_MAX) return;
    this.#problems.push({ line: this.#line, text });
  }
}

/** Looked at for each line, so most are told by their first letters. */
function startOf(text: string): StartLine | undefined {
  if (!text.startsWith('{"type":"start"')) return undefined;
  const line = parseLine(text);
  return line?.type === 'start' ? line : undefined;
}

/**
 * A fragment may happen to be a line that lacked nothing but its line end. It still doesn't count:
 * the process that wrote it never learned that it was on disk, and so never acted on it.
 */
function isFragment(text: string, next: StartLine): boolean {
  return next.torn_bytes > 0 && Buffer.byteLength(text) === next.torn_bytes;
}
