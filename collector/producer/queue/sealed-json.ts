/**
 * The form of the queue's small files: a line that names what the file is, its version and the
 * CRC-32 of the rest, and one line of JSON. Here: writing and reading that form, and the checks by
 * which readers take values out of the JSON. What the values mean is the readers'.
 */
import { crc32 } from 'node:zlib';
import { formatCrc, isUuid } from '#protocol/identity.ts';
import { isSeq } from './segment.ts';

export type Unsealed<T> =
  | { readonly state: 'loaded'; readonly value: T }
  /** `isNewer`: it says that a later version of this program wrote it. */
  | { readonly state: 'unreadable'; readonly why: string; readonly isNewer?: boolean };

/** @param kind What the file is: lower-case letters and hyphens. */
export function sealJson(kind: string, version: number, value: unknown): Buffer {
  const body = JSON.stringify(value);
  const crc = formatCrc(crc32(body));
  return Buffer.from(`${kind} ${version} ${crc}\n${body}\n`);
}

/**
 * Reads what `sealJson` wrote. Anything else is `unreadable`, with the reason as a phrase.
 * @param convert Takes the JSON's value apart by the checks below.
 */
export function unsealJson<T>(
  bytes: Buffer,
  kind: string,
  version: number,
  convert: (value: unknown) => T,
): Unsealed<T> {
  const text = bytes.toString();
  const head = /^([a-z-]+) (\d{1,9}) ([0-9a-f]{8})\n/.exec(text);
  if (head === null || head[1] !== kind) {
    return { state: 'unreadable', why: `it does not begin with ${kind}` };
  }
  if (Number(head[2]) !== version) {
    const isNewer = Number(head[2]) > version;
    return { state: 'unreadable', why: `it has format version ${head[2]}`, isNewer };
  }
  const body = text.slice(head[0].length, -1);
  if (!text.endsWith('\n') || crc32(body) !== Number.parseInt(head[3] ?? '', 16)) {
    return { state: 'unreadable', why: 'its checksum does not match' };
  }
  try {
    return { state: 'loaded', value: convert(JSON.parse(body)) };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof UnexpectedValue) {
      return { state: 'unreadable', why: error.message };
    }
    throw error;
  }
}

/** A value in the file that no queue writes. Thrown by the checks; `unsealJson` answers it. */
export class UnexpectedValue extends Error {
  constructor(what: string, value: unknown) {
    super(`${what} is ${JSON.stringify(value)?.slice(0, 80)}`);
  }
}

export function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UnexpectedValue('an object', value);
  }
  return value as Record<string, unknown>;
}

export function array(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new UnexpectedValue('a list', value);
  return value;
}

export function uuid(value: unknown): string {
  if (typeof value !== 'string' || !isUuid(value)) throw new UnexpectedValue('a UUID', value);
  return value;
}

export function seq(value: unknown): number {
  if (typeof value !== 'number' || !isSeq(value)) throw new UnexpectedValue('a seq', value);
  return value;
}

/** A whole number from 0 to `most`. */
export function count(value: unknown, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most) {
    throw new UnexpectedValue('a number', value);
  }
  return value;
}
