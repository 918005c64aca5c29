/**
 * How the API says no: paths that aren't there, methods that they don't have, requests that can't
 * be read or are wrong (in the words of `checking.ts`), and failures of ours. All as problem details
 * (`problems.ts`).
 */
import type { Duplex } from 'node:stream';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { StoreError } from '#server/store/store.ts';
import { newInstance, PROBLEM_TYPE, problemOf, sendProblem } from './problems.ts';

/** Before the routes are added. */
export function refuseInWords(app: FastifyInstance, log: Logger): void {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methodsOf.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methodsOf.set(url, known);
  });
  // Here, for behind it a body is read that nobody wants.
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    const methods = methodsOf.get(pathOf(request));
    if (methods === undefined) {
      const text = 'there is nothing here; /api/v1/openapi.json names all there is';
      return sendProblem(reply, 404, text);
    }
    const allowed = [...methods, 'OPTIONS'].sort().join(', ');
    reply.header('allow', allowed);
    if (request.method === 'OPTIONS') return reply.code(204).send();
    return sendProblem(reply, 405, `${request.method} is not answered here; ${allowed} are`);
  });
  app.setErrorHandler((error: FastifyError, request, reply) => refuse(error, request, reply, log));
}

/**
 * Refuses what can be read in two ways: two Hosts, of which another reader may take the other one;
 * and a whole URL in place of a path, which is how proxies are spoken to.
 */
export function refuseAmbiguous(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw: { rawHeaders, url = '' } }, reply) => {
    const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
    if (hosts.length > 1) return sendProblem(reply, 400, 'the request names more than one Host');
    if (url.startsWith('/') || url === '*') return;
    return sendProblem(reply, 400, 'a path is needed here, not a whole URL');
  });
}

/** Fastify's option for what is wrong before there is a route, such as a path that can't be read. */
export function refuseUnread(
  error: FastifyError,
  _request: FastifyRequest,
  reply: FastifyReply,
): void {
  const status = error.statusCode ?? 400;
  sendProblem(reply, status, 'the path of the request cannot be read');
}

const UNREADABLE: Readonly<Record<string, readonly [number, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request did not come whole in time'],
  HPE_HEADER_OVERFLOW: [431, 'the headers of the request are too long'],
};

/** Fastify's option for what is no HTTP: there is no request yet, and so no reply. */
export function refuseUnparsed(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, detail] = UNREADABLE[error.code ?? ''] ?? [400, 'the request is not valid HTTP'];
  const problem = problemOf(status, detail);
  const body = JSON.stringify(problem);
  const head = `HTTP/1.1 ${status} ${problem.title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body);
}

function refuse(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): FastifyReply {
  const status = error.statusCode ?? 500;
  if (status === 415) return sendProblem(reply, 415, 'the body has to be of type application/json');
  if (status >= 400 && status < 500) return sendProblem(reply, status, error.message);
  const instance = newInstance();
  const path = request.routeOptions.url;
  log.error({ event: 'request_failed', err: error, path, instance }, 'a request failed');
  if (error instanceof StoreError) {
    const text = "the store can't be read now; the log of the server says why";
    return sendProblem(reply, 503, text, instance);
  }
  return sendProblem(reply, 500, 'a bug of the server; its log says more', instance);
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}
