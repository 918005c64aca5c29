/** /api/v1/events: the way into the stream of `event-stream.ts`. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { Gauge } from 'prom-client';
import { z } from 'zod';
import { EVENTS_TYPE, type EventStream } from './event-stream.ts';
import type { ApiOptions } from './options.ts';
import { BAD_REQUEST, NOT_NOW, sendProblem } from './problems.ts';
import { noQuery } from './schemas.ts';

const SCHEMA = {
  summary:
    'What happens, as server-sent events: hello, stored, collector, in the lab link, and reset where a reader that comes back has missed more than is kept: then ask the other paths anew.',
  querystring: noQuery,
  response: {
    200: {
      description:
        'Events without end. Each has an id; who comes back with it as Last-Event-ID is told what has changed since.',
      content: { 'text/event-stream': { schema: z.string() } },
    },
    ...BAD_REQUEST,
    ...NOT_NOW,
  },
};

export function addEventRoutes(
  root: FastifyInstance,
  { metrics }: Pick<ApiOptions, 'metrics'>,
  stream: EventStream,
): void {
  new Gauge({
    name: 'holdfast_api_event_clients',
    help: 'Readers of /api/v1/events that are connected.',
    registers: [metrics],
    collect() {
      this.set(stream.clientCount);
    },
  });
  const app = root.withTypeProvider<ZodTypeProvider>();
  const answer = (lastEventId: string | undefined, reply: FastifyReply) => {
    if (stream.full) {
      const text = 'as many readers of events as there may be are connected; try again later';
      return sendProblem(reply.header('retry-after', 10), 503, text);
    }
    reply.hijack();
    stream.add(reply.raw, reply.getHeaders() as Record<string, string>, lastEventId);
    return reply;
  };
  app.get('/api/v1/events', { exposeHeadRoute: false, schema: SCHEMA }, (request, reply) => {
    const id = request.headers['last-event-id'];
    return answer(typeof id === 'string' && id !== '' ? id : undefined, reply) as never;
  });
  app.head(
    '/api/v1/events',
    { schema: { querystring: noQuery, hide: true } },
    async (_request, reply) => reply.type(EVENTS_TYPE).send(),
  );
}
