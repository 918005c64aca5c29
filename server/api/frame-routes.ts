/** /api/v1/frames: stored frames, page by page. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { frameJson, isIntact } from './frame-text.ts';
import type { ApiOptions } from './options.ts';
import { cursorOf } from './position.ts';
import { BAD_REQUEST, NOT_NOW } from './problems.ts';
import { framesQuery, framesResponse } from './schemas.ts';

export function addFrameRoutes(root: FastifyInstance, { store }: ApiOptions): void {
  root.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/frames',
    {
      schema: {
        summary:
          'Stored frames, page by page. What comes in behind the cursor meanwhile is in a later page; nothing moves between pages.',
        querystring: framesQuery,
        response: {
          200: {
            description: 'A page.',
            content: { 'application/json': { schema: framesResponse } },
          },
          ...BAD_REQUEST,
          ...NOT_NOW,
        },
      },
    },
    async (request, reply) => {
      const { collector, epoch, from, to, order, limit, cursor } = request.query;
      const filter = { collector, epoch, capturedFrom: from, capturedBefore: to };
      const page = await store.frames({ ...filter, order, limit, after: cursor });
      const last = page.last ? undefined : page.frames.at(-1);
      const frames = page.frames.map((frame) => frameJson(frame, isIntact(frame)));
      const next = last === undefined ? null : cursorOf(last);
      // Text already: payloads go out as they came.
      return reply
        .type('application/json; charset=utf-8')
        .send(`{"frames":[${frames.join(',')}],"next_cursor":${JSON.stringify(next)}}` as never);
    },
  );
}
