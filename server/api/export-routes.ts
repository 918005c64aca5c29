/**
 * /api/v1/export: all stored frames that match, as a stream.
 *
 * Invariants: memory is that of one chunk, however long the export and however slow its reader; the
 * store is read in short transactions between which nothing of it is held; a reader that is gone, or
 * takes nothing for a while, ends its export; there is a cap on how many run.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import { Gauge } from 'prom-client';
import { z } from 'zod';
import { formatTime } from '#protocol/identity.ts';
import type { StoredFrame } from '#server/store/store.ts';
import { type ExportFormat, exportText } from './export-text.ts';
import type { ApiOptions } from './options.ts';
import { BAD_REQUEST, NOT_NOW, sendProblem } from './problems.ts';
import { exportQuery } from './schemas.ts';

const TYPES: Readonly<Record<ExportFormat, string>> = {
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
};

/** Exports at a time. Each holds a chunk of some MiB while its reader is slow. */
const READERS_MAX = 16;
/** A reader that has taken nothing for so long is given up; it can go on by `after`. */
const STALLED_MS = 60_000;

const SCHEMA = {
  summary:
    'Every stored frame that matches, by collector, epoch, capture time and seq. An answer that ends without its last chunk was broken off: go on by `after`.',
  querystring: exportQuery,
  response: {
    200: {
      description: 'A frame a line, each as in /api/v1/frames; CSV has the same fields in columns.',
      content: {
        'application/x-ndjson': { schema: z.string() },
        'text/csv': { schema: z.string() },
      },
    },
    ...BAD_REQUEST,
    ...NOT_NOW,
  },
};

export function addExportRoutes(root: FastifyInstance, options: ApiOptions): void {
  const { store, wallTime, log, metrics } = options;
  const app = root.withTypeProvider<ZodTypeProvider>();
  let readers = 0;
  new Gauge({
    name: 'holdfast_api_exports',
    help: 'Exports that are under way.',
    registers: [metrics],
    collect() {
      this.set(readers);
    },
  });
  const answer = (query: z.output<typeof exportQuery>, reply: FastifyReply) => {
    const { collector, epoch, from, to, format, after } = query;
    reply
      .type(TYPES[format])
      .header('content-disposition', `attachment; filename="${fileName(query, wallTime())}"`);
    if (reply.request.method === 'HEAD') return reply.send();
    if (readers >= READERS_MAX) {
      const text = `${READERS_MAX} exports are under way; try again when one has ended`;
      reply.removeHeader('content-disposition');
      return sendProblem(reply.header('retry-after', 10), 503, text);
    }
    readers += 1;
    reply.raw.once('close', () => {
      readers -= 1;
    });
    reply.raw.setTimeout(STALLED_MS, () => reply.raw.destroy());
    const filter = { collector, epoch, capturedFrom: from, capturedBefore: to };
    const chunks = store.export(filter, after);
    // The stream pulls: the next chunk is read when the reader has taken the one before.
    const pieces = exportText(chunks, format, (frame) => tellDamage(frame, log));
    return reply.send(Readable.from(logged(pieces, log), { objectMode: false }));
  };
  app.get(
    '/api/v1/export',
    { exposeHeadRoute: false, schema: SCHEMA },
    ({ query }, reply) => answer(query, reply) as never,
  );
  app.head(
    '/api/v1/export',
    { schema: { querystring: exportQuery, hide: true } },
    ({ query }, reply) => answer(query, reply),
  );
}

/** Its reader sees an answer without an end; one that has not begun is told in words. */
async function* logged(pieces: AsyncIterable<string>, log: Logger): AsyncGenerator<string> {
  let begun = false;
  try {
    for await (const piece of pieces) {
      yield piece;
      begun = true;
    }
  } catch (error) {
    if (begun) log.error({ event: 'export_broken_off', err: error }, 'an export was broken off');
    throw error;
  }
}

function tellDamage({ collector, epoch, seq }: StoredFrame, log: Logger): void {
  log.error(
    { event: 'stored_frame_damaged', collector, epoch, seq },
    'a stored frame no longer matches its CRC: the disk has altered it. `./holdfast server store check` names all such frames',
  );
}

function fileName({ collector, format }: z.output<typeof exportQuery>, nowUs: number): string {
  const seconds = formatTime(nowUs).replaceAll(/[-:]|\.\d+/g, '');
  return `holdfast-${collector ?? 'export'}-${seconds}.${format}`;
}
