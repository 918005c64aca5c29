/**
 * The text of a tokens file: which keys prove which collector. Reading it with every mistake named
 * by its line, and writing it. Pure; the file itself is the business of `watched.ts`, which reads
 * it, and of the command `server token`, which writes it.
 *
 * A line is a collector's id and a key in hex; the newest key of a collector stands last. Empty
 * lines and those that begin with # are kept and mean nothing. What a line has in place of a key
 * may be a token that somebody put there by mistake: no message repeats it.
 */
import { createHash } from 'node:crypto';
import { type MacKey, macKeyFromHex } from '#protocol/handshake.ts';
import { COLLECTOR_ID_RULE, isCollectorId } from '#protocol/identity.ts';
import { MAC_KEY_BYTES } from '#protocol/limits.ts';
import { KEYS_PER_COLLECTOR_MAX } from './keys.ts';

export interface TokenLine {
  readonly collector: string;
  readonly key: MacKey;
}

/** A tokens file that can't be used. The message lists what is wrong, one line each. */
export class TokensFileError extends Error {
  override readonly name = 'TokensFileError';
  readonly code = 'tokens_file';

  constructor(problems: readonly string[]) {
    super(problems.join('\n  '));
  }
}

/** Why a tokens file could not be read, to be put behind its path. */
export function unreadableTokens(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
    return 'is not there: `./holdfast server token add COLLECTOR` makes it with the first token';
  }
  return `can't be read: ${error instanceof Error ? error.message : error}`;
}

/** Stands in a file that names nobody: an empty one is taken for one that is being written. */
const HEADER = '# Keys of collectors, made by ./holdfast server token';

/** Of a file with many mistakes the first are enough. */
const PROBLEMS_MAX = 10;

export class TokensFile {
  /** Strings mean nothing to us, and are kept. */
  readonly #lines: readonly (TokenLine | string)[];

  constructor(lines: readonly (TokenLine | string)[] = [HEADER]) {
    this.#lines = lines;
  }

  /** Throws TokensFileError. */
  static parse(text: string): TokensFile {
    if (text.trim() === '') throw new TokensFileError(['it is empty']);
    const lines: (TokenLine | string)[] = [];
    const keys = new Map<string, MacKey[]>();
    const problems: string[] = [];
    for (const [index, raw] of text.replace(/\n$/, '').split('\n').entries()) {
      const line = parseLine(raw.trim());
      if (typeof line === 'object' && 'key' in line) {
        const before = keys.get(line.collector) ?? [];
        const problem = excess(line, before);
        if (problem !== undefined) problems.push(`line ${index + 1} ${problem}`);
        keys.set(line.collector, [...before, line.key]);
      }
      if (typeof line === 'object' && 'problem' in line) {
        problems.push(`line ${index + 1} ${line.problem}`);
      } else lines.push(line);
    }
    if (problems.length === 0) return new TokensFile(lines);
    const more = problems.length - PROBLEMS_MAX;
    throw new TokensFileError([
      ...problems.slice(0, PROBLEMS_MAX),
      ...(more > 0 ? [`and ${more} more`] : []),
    ]);
  }

  get entries(): readonly TokenLine[] {
    return this.#lines.filter((line) => typeof line === 'object');
  }

  keysByCollector(): ReadonlyMap<string, readonly MacKey[]> {
    const keys = new Map<string, MacKey[]>();
    for (const { collector, key } of this.entries) {
      keys.set(collector, [...(keys.get(collector) ?? []), key]);
    }
    return keys;
  }

  with(line: TokenLine): TokensFile {
    return new TokensFile([...this.#lines, line]);
  }

  without(unwanted: (line: TokenLine) => boolean): TokensFile {
    const kept = this.#lines.filter((line) => typeof line === 'string' || !unwanted(line));
    return new TokensFile(kept.length > 0 ? kept : [HEADER]);
  }

  format(): string {
    return this.#lines
      .map((line) => `${typeof line === 'string' ? line : textOf(line)}\n`)
      .join('');
  }
}

/** Names a key without giving it away. */
export function fingerprintOf(key: MacKey): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 12);
}

function textOf({ collector, key }: TokenLine): string {
  return `${collector} ${key.toString('hex')}`;
}

function parseLine(line: string): TokenLine | string | { readonly problem: string } {
  if (line === '' || line.startsWith('#')) return line;
  const [collector = '', hex = '', ...rest] = line.split(/\s+/);
  if (!isCollectorId(collector)) {
    return { problem: `must begin with a collector id: ${COLLECTOR_ID_RULE}` };
  }
  const key = macKeyFromHex(hex);
  if (key === undefined || rest.length > 0) {
    return {
      problem: `must be a collector id, a blank, and a key of ${2 * MAC_KEY_BYTES} digits 0-9 and a-f, not a token; \`./holdfast server token add\` makes such lines`,
    };
  }
  return { collector, key };
}

/** Why a line is one too many, beside the keys that its collector has further up. */
function excess({ collector, key }: TokenLine, before: readonly MacKey[]): string | undefined {
  if (before.some((other) => other.equals(key))) return `repeats a line of ${collector}`;
  if (before.length < KEYS_PER_COLLECTOR_MAX) return undefined;
  return `is one too many for ${collector}: ${KEYS_PER_COLLECTOR_MAX} tokens count at a time, so that one can follow another`;
}
