/** The paths of the series: /api/v1/series and /api/v1/series/metrics. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { BAD_REQUEST, NOT_NOW, sendProblem } from '#server/api/problems.ts';
import { StoreError } from '#server/store/store.ts';
import {
  catalogueQuery,
  catalogueResponse,
  columnsResponse,
  seriesQuery,
  seriesResponse,
} from './schemas.ts';
import type { SeriesIndex, SeriesReply } from './series-index.ts';

/** `index` is undefined where the setting is off; then the paths only say so. */
export function addSeriesRoutes(root: FastifyInstance, index: SeriesIndex | undefined): void {
  if (index !== undefined) return addBoth(root, index);
  for (const url of ['/api/v1/series', '/api/v1/series/metrics']) {
    root.get(url, { schema: { hide: true } }, (_request, reply) =>
      sendProblem(reply, 404, 'this server keeps no series: HOLDFAST_SERIES is off'),
    );
  }
}

function addBoth(root: FastifyInstance, index: SeriesIndex): void {
  const app = root.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/series',
    {
      schema: {
        summary: 'The numbers of JSON payloads over capture time, reduced to buckets.',
        querystring: seriesQuery,
        response: {
          200: {
            description: 'The series that match, in the form that was asked for.',
            content: { 'application/json': { schema: z.union([seriesResponse, columnsResponse]) } },
          },
          ...BAD_REQUEST,
          ...NOT_NOW,
        },
      },
    },
    async (request, reply) => {
      const { collector, metric, attribute, ...range } = request.query;
      const question = {
        collectors: collector ?? [],
        metrics: metric ?? [],
        attributes: attribute ?? [],
        from: range.from,
        to: range.to,
        points: range.points,
        form: range.form,
      };
      await answer(reply, index.series(question));
      return reply;
    },
  );

  app.get(
    '/api/v1/series/metrics',
    {
      schema: {
        summary: 'Which series there are, by collector.',
        querystring: catalogueQuery,
        response: {
          200: {
            description: 'The series by collector.',
            content: { 'application/json': { schema: catalogueResponse } },
          },
          ...BAD_REQUEST,
          ...NOT_NOW,
        },
      },
    },
    async (request, reply) => {
      await answer(reply, index.catalogue(request.query.collector ?? []));
      return reply;
    },
  );
}

async function answer(reply: FastifyReply, asking: Promise<SeriesReply>): Promise<void> {
  try {
    const asked = await asking;
    if ('wrong' in asked) sendProblem(reply, 400, asked.wrong);
    else reply.type('application/json; charset=utf-8').send(Buffer.from(asked.json.buffer));
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'busy') throw error;
    sendProblem(reply, 503, error.message);
  }
}
