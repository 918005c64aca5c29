/**
 * The mangler's control API: JSON over HTTP, for whoever plays the faults. It has no authentication,
 * as Toxiproxy's has none: it stands on loopback, or in a network of the lab.
 *
 *   GET    /healthz       200 once it relays
 *   GET    /connections   [ConnectionState]
 *   DELETE /connections   resets them all, so that there are new handshakes
 *   GET    /rules         [RuleState], those lifted lately included
 *   POST   /rules         a rule; 201 RuleState, 400 what is wrong with it, 409 no such connection
 *   DELETE /rules/<id>    200 RuleState as it ended, 404 when none of that id is in force
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { NoConnectionError, type Relay } from './relay.ts';
import { ruleSchema } from './rules.ts';

const BODY_BYTES_MAX = 65_536;
const REQUEST_TIMEOUT_MS = 5_000;
const CONNECTIONS_MAX = 64;

interface Reply {
  readonly status: number;
  readonly document: unknown;
}

export class Control {
  readonly #server: Server;

  /** Rejects when the address can't be listened on. */
  static async listen(relay: Relay, { host, port }: { host: string; port: number }) {
    const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      void answer(relay, request).then(
        (reply) => write(response, reply),
        (error: unknown) => write(response, failure(500, reasonOf(error))),
      );
    });
    server.maxConnections = CONNECTIONS_MAX;
    server.listen(port, host);
    await once(server, 'listening');
    server.on('error', () => undefined);
    return new Control(server);
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  /** The port that is listened on. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

async function answer(relay: Relay, request: IncomingMessage): Promise<Reply> {
  const { method } = request;
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  if (method === 'GET' && path === '/healthz') return { status: 200, document: { relaying: true } };
  if (method === 'GET' && path === '/connections') {
    return { status: 200, document: relay.connections };
  }
  if (method === 'DELETE' && path === '/connections') {
    return { status: 200, document: { reset: relay.reset() } };
  }
  if (method === 'GET' && path === '/rules') return { status: 200, document: relay.rules };
  if (method === 'POST' && path === '/rules') return make(relay, await bodyOf(request));
  const id = /^\/rules\/(\d{1,9})$/.exec(path)?.[1];
  if (method === 'DELETE' && id !== undefined) {
    const rule = relay.lift(Number(id));
    return rule === undefined
      ? failure(404, `no rule ${id} is in force`)
      : { status: 200, document: rule };
  }
  return failure(404, 'no such path');
}

function make(relay: Relay, body: string | undefined): Reply {
  if (body === undefined) return failure(413, `a rule has ${BODY_BYTES_MAX} bytes at most`);
  let given: unknown;
  try {
    given = JSON.parse(body);
  } catch (error) {
    return failure(400, reasonOf(error));
  }
  const rule = ruleSchema.safeParse(given);
  if (!rule.success) return failure(400, z.prettifyError(rule.error));
  try {
    return { status: 201, document: relay.add(rule.data) };
  } catch (error) {
    if (error instanceof NoConnectionError) return failure(409, error.message);
    throw error;
  }
}

/** Undefined when it is too long. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function failure(status: number, error: string): Reply {
  return { status, document: { error } };
}

function write(response: ServerResponse, { status, document }: Reply): void {
  const bytes = Buffer.from(`${JSON.stringify(document)}\n`);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': bytes.length,
    'cache-control': 'no-store',
  });
  response.end(bytes);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
