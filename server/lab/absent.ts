/** The lab's paths on a server that is in no lab: they only say so. */
import type { FastifyInstance } from 'fastify';
import { sendProblem } from '#server/api/problems.ts';

const TEXT =
  'this server is in no lab (HOLDFAST_LAB_TOXIPROXY is not set): it knows of no link that could be cut';

/** Whatever the method, and before a body is read. */
export function addAbsentLab(app: FastifyInstance): void {
  for (const url of ['/api/v1/lab', '/api/v1/lab/*']) {
    app.all(url, {
      schema: { hide: true },
      onRequest: async (_request, reply) => sendProblem(reply, 404, TEXT),
      handler: () => undefined,
    });
  }
}
