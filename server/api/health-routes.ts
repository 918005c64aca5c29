/** /healthz, /readyz, /metrics: for what watches the process, not for who wants data. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ApiOptions } from './options.ts';
import { BAD_REQUEST, NOT_NOW, sendProblem } from './problems.ts';
import { healthResponse, noQuery } from './schemas.ts';

export function addHealthRoutes(
  root: FastifyInstance,
  { store, listening, metrics }: ApiOptions,
): void {
  const app = root.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/healthz',
    {
      schema: {
        summary: 'The process is alive: restart it where this is not answered.',
        security: [],
        querystring: noQuery,
        response: { 200: healthResponse, ...BAD_REQUEST },
      },
    },
    () => ({ status: 'ok' }) as const,
  );

  app.get(
    '/readyz',
    {
      schema: {
        summary:
          'Collectors are served: the last commit succeeded and their port is open. 503 says what is in the way; the server goes on trying by itself.',
        security: [],
        querystring: noQuery,
        response: { 200: healthResponse, ...BAD_REQUEST, ...NOT_NOW },
      },
    },
    async (_request, reply) => {
      if (!store.status.writable) return sendProblem(reply, 503, store.status.reason);
      if (!listening()) return sendProblem(reply, 503, 'the port for collectors is not open');
      return reply.send({ status: 'ok' });
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        summary: "The server's own figures in Prometheus' text format.",
        querystring: noQuery,
        produces: ['text/plain'],
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()),
  );
}
