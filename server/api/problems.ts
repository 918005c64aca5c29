/**
 * Errors of the API as RFC 9457 problem details. They say what the caller can mend and nothing of
 * our insides.
 */
import type { FastifyReply } from 'fastify';
import { z } from 'zod';

export const PROBLEM_TYPE = 'application/problem+json';

export const problemSchema = z.object({
  type: z.literal('about:blank'),
  title: z.string().describe('The status in words.'),
  status: z.number().int(),
  detail: z.string().describe('What is wrong, and what to do.'),
});

type Problem = z.infer<typeof problemSchema>;

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

function problem(status: number, detail: string): Problem {
  return { type: 'about:blank', title: TITLES[status] ?? 'Error', status, detail };
}

export function sendProblem(reply: FastifyReply, status: number, detail: string): FastifyReply {
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .serializer(JSON.stringify)
    .send(problem(status, detail));
}
