/**
 * The HTTP side of the server: the app with its headers, its way of saying no, and the document
 * that describes it. The paths are in `routes.ts`. Reads alone: GET and HEAD.
 */
import swagger from '@fastify/swagger';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
} from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import { StoreError } from '#server/store/store.ts';
import { EventStream } from './event-stream.ts';
import type { ApiOptions } from './options.ts';
import { addPage } from './page.ts';
import { sendProblem } from './problems.ts';
import { addRoutes } from './routes.ts';
import { noQuery } from './schemas.ts';

/** The page has its own script and style and asks nobody else. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

/** Makes the app; `listen` and `close` are the caller's. */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const app = Fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1_024 });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    if (request.method === 'GET' || request.method === 'HEAD') return;
    sendProblem(reply.header('allow', 'GET, HEAD'), 405, 'only GET and HEAD are answered here');
    return reply;
  });
  refuseInWords(app, options.log);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Holdfast server',
        description: 'What collectors have stored, and the account of what they have not.',
        version: options.version,
      },
    },
    transform: jsonSchemaTransform,
  });
  const { events, wallTime, eventClientsMax: clientsMax } = options;
  const { storeId } = options.store;
  const stream = new EventStream({ events, wallTime, storeId, clientsMax });
  app.addHook('preClose', async () => stream.close());
  app.after(() => {
    addRoutes(app, options, stream);
    addPage(app);
    app.get('/api/v1/openapi.json', { schema: { hide: true, querystring: noQuery } }, () =>
      app.swagger(),
    );
  });
  await app.ready();
  return app;
}

function refuseInWords(app: FastifyInstance, log: Logger): void {
  app.setNotFoundHandler((_request, reply) =>
    sendProblem(reply, 404, 'there is nothing here; /api/v1/openapi.json names all there is'),
  );
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (hasZodFastifySchemaValidationErrors(error)) {
      const details = error.validation.map(({ instancePath, message }) =>
        [instancePath.replace(/^\//, ''), message].filter(Boolean).join(': '),
      );
      return sendProblem(reply, 400, details.join('; '));
    }
    const status = error.statusCode ?? 500;
    if (status >= 400 && status < 500) return sendProblem(reply, status, error.message);
    log.error({ event: 'request_failed', err: error, path: request.routeOptions.url }, 'failed');
    if (error instanceof StoreError) {
      return sendProblem(
        reply,
        503,
        'the store cannot be read now; the log of the server says why',
      );
    }
    return sendProblem(reply, 500, 'a bug of the server; its log says more');
  });
}
