/**
 * The HTTP side of the server: the app, its headers, and the document that describes it. Each group
 * of paths has a file of its own (`*-routes.ts`); `refusals.ts` says no. All of them read,
 * with GET and HEAD; what changes something is there in the lab alone.
 */
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance } from 'fastify';
import { jsonSchemaTransform, serializerCompiler } from 'fastify-type-provider-zod';
import { describeGuard, guardApi } from '#server/access/api-guard.ts';
import { addAbsentLab } from '#server/lab/absent.ts';
import { addSeriesRoutes } from '#server/series/routes.ts';
import { checkRequest } from './checking.ts';
import { addCollectorRoutes } from './collector-routes.ts';
import { addEventRoutes } from './event-routes.ts';
import { EventStream } from './event-stream.ts';
import { addExportRoutes } from './export-routes.ts';
import { addFrameRoutes } from './frame-routes.ts';
import { addGapRoutes } from './gap-routes.ts';
import { addHealthRoutes } from './health-routes.ts';
import type { ApiOptions } from './options.ts';
import { addPage } from './page.ts';
import { refuseAmbiguous, refuseInWords, refuseUnparsed, refuseUnread } from './refusals.ts';
import { noQuery } from './schemas.ts';

/**
 * The page has its own script and style and asks nobody else; browsers that know trusted types let
 * no text become markup in it. Answers are of now: none is kept.
 */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  // For browsers that don't know frame-ancestors.
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

/** A request has hardly a body; slow ones hold handles that collectors need. */
const HEADERS_MS = 5_000;
const REQUEST_MS = 10_000;
/** How often the two are looked at. */
const CHECK_MS = 1_000;

/** Makes the app; `listen` and `close` are the caller's. */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: 1_024,
    requestTimeout: REQUEST_MS,
    http: { headersTimeout: HEADERS_MS, connectionsCheckingInterval: CHECK_MS },
    frameworkErrors: refuseUnread,
    clientErrorHandler: refuseUnparsed,
  });
  // JSON alone: what a form of another site sends without asking first is not even read.
  app.removeContentTypeParser('text/plain');
  app.server.maxConnections = options.connectionsMax;
  app.setValidatorCompiler(checkRequest);
  app.setSerializerCompiler(serializerCompiler);
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS);
  });
  refuseAmbiguous(app);
  guardApi(app, options.guard);
  refuseInWords(app, options.log);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      ...describeGuard(options.guard),
      info: {
        title: 'Holdfast server',
        description: 'What collectors have stored, and the account of what they have not.',
        version: options.version,
      },
    },
    transform: jsonSchemaTransform,
  });
  const { events, wallTime, eventClientsMax: clientsMax, lab } = options;
  const { storeId } = options.store;
  const stream = new EventStream({ events, wallTime, storeId, clientsMax });
  app.addHook('preClose', async () => stream.close());
  // Loaded in a lab alone, with all that speaks to Toxiproxy.
  const labRoutes = lab && (await import('#server/lab/routes.ts'));
  app.after(() => {
    addHealthRoutes(app, options);
    addCollectorRoutes(app, options);
    addGapRoutes(app, options);
    addFrameRoutes(app, options);
    addExportRoutes(app, options);
    addEventRoutes(app, options, stream);
    addSeriesRoutes(app, options.series);
    if (lab === undefined) addAbsentLab(app);
    else labRoutes?.addLabRoutes(app, lab, wallTime);
    addPage(app, options.pageFolder);
    app.get('/api/v1/openapi.json', { schema: { hide: true, querystring: noQuery } }, () =>
      app.swagger(),
    );
  });
  await app.ready();
  return app;
}
