/**
 * /api/v1/lab and /api/v1/lab/link: how the link stands and stood, and orders for it. The one place of
 * the API that changes anything; who may is the guard's to say, as everywhere (`access/api-guard.ts`).
 */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { formatTime } from '#protocol/identity.ts';
import {
  BAD_REQUEST,
  NOT_FROM_THERE,
  NOT_JSON,
  NOT_NOW,
  sendProblem,
} from '#server/api/problems.ts';
import { noQuery } from '#server/api/schemas.ts';
import { faultAnswer, linkAnswer } from './answers.ts';
import { type Lab, OrderFailed } from './lab.ts';
import { labResponse, linkOrder, linkResponse } from './schemas.ts';

export function addLabRoutes(root: FastifyInstance, lab: Lab, wallTime: () => number): void {
  const app = root.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/lab',
    {
      schema: {
        summary: 'How the link stands, and the faults that it had. In the lab only.',
        querystring: noQuery,
        response: { 200: labResponse, ...BAD_REQUEST },
      },
    },
    () => ({
      as_of: formatTime(wallTime()),
      link: linkAnswer(lab.link),
      collector_page: lab.collectorPage ?? null,
      faults: lab.faults.map(faultAnswer),
    }),
  );

  app.post(
    '/api/v1/lab/link',
    {
      schema: {
        summary:
          'Cuts the link, slows it, or restores it, and answers how it stands then. A cut link refuses every connection and ends those there are; to restore it takes off whatever is on it, of others too.',
        querystring: noQuery,
        body: linkOrder,
        response: {
          200: linkResponse,
          ...BAD_REQUEST,
          ...NOT_FROM_THERE,
          ...NOT_JSON,
          ...NOT_NOW,
        },
      },
    },
    async (request, reply) => {
      try {
        return linkAnswer(await lab.order(request.body));
      } catch (error) {
        if (error instanceof OrderFailed) return sendProblem(reply, 503, error.message) as never;
        throw error;
      }
    },
  );
}
