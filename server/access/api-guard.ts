/**
 * Who may ask the API: by which name it was asked for, and with which token. Stands before all
 * paths, those that aren't there too; only health is for everybody, for what watches a process has
 * neither.
 *
 * The name: a page that somebody has open may have its own name resolved to this machine (DNS
 * rebinding) and then asks us as if we were it. The Host header tells, so names that aren't ours
 * are refused. The token: as a bearer token for programs, or as the password of HTTP Basic, which
 * browsers ask for by themselves and then send for the page, its script and its events alike; no
 * cookie, no address and no script ever has it.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from '#server/api/problems.ts';
import type { Attempts } from './attempts.ts';

export interface ApiGuardOptions {
  /** Without one everybody who reaches the port may ask. */
  readonly token: Buffer | undefined;
  /** Names beside those of loopback and the address at which a request came in. */
  readonly hosts: readonly string[];
  readonly attempts: Pick<Attempts, 'onFailed'>;
}

const FOR_EVERYBODY: ReadonlySet<string | undefined> = new Set(['/healthz', '/readyz']);

/** What browsers send in reading; anything else may change something. */
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Two ways, for the two kinds of askers. */
const CHALLENGES = ['Basic realm="Holdfast", charset="UTF-8"', 'Bearer realm="Holdfast"'];

/** Before the routes and all other hooks that answer. */
export function guardApi(app: FastifyInstance, options: ApiGuardOptions): void {
  const names = new Set(options.hosts.map((host) => host.toLowerCase()));
  const digest = options.token && digestOf(options.token);
  app.addHook('onRequest', async (request, reply) => {
    if (FOR_EVERYBODY.has(request.routeOptions.url)) return;
    const name = nameIn(request.headers.host);
    if (!isOurs(name, request, names)) return refuseName(request, reply, options);
    if (isOfAnotherPage(request)) {
      return sendProblem(reply, 403, 'the page of another site may not have this done');
    }
    if (digest !== undefined && !mayAsk(request, digest)) return refuse(request, reply, options);
  });
}

/** The same for the OpenAPI document; paths for everybody say so themselves. */
export function describeGuard({ token }: ApiGuardOptions) {
  if (token === undefined) return {};
  return {
    security: [{ bearer: [] }, { basic: [] }],
    components: {
      securitySchemes: {
        bearer: { type: 'http' as const, scheme: 'bearer' },
        basic: {
          type: 'http' as const,
          scheme: 'basic',
          description: 'Any user, the token as password.',
        },
      },
    },
  };
}

function refuseName(
  request: FastifyRequest,
  reply: FastifyReply,
  { attempts }: ApiGuardOptions,
): FastifyReply {
  const host = JSON.stringify(request.headers.host?.slice(0, 100) ?? '');
  attempts.onFailed('api_host', addressOf(request), `the API was asked for under the name ${host}`);
  const text =
    'this server does not go by the name that it was asked for; use an address of its machine, or have the name in HOLDFAST_API_HOSTS there';
  return sendProblem(reply, 421, text);
}

function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  { attempts }: ApiGuardOptions,
): FastifyReply {
  reply.header('www-authenticate', CHALLENGES);
  // Asking without one first is how browsers find out that they need one.
  if (request.headers.authorization === undefined) {
    const text = 'a token is needed here: as a bearer token, or as the password of HTTP Basic';
    return sendProblem(reply, 401, text);
  }
  attempts.onFailed('api_token', addressOf(request), 'the API was asked with a wrong token');
  return sendProblem(reply, 401, 'the token is not right; HOLDFAST_API_TOKEN of the server is');
}

/** The host of a Host header without its port; undefined where that is none. */
function nameIn(header: string | undefined): string | undefined {
  const [, six, name] = HOST.exec(header ?? '') ?? [];
  return (six ?? name)?.toLowerCase().replace(/\.$/, '');
}

const HOST = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?$/;
const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|::1)$/;

function isOurs(
  name: string | undefined,
  request: FastifyRequest,
  names: ReadonlySet<string>,
): boolean {
  if (name === undefined) return false;
  const here = request.socket.localAddress?.replace(/^::ffff:/, '');
  return LOOPBACK.test(name) || name === here || names.has(name);
}

/**
 * Browsers send what they know of us (Basic) with the requests of other pages, too. They say whose a
 * request is: newer ones in Sec-Fetch-Site, where another port of this machine is `same-site`, and
 * all of them in Origin. Programs send neither.
 */
function isOfAnotherPage({ method, headers }: FastifyRequest): boolean {
  if (READS.has(method)) return false;
  const { origin, host, 'sec-fetch-site': site } = headers;
  // `none`: a person did it, no page.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  return origin !== undefined && origin.replace(/^https?:\/\//, '') !== host;
}

function mayAsk({ headers }: FastifyRequest, digest: Buffer): boolean {
  const token = tokenIn(headers.authorization ?? '');
  return token !== undefined && timingSafeEqual(digestOf(token), digest);
}

function tokenIn(authorization: string): Buffer | undefined {
  const [, scheme = '', credentials = ''] = /^(\w+) +(.*\S)/.exec(authorization) ?? [];
  // Node hands bytes of headers over as characters.
  if (scheme.toLowerCase() === 'bearer') return Buffer.from(credentials, 'latin1');
  if (scheme.toLowerCase() !== 'basic') return undefined;
  const pair = Buffer.from(credentials, 'base64');
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : pair.subarray(colon + 1);
}

/** Of equal length whatever is given, as the comparison needs. */
function digestOf(token: Uint8Array): Buffer {
  return createHash('sha256').update(token).digest();
}

function addressOf({ socket }: FastifyRequest): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}
