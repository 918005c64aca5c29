/**
 * What a schema asks for, in words for the writer of a scenario: one short rule for each thing that
 * zod finds wrong. Where it stands in the file is for `file.ts` to say.
 */
import type { z } from 'zod';
import { nearest } from '#lab/suggest.ts';

const GOT_CHARS_MAX = 60;

/** For zod's `error`. Several unknown words make one issue, and here a line each. */
export function ruleOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${typeInWords(issue.expected)}${quotesFor(issue)}`;
    case 'invalid_value':
      return `must be ${alternatives(issue.values.map(String), String(issue.input))}`;
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownWord(key, wordsOf(issue.inst))).join('\n');
    case 'too_small':
      return tooSmall(issue);
    case 'too_big':
      return `must be at most ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`;
    case 'invalid_format':
      return `must be like ${issue.pattern ?? issue.format}`;
    default:
      return issue.message ?? 'is not allowed here';
  }
}

/** "one of a, b or c", with what was probably meant. */
export function alternatives(known: readonly string[], got: string): string {
  if (known.length === 1) return String(known[0]);
  const meant = nearest(got, known);
  const list = `one of ${known.join(', ')}`;
  return meant === undefined ? list : `${list}; did you mean ${meant}?`;
}

function unknownWord(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  if (meant !== undefined) return `is no word here; did you mean ${meant}?`;
  return `is no word here; there are: ${known.join(', ') || 'none'}`;
}

/** A value as it is shown in a message. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= GOT_CHARS_MAX ? text : `${text.slice(0, GOT_CHARS_MAX)}…`;
}

function typeInWords(expected: string): string {
  const words: Readonly<Record<string, string>> = {
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a map of words and values',
    record: 'a map of words and values',
  };
  return words[expected] ?? expected;
}

/** YAML takes 5 for a number and yes for a text; what is meant as a text has to say so. */
function quotesFor({ expected, input }: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidType>): string {
  const isScalar = typeof input === 'number' || typeof input === 'boolean';
  return expected === 'string' && isScalar ? ', in quotes' : '';
}

function tooSmall({ origin, minimum, inclusive }: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall>) {
  if (origin === 'string') return 'must not be empty';
  if (origin === 'array') return `must have at least ${minimum}`;
  return inclusive === false ? `must be more than ${minimum}` : `must be at least ${minimum}`;
}

/** The words that a strict object knows. */
function wordsOf(schema: unknown): readonly string[] {
  const shape = (schema as { _zod?: { def?: { shape?: object } } })?._zod?.def?.shape;
  return shape === undefined ? [] : Object.keys(shape);
}
