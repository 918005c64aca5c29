/** /api/v1/lab and /api/v1/lab/link: what they take and answer, and from whom. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SLOWNESS } from '#lab/link.ts';
import { startApi, stopApis } from '../api-rig.ts';
import { DEADLINE } from '../serving.ts';
import { DEAF, startLab, stopLabs } from './lab-rig.ts';

let shared: Awaited<ReturnType<typeof start>>;

/** One for all that leave it as it was, or only cut. */
beforeAll(async () => {
  shared = await start();
});

beforeEach(() => {
  shared.link.state = { kind: 'whole', toxics: [] };
});

afterAll(async () => {
  await stopApis();
  await stopLabs();
});

const TIME = expect.stringMatching(/^1970-01-01T00:16:4\d\.\d{6}Z$/);
const WHOLE = { state: 'whole', details: [], since: TIME, error: null };

async function start(collectorPage?: string, token?: string) {
  const rig = startLab({ collectorPage });
  await rig.clock.pass(0);
  const attempts = { onFailed: () => undefined };
  const guard = {
    token: token === undefined ? undefined : Buffer.from(token),
    hosts: [],
    attempts,
  };
  const { app } = await startApi({ lab: rig.lab, events: rig.events, guard });
  const order = (payload: unknown, headers: Record<string, string> = {}) =>
    app.inject({
      ...{ method: 'POST', url: '/api/v1/lab/link' },
      headers: { host: 'localhost:8080', 'content-type': 'application/json', ...headers },
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    });
  const lab = async () => (await app.inject({ url: '/api/v1/lab' })).json();
  return { ...rig, app, order, lab };
}

test('the link, its faults, and where the collector shows itself', async () => {
  const { lab, order, clock } = await start('http://127.0.0.1:9464/');
  expect(await lab()).toEqual({
    as_of: expect.any(String),
    link: WHOLE,
    collector_page: 'http://127.0.0.1:9464/',
    faults: [],
  });
  await order({ action: 'cut' });
  clock.ms += 1_500;
  await order({ action: 'restore' });
  await order({ action: 'cut' });
  expect(await lab()).toMatchObject({
    link: { state: 'cut' },
    faults: [
      { from: '1970-01-01T00:16:40.000000Z', to: '1970-01-01T00:16:41.500000Z', state: 'cut' },
      { from: '1970-01-01T00:16:41.500000Z', to: null, state: 'cut', details: [] },
    ],
  });
});

test('each order is answered with the link as it is then', async () => {
  const { order } = shared;
  const cut = await order({ action: 'cut' });
  expect(cut.statusCode, cut.body).toBe(200);
  expect(cut.json()).toEqual({ ...WHOLE, state: 'cut' });
  const slow = await order({ action: 'slow', latency_ms: 40, rate_kbps: 8 });
  expect(slow.json()).toEqual({ ...WHOLE, state: 'slow', details: ['+40 ms', '8 kB/s'] });
  expect((await order({ action: 'restore' })).json()).toEqual(WHOLE);
});

test('how slow is what make slow does, where nothing is said', async () => {
  const { order } = shared;
  const { latencyMs, rateKbps } = SLOWNESS;
  const usual = [`+${latencyMs.usual} ms`, `${rateKbps.usual} kB/s`];
  expect((await order({ action: 'slow' })).json().details).toEqual(usual);
});

test.each([
  ['{"action":"explode"}', 'action: must be cut, slow or restore'],
  ['{}', 'action: must be cut, slow or restore'],
  ['[]', 'the body must be an object'],
  ['"cut"', 'the body must be an object'],
  ['{"action":"cut","for":5}', 'there is no "for"; there are action'],
  ['{"action":"restore","latency_ms":5}', '"latency_ms"'],
  ['{"action":"slow","latency":5}', '"latency"'],
  ['{"action":"slow","latency_ms":-1}', 'latency_ms: must be at least 0'],
  ['{"action":"slow","latency_ms":60001}', 'latency_ms: must be at most 60000'],
  ['{"action":"slow","latency_ms":"5"}', 'latency_ms: must be a number'],
  ['{"action":"slow","latency_ms":1.5}', 'latency_ms: must be a whole number'],
  ['{"action":"slow","rate_kbps":0}', 'rate_kbps'],
  ['{"action":"slow","rate_kbps":1000001}', 'rate_kbps'],
  ['{"action":"cut"', 'JSON'],
  ['', 'empty'],
])('%j is refused, and does nothing', async (payload, told) => {
  const { order, link } = shared;
  const response = await order(payload);
  expect(response.statusCode).toBe(400);
  expect(response.headers['content-type']).toContain('application/problem+json');
  expect(response.json().detail).toContain(told);
  expect(response.json().detail).not.toContain('none here');
  expect(link.state.kind).toBe('whole');
});

test('a query is a mistake worth telling here, too', async () => {
  const { app } = shared;
  expect((await app.inject({ url: '/api/v1/lab?x=1' })).json().detail).toContain('none here');
});

test('where Toxiproxy does not answer an order is a problem that says so', async () => {
  const { order, link, clock, lab } = await start();
  link.failure = DEAF;
  const response = await order({ action: 'cut' });
  expect(response.statusCode).toBe(503);
  expect(response.json()).toMatchObject({
    title: 'Service Unavailable',
    detail: expect.stringContaining('Toxiproxy does not answer at http://toxiproxy:8474'),
  });
  await clock.pass(1_000);
  expect((await lab()).link).toMatchObject({ state: 'unknown', error: expect.any(String) });
});

describe('pages of other sites', () => {
  const SAME = 'http://localhost:8080';

  test.each([
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['another site that hides', { 'sec-fetch-site': 'cross-site', origin: 'null' }],
    ['another port here', { 'sec-fetch-site': 'same-site', origin: 'http://localhost:3000' }],
    ['another port here, in an older browser', { origin: 'http://localhost:3000' }],
    ['another site, in an older browser', { origin: 'https://evil.example' }],
    ['a sandbox, in an older browser', { origin: 'null' }],
    ['one that tells two stories', { 'sec-fetch-site': 'same-site', origin: SAME }],
    ['one that tells two others', { 'sec-fetch-site': 'same-origin', origin: 'null' }],
    ['one that only says where it is', { 'sec-fetch-site': 'cross-site' }],
  ])('%s may not cut', async (_who, headers) => {
    const { order, link } = shared;
    for (const payload of [{ action: 'cut' }, 'no order']) {
      const response = await order(payload, headers as Record<string, string>);
      expect(response.statusCode, response.body).toBe(403);
      expect(response.json()).toMatchObject({ status: 403, title: 'Forbidden' });
      expect(response.headers['access-control-allow-origin']).toBeUndefined();
    }
    expect(link.state.kind).toBe('whole');
  });

  test.each([
    ['the page itself', { 'sec-fetch-site': 'same-origin', origin: SAME }],
    ['the page itself, in an older browser', { origin: SAME }],
    ['a person', { 'sec-fetch-site': 'none' }],
    ['a program', {}],
  ])('%s may', async (_who, headers) => {
    const { order } = shared;
    const response = await order({ action: 'cut' }, headers as Record<string, string>);
    expect(response.statusCode, response.body).toBe(200);
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain;application/json',
    '',
  ])('what a form can send (%s) is not read', async (type) => {
    const { order, link } = shared;
    const response = await order({ action: 'cut' }, { 'content-type': type });
    expect(response.statusCode, response.body).toBe(415);
    expect(response.json().detail).toContain('application/json');
    expect(link.state.kind).toBe('whole');
  });

  test('none is told that it may ask', async () => {
    const { app } = shared;
    const response = await app.inject({
      ...{ method: 'OPTIONS', url: '/api/v1/lab/link' },
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    });
    expect(response.statusCode).toBe(204);
    expect(Object.keys(response.headers).join()).not.toContain('access-control');
  });

  test('nor one that goes by a name of its own', async () => {
    const { order, link } = shared;
    const headers = { host: 'evil.example', origin: 'http://evil.example' };
    expect((await order({ action: 'cut' }, headers)).statusCode).toBe(421);
    expect(link.state.kind).toBe('whole');
  });
});

test('the token is needed here as everywhere', async () => {
  const { order, app, link } = await start(undefined, 'a token of the API');
  expect((await order({ action: 'cut' })).statusCode).toBe(401);
  expect((await app.inject({ url: '/api/v1/lab' })).statusCode).toBe(401);
  expect(link.state.kind).toBe('whole');
  const authorization = 'Bearer a token of the API';
  expect((await order({ action: 'cut' }, { authorization })).statusCode).toBe(200);
});

test('other methods are told which there are', async () => {
  const { app } = shared;
  const get = await app.inject({ url: '/api/v1/lab/link' });
  expect(get.statusCode).toBe(405);
  expect(get.headers.allow).toBe('OPTIONS, POST');
  const post = await app.inject({ method: 'POST', url: '/api/v1/lab', payload: {} });
  expect(post.statusCode).toBe(405);
});

test('both are in the OpenAPI document, in the lab only', async () => {
  const paths = async ({ app }: Pick<Awaited<ReturnType<typeof start>>, 'app'>) =>
    (await app.inject({ url: '/api/v1/openapi.json' })).json().paths;
  const inLab = await paths(shared);
  expect(inLab['/api/v1/lab'].get.responses).toHaveProperty('200');
  const { requestBody, responses } = inLab['/api/v1/lab/link'].post;
  expect(Object.keys(responses)).toEqual(['200', '400', '403', '415', '503']);
  expect(JSON.stringify(requestBody)).toContain('"maximum":60000');
  const outside = await paths(await startApi());
  expect(Object.keys(outside).filter((path) => path.includes('lab'))).toEqual([]);
});

describe('outside the lab', () => {
  let outside: Awaited<ReturnType<typeof startApi>>;

  beforeAll(async () => {
    outside = await startApi();
  });

  test.each(['/api/v1/lab', '/api/v1/lab/link', '/api/v1/lab/', '/api/v1/lab/link/x'])(
    '%s is not there, and says why',
    async (url) => {
      const { app } = outside;
      for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE'] as const) {
        const response = await app.inject({ method, url, payload: 'x'.repeat(5_000) });
        expect(response.statusCode, method).toBe(404);
        expect(response.headers['content-type']).toContain('application/problem+json');
        expect(response.json().detail).toContain('HOLDFAST_LAB_TOXIPROXY is not set');
      }
    },
  );
});

test('the event of a change is sent at once, and again to who comes back', async () => {
  const { app, order } = await start();
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const read = async (headers: Record<string, string> = {}) => {
    const leaving = new AbortController();
    const response = await fetch(`${address}/api/v1/events`, { headers, signal: leaving.signal });
    const seen = { text: '', leave: () => leaving.abort() };
    const gather = async () => {
      for await (const chunk of response.body ?? []) seen.text += Buffer.from(chunk).toString();
    };
    gather().catch(() => undefined);
    return seen;
  };
  const first = await read();
  await expect.poll(() => first.text, DEADLINE).toContain('event: hello');
  const [, id = ''] = /^id: (.*)$/m.exec(first.text) ?? [];
  const cut = (await order({ action: 'cut' })).json();
  await expect.poll(() => first.text, DEADLINE).toContain('event: link');
  expect(first.text).toContain(`event: link\ndata: ${JSON.stringify(cut)}\n\n`);
  first.leave();
  await order({ action: 'restore' });
  const again = (await order({ action: 'cut' })).json();
  const second = await read({ 'last-event-id': id });
  await expect.poll(() => second.text, DEADLINE).toContain('event: link');
  expect(second.text.match(/event: link\ndata: (.*)\n/)?.[1]).toBe(JSON.stringify(again));
  expect(second.text.match(/event: link/g)).toHaveLength(1);
});
