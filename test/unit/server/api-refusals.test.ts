/** The ways in which the API says no. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Store, StoreError } from '#server/store/store.ts';
import { startApi, stopApis } from './api-rig.ts';
import { makePageFolder } from './page-folder.ts';
import { EPOCH_A } from './store-contract.ts';

const pageFolder = makePageFolder();
let app: FastifyInstance;

beforeAll(async () => {
  ({ app } = await startApi({ pageFolder }));
  await app.listen({ host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await stopApis();
  rmSync(pageFolder, { recursive: true });
});

const URN = /^urn:uuid:[0-9a-f-]{36}$/;

describe('a bad request', () => {
  test.each([
    ['/api/v1/collectors?x=1', '"x"; there are none here'],
    ['/api/v1/audit?x=1', 'there is no "x"; there are collector'],
    ['/api/v1/audit?collector=../x', 'collector: must be'],
    ['/api/v1/audit?collector=a&collector=b', 'collector'],
    ['/api/v1/gaps', 'collector: must be given'],
    ['/api/v1/gaps?collector=a&collector=b', 'collector: must be given, once'],
    ['/api/v1/gaps?collector=a&kind=x', 'there are collector, from, to'],
    ['/api/v1/audit?collector=a&collector=b', 'collector: must be given, once'],
    ['/api/v1/frames?limit=0', 'limit: must be at least 1'],
    ['/api/v1/frames?limit=1001', 'limit: must be at most 1000'],
    ['/api/v1/frames?limit=', 'limit: must be a number'],
    ['/api/v1/frames?limit=0x10', 'limit: must be a number'],
    ['/api/v1/frames?order=up', 'order: must be newest or oldest'],
    ['/api/v1/frames?order=newest&order=oldest', 'order: must be given once'],
    ['/api/v1/frames?from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z', 'to: must not be before'],
    ['/api/v1/frames?epoch=1', 'epoch'],
    ['/api/v1/frames?from=yesterday', 'from: must be an RFC 3339 time'],
    ['/api/v1/frames?to=2026-02-30T25:00:00Z', 'to'],
    ['/api/v1/frames?cursor=e30', 'cursor'],
    ['/api/v1/frames?until=1', 'there are collector, epoch, from, to, order, limit, cursor'],
    ['/api/v1/frames?epoch=1&limit=0', 'epoch: must be a UUID in lower case; limit: must be'],
    ['/api/v1/export?format=xml', 'format: must be ndjson or csv'],
    ['/api/v1/export?from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z', 'to: must not be before'],
    ['/api/v1/gaps?collector=a&from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z', 'to: must not'],
    [`/api/v1/export?after=c1,${EPOCH_A},1`, 'after'],
    ['/api/v1/events?x=1', 'x'],
    ['/metrics?x=1', 'x'],
  ])('%s is told what is wrong: %s', async (url, told) => {
    const response = await app.inject({ url });
    expect(response.statusCode).toBe(400);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(response.json()).toEqual({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      detail: expect.stringContaining(told),
      instance: expect.stringMatching(URN),
    });
  });

  test('that has no readable path is a problem too', async () => {
    const response = await app.inject({ url: '/api/v1/%zz' });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ status: 400, instance: expect.stringMatching(URN) });
  });

  test.each([
    ['no HTTP at all\r\n\r\n', 400],
    ['FROB /api/v1/audit HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nhost: x\r\nlong: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
  ])('that is not HTTP is answered as a problem, and closed', async (bytes, status) => {
    const address = app.server.address() as AddressInfo;
    const socket = connect(address.port, address.address);
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.write(bytes);
    await once(socket, 'close');
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status });
  });
});

describe('there is nothing but reading', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE'] as const)('%s is not allowed', async (method) => {
    for (const url of ['/api/v1/audit', '/api/v1/export?x=1', '/api/v1/events', '/healthz', '/']) {
      const response = await app.inject({ method, url, payload: 'x'.repeat(5_000) });
      expect(response.statusCode).toBe(405);
      expect(response.headers.allow).toBe('GET, HEAD, OPTIONS');
      expect(response.json()).toMatchObject({ status: 405, title: 'Method Not Allowed' });
    }
  });

  test('OPTIONS says what there is, HEAD the headers', async () => {
    const paths = Object.keys((await app.inject({ url: '/api/v1/openapi.json' })).json().paths);
    for (const url of [...paths, '/api/v1/openapi.json', '/']) {
      const options = await app.inject({ method: 'OPTIONS', url });
      expect(options.statusCode, url).toBe(204);
      expect(options.headers.allow).toBe('GET, HEAD, OPTIONS');
      // The one path that has to be told of whom.
      const query = url === '/api/v1/gaps' ? '?collector=c1' : '';
      const head = await app.inject({ method: 'HEAD', url: `${url}${query}` });
      expect(head.statusCode, url).toBe(200);
      expect(head.body).toBe('');
      expect(head.headers['content-security-policy']).toContain("default-src 'none'");
    }
  });

  test.each(['/api/v1/nothing', '/../package.json', '/api/v1/', '/api/v1/audit/'])(
    '%s is not there, with any method',
    async (url) => {
      for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS'] as const) {
        const response = await app.inject({ method, url });
        expect(response.statusCode, method).toBe(404);
        expect(response.headers['content-type']).toContain('application/problem+json');
      }
    },
  );
});

describe('a failure of ours', () => {
  test.each([
    [new Error('secret path'), 500],
    [new StoreError('busy', 'secret path is locked'), 503],
  ])('is logged, by the name that the caller is given: %s', async (error, status) => {
    const broken = { storeId: 'x', audit: () => Promise.reject(error) };
    const { app: failing, logged } = await startApi({ store: broken as unknown as Store });
    const response = await failing.inject({ url: '/api/v1/audit' });
    expect(response.statusCode).toBe(status);
    expect(response.body).not.toContain('secret');
    const { instance } = response.json();
    const told = logged.find((line) => line.instance === instance);
    expect(JSON.stringify(told)).toContain('secret path');
  });
});
