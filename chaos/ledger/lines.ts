/**
 * The lines of a ledger: the load source's own account of what it tried, kept outside everything
 * that is judged. One JSON object a line; docs/oracle.md describes them for people.
 *
 * Lives here: their shapes, writing one and reading one. Not here: files (`writer.ts`) and what the
 * lines mean together (`reader.ts`). Nothing of the product is imported: source and judge share
 * this form, the judged shares nothing with either.
 *
 * Times are whole microseconds since 1970 UTC, which a JSON number holds exactly until 2255.
 */

export const LEDGER_VERSION = 1;

/** Opens the account of one process: the first line of the file, and one more for each restart. */
export interface StartLine {
  readonly type: 'start';
  readonly version: typeof LEDGER_VERSION;
  /** A UUID, another one for each process. */
  readonly run: string;
  /** The id under which the server knows the source. */
  readonly collector: string;
  readonly seed: number;
  readonly at: number;
  /** The number of the first attempt that follows: one more than the last one before. */
  readonly next: number;
  /** Bytes of the unfinished line that the process before left; that line stands before this one. */
  readonly torn_bytes: number;
  readonly settings: Readonly<Record<string, string | number>>;
}

/** On disk before the call. */
export interface AttemptLine {
  readonly type: 'attempt';
  /** 1, 2, 3 … through the whole file, restarts included. */
  readonly n: number;
  /** Ascends strictly through the whole file, so it names the attempt as well as `n` does. */
  readonly captured_at: number;
  readonly bytes: number;
  /** Of the payload, 64 hex digits. */
  readonly sha256: string;
}

/** The queue has taken it and said under which identity. */
export interface AcceptedLine {
  readonly type: 'accepted';
  readonly n: number;
  readonly epoch: string;
  readonly seq: number;
}

/** `refused`: it surely was not taken. `unsure`: it failed in a way that leaves that open. */
export interface FailedLine {
  readonly type: 'refused' | 'unsure';
  readonly n: number;
  readonly code: string;
  readonly reason: string;
}

/** Attempts that were due and not made: the source stood still, or too many waited for answers. */
interface SkippedLine {
  readonly type: 'skipped';
  readonly frames: number;
  readonly reason: 'stalled' | 'outstanding';
}

/** The process makes no more attempts, and each one it made has its answer. */
interface EndLine {
  readonly type: 'end';
  readonly at: number;
  /** All of the file. */
  readonly attempts: number;
}

export type LedgerLine =
  | StartLine
  | AttemptLine
  | AcceptedLine
  | FailedLine
  | SkippedLine
  | EndLine;

/** The line with its line end. */
export function formatLine(line: LedgerLine): string {
  return `${JSON.stringify(line)}\n`;
}

type Fields = Readonly<Record<string, unknown>>;

const SHA256 = /^[0-9a-f]{64}$/;

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isNumber = (value: unknown): boolean => isCount(value) && Number(value) > 0;
const isText = (value: unknown): boolean => typeof value === 'string';
const isDigest = (value: unknown): boolean => typeof value === 'string' && SHA256.test(value);
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

const failed = { n: isNumber, code: isText, reason: isText };

/** What each field of each line must be. Checked by hand: a ledger has millions of lines. */
const FIELDS: Readonly<Record<LedgerLine['type'], Readonly<Record<string, typeof isText>>>> = {
  start: {
    version: (value) => value === LEDGER_VERSION,
    run: isText,
    collector: isText,
    seed: isCount,
    at: isCount,
    next: isNumber,
    torn_bytes: isCount,
    settings: isObject,
  },
  attempt: { n: isNumber, captured_at: isCount, bytes: isCount, sha256: isDigest },
  accepted: { n: isNumber, epoch: isText, seq: isNumber },
  refused: failed,
  unsure: failed,
  skipped: { frames: isNumber, reason: isText },
  end: { at: isCount, attempts: isCount },
};

/** Undefined for what is no line of a ledger, whatever is wrong with it. */
export function parseLine(text: string): LedgerLine | undefined {
  let value: Fields;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const type = value.type;
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type)) return undefined;
  const fields = FIELDS[type as LedgerLine['type']];
  for (const name in fields) if (!fields[name]?.(value[name])) return undefined;
  return value as unknown as LedgerLine;
}
