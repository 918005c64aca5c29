/**
 * The paths of the API: each is a read of the store, put into words by `answers.ts`.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { formatTime } from '#protocol/identity.ts';
import type { ExportFilter } from '#server/store/store.ts';
import {
  auditAnswer,
  collectorAnswer,
  cursorOf,
  exportAnswer,
  frameAnswer,
  positionOf,
} from './answers.ts';
import type { EventStream } from './event-stream.ts';
import type { ApiOptions } from './options.ts';
import { PROBLEM_TYPE, problemSchema, sendProblem } from './problems.ts';
import {
  auditQuery,
  auditResponse,
  collectorsResponse,
  exportQuery,
  framesQuery,
  framesResponse,
  healthResponse,
  noQuery,
} from './schemas.ts';

/** What any path may answer when things are wrong. */
const problems = {
  400: {
    description: 'The request is wrong.',
    content: { [PROBLEM_TYPE]: { schema: problemSchema } },
  },
  503: { description: 'Not now.', content: { [PROBLEM_TYPE]: { schema: problemSchema } } },
};

export function addRoutes(root: FastifyInstance, options: ApiOptions, stream: EventStream): void {
  const app = root.withTypeProvider<ZodTypeProvider>();
  addHealth(root, options);
  addFrames(root, options);
  addStreams(root, options, stream);
  const { store, connected, wallTime } = options;

  app.get(
    '/api/v1/collectors',
    {
      schema: {
        summary: 'Every collector ever heard, with what it does and its newest stored frame.',
        querystring: noQuery,
        response: { 200: collectorsResponse, ...problems },
      },
    },
    async () => {
      const known = await store.collectors();
      return {
        as_of: formatTime(wallTime()),
        collectors: known.map((collector) =>
          collectorAnswer(collector, connected(collector.collector)),
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
        response: { 200: auditResponse, ...problems },
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

function addHealth(root: FastifyInstance, { store, listening, metrics }: ApiOptions): void {
  const app = root.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/healthz',
    {
      schema: {
        summary: 'The process is alive.',
        querystring: noQuery,
        response: { 200: healthResponse },
      },
    },
    () => ({ status: 'ok' }) as const,
  );

  app.get(
    '/readyz',
    {
      schema: {
        summary: 'The store takes commits and the port for collectors is open.',
        querystring: noQuery,
        response: { 200: healthResponse, ...problems },
      },
    },
    async (_request, reply) => {
      if (!store.status.writable) return sendProblem(reply, 503, store.status.reason);
      if (!listening()) return sendProblem(reply, 503, 'the port for collectors is not open');
      return reply.send({ status: 'ok' });
    },
  );

  app.get('/metrics', { schema: { hide: true, querystring: noQuery } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  );
}

function addFrames(root: FastifyInstance, { store }: ApiOptions): void {
  root.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/frames',
    {
      schema: {
        summary: 'Stored frames, page by page.',
        querystring: framesQuery,
        response: { 200: framesResponse, ...problems },
      },
    },
    async (request, reply) => {
      const { collector, epoch, from, to, order, limit, cursor } = request.query;
      const after = cursor === undefined ? undefined : positionOf(cursor);
      if (cursor !== undefined && after === undefined) {
        return sendProblem(reply, 400, 'cursor: must be a next_cursor of an answer before');
      }
      const range = { capturedFrom: from, capturedBefore: to };
      const page = await store.frames({ collector, epoch, ...range, order, limit, after });
      const last = page.last ? undefined : page.frames.at(-1);
      return reply.send({
        frames: page.frames.map(frameAnswer),
        next_cursor: last ? cursorOf(last) : null,
      });
    },
  );
}

function addStreams(root: FastifyInstance, options: ApiOptions, stream: EventStream): void {
  const app = root.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/export',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'Every stored frame by collector, epoch and seq: NDJSON, one frame a line.',
        querystring: exportQuery,
      },
    },
    (request, reply) => {
      // The stream pulls: a slow reader costs one chunk of memory, however long the export.
      const lines = Readable.from(exportLines(options, request.query), { objectMode: false });
      return reply.type('application/x-ndjson; charset=utf-8').send(lines);
    },
  );

  app.get(
    '/api/v1/events',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'What happens, as server-sent events: hello, stored, collector.',
        querystring: noQuery,
      },
    },
    (_request, reply) => {
      if (stream.full) return sendProblem(reply, 503, 'too many readers of events; try later');
      reply.hijack();
      stream.add(reply.raw, reply.getHeaders() as Record<string, string>);
      return reply;
    },
  );
}

/** Small pieces die young: long ones would stay in memory until a full collection. */
const EXPORT_PIECE_CHARS = 65_536;

async function* exportLines({ store, log }: ApiOptions, filter: ExportFilter) {
  for await (const frames of store.export(filter)) {
    let text = '';
    for (const frame of frames) {
      const line = exportAnswer(frame);
      if (line.crc_ok === false) {
        const { collector, epoch, seq } = frame;
        log.error(
          { event: 'stored_frame_damaged', collector, epoch, seq },
          'a stored frame no longer matches its CRC: the store is damaged. Restore a backup',
        );
      }
      text += `${JSON.stringify(line)}\n`;
      if (text.length < EXPORT_PIECE_CHARS) continue;
      yield text;
      text = '';
    }
    if (text !== '') yield text;
  }
}
