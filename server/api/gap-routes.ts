/** /api/v1/gaps: what is not stored of a collector, and between which capture times it lies. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { formatTime } from '#protocol/identity.ts';
import type { ApiOptions } from './options.ts';
import { BAD_REQUEST, NOT_NOW } from './problems.ts';
import { gapsQuery, gapsResponse } from './schemas.ts';

export function addGapRoutes(root: FastifyInstance, { store, wallTime }: ApiOptions): void {
  root.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/gaps',
    {
      schema: {
        summary:
          'What is not stored of a collector, with the capture times of the stored frames next to it.',
        querystring: gapsQuery,
        response: { 200: gapsResponse, ...BAD_REQUEST, ...NOT_NOW },
      },
    },
    async (request) => {
      const { collector, from, to } = request.query;
      const { gaps, complete } = await store.gaps({
        collector,
        capturedFrom: from,
        capturedBefore: to,
      });
      return {
        as_of: formatTime(wallTime()),
        collector,
        complete,
        gaps: gaps.map((gap) => ({
          epoch: gap.epoch,
          kind: gap.kind,
          from: gap.from,
          to: gap.to,
          reason: gap.reason ?? null,
          captured_after: timeOrNull(gap.capturedAfter),
          captured_before: timeOrNull(gap.capturedBefore),
        })),
      };
    },
  );
}

function timeOrNull(time: number | undefined): string | null {
  return time === undefined ? null : formatTime(time);
}
