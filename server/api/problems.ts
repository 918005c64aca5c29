/**
 * Errors of the API as RFC 9457 problem details. They say what the caller can mend and nothing of
 * our insides.
 */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';

export const PROBLEM_TYPE = 'application/problem+json';

const problemSchema = z.object({
  type: z.literal('about:blank').describe('The status says what kind of problem it is.'),
  title: z.string().describe('The status in words.'),
  status: z.number().int(),
  detail: z.string().describe('What is wrong, and what to do.'),
  instance: z.string().describe("This occurrence, a URN; the server's log has it beside errors."),
});

/** What a path may answer beside what it is for: for the OpenAPI document. */
export const BAD_REQUEST = { 400: described('A parameter that is unknown, or has a wrong value.') };
export const NOT_FROM_THERE = { 403: described('A browser asks for a page of another site.') };
export const NOT_JSON = { 415: described('The body is not of type application/json.') };
export const NOT_NOW = { 503: described('It can not be done now; the detail says why.') };

/** A name for one occurrence of a problem. */
export function newInstance(): string {
  return `urn:uuid:${randomUUID()}`;
}

export function problemOf(
  status: number,
  detail: string,
  instance = newInstance(),
): z.infer<typeof problemSchema> {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, instance };
}

/** `instance` where the log names it too. */
export function sendProblem(
  reply: FastifyReply,
  status: number,
  detail: string,
  instance?: string,
): FastifyReply {
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .serializer(JSON.stringify)
    .send(problemOf(status, detail, instance));
}

function described(description: string) {
  return { description, content: { [PROBLEM_TYPE]: { schema: problemSchema } } };
}
