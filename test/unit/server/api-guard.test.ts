/** Who may ask the API: names and tokens, over real sockets. */
import { rmSync } from 'node:fs';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { startApi, stopApis } from './api-rig.ts';
import { makePageFolder } from './page-folder.ts';

const pageFolder = makePageFolder();

afterAll(async () => {
  await stopApis();
  rmSync(pageFolder, { recursive: true });
});

const TOKEN = 'a token of the API';
const BEARER = `Bearer ${TOKEN}`;

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

interface Guarded {
  readonly token?: string;
  readonly hosts?: string[];
}

const servers = new Map<string, ReturnType<typeof start>>();

/** One server for all tests that want the same of it. */
async function guarded(options: Guarded = {}) {
  const key = JSON.stringify(options);
  const server = await servers.getOrInsertComputed(key, () => start(options));
  server.failed.length = 0;
  return server;
}

async function start({ token, hosts = [] }: Guarded) {
  const failed: string[][] = [];
  const attempts = { onFailed: (...about: string[]) => failed.push(about) } as never;
  const guard = { token: token === undefined ? undefined : Buffer.from(token), hosts, attempts };
  const { app } = await startApi({ guard, pageFolder });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number | undefined; headers: Record<string, unknown>; body: string }>(
      (resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
          let body = '';
          response.on('data', (text) => {
            body += text;
          });
          response.on('error', reject);
          const { statusCode: status, headers: got } = response;
          if (String(got['content-type']).startsWith('text/event-stream')) {
            resolve({ status, headers: got, body });
            asked.destroy();
          }
          response.on('end', () => resolve({ status, headers: got, body }));
        });
        asked.on('error', reject);
        asked.end();
      },
    );
  return { ask, failed, port };
}

describe('the token', () => {
  const PATHS = [
    '/',
    '/assets/page-0.js',
    '/api/v1/collectors',
    '/api/v1/audit',
    '/api/v1/export',
    '/api/v1/events',
    '/api/v1/openapi.json',
    '/metrics',
  ];

  test.each(PATHS)('is needed for %s, shown either way', async (path) => {
    const { ask, failed } = await guarded({ token: TOKEN });
    const refused = await ask(path);
    expect(refused.status).toBe(401);
    expect(refused.headers['content-type']).toContain('application/problem+json');
    expect(refused.headers['www-authenticate']).toBe(
      'Basic realm="Holdfast", charset="UTF-8", Bearer realm="Holdfast"',
    );
    expect(JSON.parse(refused.body)).toMatchObject({ title: 'Unauthorized', status: 401 });
    expect(failed, 'to ask first is no attempt').toEqual([]);
    for (const authorization of [BEARER, basic('', TOKEN), basic('anybody', TOKEN)]) {
      expect((await ask(path, { authorization })).status, authorization).toBe(200);
    }
  });

  test('is not needed for health, and paths that are not there tell nothing without it', async () => {
    const { ask } = await guarded({ token: TOKEN });
    expect((await ask('/healthz')).status).toBe(200);
    expect((await ask('/readyz')).status).toBe(200);
    for (const path of [
      '/nothing',
      '/healthz/',
      '//healthz',
      '/api/v1/%68ealthz',
      '/x/../healthz',
    ]) {
      expect((await ask(path)).status, path).toBe(401);
      expect((await ask(path, { authorization: BEARER })).status, path).toBe(404);
    }
    expect((await ask('/api/v1/audit', {}, 'POST')).status).toBe(401);
  });

  test.each([
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    'Bearer',
    'Bearer ',
    TOKEN,
    basic(TOKEN, ''),
    basic('', ''),
    `Basic ${Buffer.from(TOKEN).toString('base64')}`,
    'Basic ====',
    `Digest ${TOKEN}`,
    `Bearer ${'x'.repeat(8_000)}`,
  ])('is not %j', async (authorization) => {
    const { ask, failed } = await guarded({ token: TOKEN });
    const { status, body } = await ask('/api/v1/audit', { authorization });
    expect(status).toBe(401);
    expect(body).not.toContain(TOKEN);
    expect(failed).toEqual([
      ['api_token', expect.stringMatching(/^127\.0\.0\.1:\d+$/), expect.any(String)],
    ]);
    expect(JSON.stringify(failed)).not.toContain(TOKEN);
  });

  test('may have any bytes, colons among them', async () => {
    const token = 'größer: als 16 Bytes';
    const { ask } = await guarded({ token });
    const bytes = Buffer.from(token).toString('latin1');
    expect((await ask('/', { authorization: `Bearer ${bytes}` })).status).toBe(200);
    expect((await ask('/', { authorization: basic('x', token) })).status).toBe(200);
  });
});

test('the OpenAPI document says what is needed where', async () => {
  const read = async (options: Guarded) => {
    const { ask } = await guarded(options);
    return JSON.parse((await ask('/api/v1/openapi.json', { authorization: BEARER })).body);
  };
  const guardedDocument = await read({ token: TOKEN });
  expect(guardedDocument.security).toEqual([{ bearer: [] }, { basic: [] }]);
  expect(Object.keys(guardedDocument.components.securitySchemes)).toEqual(['bearer', 'basic']);
  expect(guardedDocument.paths['/healthz'].get.security).toEqual([]);
  expect(guardedDocument.paths['/readyz'].get.security).toEqual([]);
  expect(guardedDocument.paths['/metrics'].get.security).toBeUndefined();
  expect((await read({})).security).toBeUndefined();
});

describe('the name', () => {
  test.each([
    ['localhost'],
    ['localhost:8080'],
    ['LOCALHOST'],
    ['localhost.'],
    ['holdfast.localhost:1'],
    ['127.0.0.1:9'],
    ['127.1.2.3'],
    ['[::1]:8080'],
    ['server:8080'],
    ['metrics.example'],
  ])('%s is ours', async (host) => {
    const { ask } = await guarded({ hosts: ['server', 'Metrics.example'] });
    expect((await ask('/api/v1/collectors', { host })).status).toBe(200);
  });

  test.each([
    ['evil.example'],
    ['evil.example:8080'],
    ['localhost.evil.example'],
    ['127.0.0.1.evil.example'],
    ['evillocalhost'],
    ['10.0.0.1'],
    ['[::2]'],
    ['server.evil.example'],
    ['user@localhost'],
    ['localhost:8080:80'],
    ['local host'],
  ])('%j is not ours, whatever is asked', async (host) => {
    const { ask, failed } = await guarded({ token: TOKEN, hosts: ['server'] });
    for (const path of ['/', '/api/v1/export', '/nothing']) {
      const { status, body, headers } = await ask(path, { host, authorization: BEARER });
      expect(status).toBe(421);
      expect(JSON.parse(body)).toMatchObject({
        title: 'Misdirected Request',
        detail: expect.stringContaining('HOLDFAST_API_HOSTS'),
      });
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
    expect(failed.map(([reason]) => reason)).toEqual(['api_host', 'api_host', 'api_host']);
  });

  test('does not matter for health: load balancers ask by whatever they have', async () => {
    const { ask } = await guarded();
    expect((await ask('/healthz', { host: 'whatever.example' })).status).toBe(200);
  });
});

test('a browser may not write here for another site', async () => {
  const { ask, port } = await guarded({ token: TOKEN });
  const host = `localhost:${port}`;
  const from = (headers: Record<string, string>, method = 'POST') =>
    ask('/api/v1/audit', { authorization: BEARER, host, ...headers }, method);
  const cross = { 'sec-fetch-site': 'cross-site' };
  expect((await from({ origin: 'https://evil.example' })).status).toBe(403);
  expect((await from({ origin: 'null' })).status).toBe(403);
  expect((await from(cross)).status).toBe(403);
  expect((await from({ 'sec-fetch-site': 'same-site', origin: `http://${host}` })).status).toBe(
    403,
  );
  expect((await from({ origin: `http://${host}` })).status).toBe(405);
  expect((await from({})).status).toBe(405);
  expect((await from(cross, 'GET')).status, 'a link on a page may lead here').toBe(200);
});

test('every answer forbids frames, foreign scripts and guesses of its type', async () => {
  const { ask } = await guarded({ token: TOKEN });
  for (const [path, authorization] of [
    ['/', BEARER],
    ['/', 'Bearer no'],
    ['/nothing', BEARER],
    ['/api/v1/collectors', BEARER],
    ['/healthz', ''],
  ] as const) {
    const { headers } = await ask(path, { authorization });
    expect(headers['content-security-policy']).toMatch(
      /default-src 'none'.*frame-ancestors 'none'/,
    );
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
  }
});
