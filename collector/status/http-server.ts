/**
 * A small HTTP server for fixed paths: GET and HEAD, no caching, nothing from outside but the path.
 * It owns the listening socket and its limits; what the paths answer is given to it.
 */
import { strict as assert } from 'node:assert';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export type Routes = ReadonlyMap<string, () => Reply | Promise<Reply>>;

export interface HttpServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly routes: Routes;
  /** A route failed, which is a mistake of ours; the asker got a 500 without details. */
  readonly onError: (error: unknown, path: string) => void;
}

/** The address can't be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code = 'listen_failed';
  /** The operating system's word: `EADDRINUSE`, `EACCES`, … */
  readonly systemCode: string;

  constructor(host: string, port: number, cause: NodeJS.ErrnoException) {
    super(`can't listen on ${host} port ${port}: ${describe(cause)}`, { cause });
    this.systemCode = cause.code ?? 'unknown';
  }
}

const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 5_000;
/** How often that is looked at. */
const TIMEOUT_CHECK_MS = 1_000;

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

export class HttpServer {
  readonly #server: Server;
  /** The port that is listened on. */
  readonly port: number;

  /** Rejects with ListenError. */
  static listen(options: HttpServerOptions): Promise<HttpServer> {
    const server = createServer({
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    });
    server.maxConnections = CONNECTIONS_MAX;
    server.on('request', (request, response) => void answer(options, request, response));
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(new ListenError(options.host, options.port, error)));
      server.listen(options.port, options.host, () => {
        server.removeAllListeners('error');
        // Running out of descriptors, say, must not end a collector that collects.
        server.on('error', (error) => options.onError(error, 'listener'));
        resolve(new HttpServer(server));
      });
    });
  }

  private constructor(server: Server) {
    this.#server = server;
    const address = server.address();
    assert(typeof address === 'object' && address !== null, 'a TCP server that listens');
    this.port = address.port;
  }

  /** Stops listening and cuts what is still connected. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

async function answer(
  { routes, onError }: HttpServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  try {
    if (hostCount(request) > 1) return write(response, text(400, 'more than one Host'));
    const route = routes.get(path);
    if (route === undefined) return write(response, text(404, 'no such path'));
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return write(response, text(405, 'only GET and HEAD'));
    }
    write(response, await route());
  } catch (error) {
    onError(error, path);
    if (!response.headersSent) write(response, text(500, 'internal error; see the log'));
  }
}

/** Which of two is meant nobody can know, and Node takes the first. */
function hostCount({ rawHeaders }: IncomingMessage): number {
  return rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
}

function write(response: ServerResponse, { status, type, body }: Reply): void {
  const bytes = Buffer.from(body, 'utf8');
  response.writeHead(status, {
    ...HEADERS,
    'content-type': type,
    'content-length': bytes.length,
  });
  // Node leaves the body out where the question was HEAD.
  response.end(bytes);
}

/** A line of plain text as a reply. */
export function text(status: number, line: string): Reply {
  return { status, type: 'text/plain; charset=utf-8', body: `${line}\n` };
}

/** A JSON document as a reply. */
export function json(status: number, document: unknown): Reply {
  return {
    status,
    type: 'application/json; charset=utf-8',
    body: `${JSON.stringify(document, null, 2)}\n`,
  };
}

function describe(cause: NodeJS.ErrnoException): string {
  switch (cause.code) {
    case 'EADDRINUSE':
      return 'another program listens there';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address';
    case 'EACCES':
      return 'this user may not use that port';
    default:
      return cause.message;
  }
}
