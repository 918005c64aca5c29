/** /api/v1/collectors and /api/v1/audit: who there is, and what became of all that they captured. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { formatTime } from '#protocol/identity.ts';
import { auditAnswer, collectorAnswer } from './answers.ts';
import type { ApiOptions } from './options.ts';
import { BAD_REQUEST, NOT_NOW } from './problems.ts';
import { auditQuery, auditResponse, collectorsResponse, noQuery } from './schemas.ts';

export function addCollectorRoutes(
  root: FastifyInstance,
  { store, connected, waiting, deliveryLag, wallTime }: ApiOptions,
): void {
  const app = root.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/collectors',
    {
      schema: {
        summary: 'Every collector ever heard, with what it does and its newest stored frame.',
        querystring: noQuery,
        response: { 200: collectorsResponse, ...BAD_REQUEST, ...NOT_NOW },
      },
    },
    async () => {
      const known = await store.collectors();
      const now = wallTime();
      return {
        as_of: formatTime(now),
        collectors: known.map((one) =>
          collectorAnswer(
            one,
            connected(one.collector),
            deliveryLag(one.collector),
            waiting(one.collector, now),
          ),
        ),
      };
    },
  );

  app.get(
    '/api/v1/audit',
    {
      schema: {
        summary: 'What became of every seq of every epoch, as far as this server can know.',
        querystring: auditQuery,
        response: { 200: auditResponse, ...BAD_REQUEST, ...NOT_NOW },
      },
    },
    async (request) => {
      const audits = await store.audit(request.query.collector);
      return {
        as_of: formatTime(wallTime()),
        store_id: store.storeId,
        collectors: audits.map((audit) => auditAnswer(audit, connected(audit.collector))),
      };
    },
  );
}
