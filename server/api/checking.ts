/**
 * Checks what a request brings against the schema of its path, and says in words what is wrong: each
 * parameter or field, and its rule. A schema's own words go before these.
 */
import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';

/** For Fastify, which refuses by the error's message with 400. */
export const checkRequest: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  return (given) => {
    const { success, data, error } = schema.safeParse(given, { error: ruleOf });
    if (success) return { value: data };
    return { error: new Error(error.issues.map((issue) => inWords(issue, httpPart)).join('; ')) };
  };
};

function inWords({ path, code, message }: z.core.$ZodIssue, part = 'request'): string {
  if (path.length > 0) return `${path.join('/')}: ${message}`;
  return code === 'unrecognized_keys' ? message : `the ${part} ${message}`;
}

/** For zod's `error`. */
function ruleOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue);
    case 'invalid_value':
      return Array.isArray(issue.input) ? ONCE : `must be ${oneOf(issue.values.map(String))}`;
    case 'invalid_union':
      return `must be ${oneOf(wordsOf(issue))}`;
    case 'unrecognized_keys':
      return unknownKeys(issue.keys, keysOf(issue.inst));
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be at least ${issue.minimum}`;
    case 'too_big':
      if (issue.origin === 'array') return `must be given at most ${issue.maximum} times`;
      return `must be at most ${issue.maximum}`;
    default:
      return issue.message ?? 'is not allowed';
  }
}

const ONCE = 'must be given once';

const TYPES: Readonly<Record<string, string>> = {
  object: 'an object',
  number: 'a number',
  int: 'a whole number',
  string: 'a text',
};

/** A parameter that is given twice comes as a list. */
function wrongType({ expected, input }: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidType>): string {
  if (expected !== 'object' && Array.isArray(input)) return ONCE;
  return `must be ${TYPES[expected] ?? expected}`;
}

/** Those that tell apart what a body may be. */
function wordsOf({ options }: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>): string[] {
  return Array.isArray(options) ? options.map(String) : [];
}

/** "a, b or c" */
function oneOf(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} or ${last}`;
}

function unknownKeys(keys: readonly string[], known: readonly string[]): string {
  const there = known.length === 0 ? 'are none here' : `are ${known.join(', ')}`;
  return `there is no ${keys.map((key) => JSON.stringify(key)).join(', ')}; there ${there}`;
}

/** What a strict object takes. */
function keysOf(schema: unknown): readonly string[] {
  const shape = (schema as { _zod?: { def?: { shape?: object } } })?._zod?.def?.shape;
  return shape === undefined ? [] : Object.keys(shape);
}
