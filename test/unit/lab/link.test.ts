/**
 * The link against a stand-in for Toxiproxy's API that keeps state as the real one does, and can be
 * told to lie. (The integration tests drive a real Toxiproxy.)
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Link } from '#lab/link.ts';
import type { ToxicOrder } from '#lab/toxics.ts';

interface Toxic {
  name: string;
  type: string;
  stream: string;
  toxicity: number;
  attributes: Record<string, number>;
}

interface Proxy {
  listen: string;
  upstream: string;
  enabled: boolean;
  toxics: Toxic[];
}

const WHOLE: Proxy = { listen: '[::]:9004', upstream: 'server:9000', enabled: true, toxics: [] };

let server: Server;
let link: Link;
let proxy: Proxy;
/** How often the proxy was made anew. */
let made: number;
/** Changes an accepted toxic before it is kept, as a fault of the API would. */
let distort: (toxic: Toxic) => Toxic;
let deaf: boolean;
/** Does not answer what it is asked to remove, nor anything after that, until the proxy is deleted. */
let sticky: boolean;
let stuck: boolean;
/** There is no proxy. */
let gone: boolean;
/** Carries out a deletion, and never answers it. */
let mute: boolean;
/** Stands still: answers nothing, and does what it was asked for once it goes on. */
let frozen: boolean;
let asked: string[];

beforeEach(async () => {
  proxy = structuredClone(WHOLE);
  made = 0;
  sticky = false;
  stuck = false;
  gone = false;
  mute = false;
  frozen = false;
  asked = [];
  distort = (toxic) => toxic;
  deaf = false;
  server = createServer(async (request, response) => {
    const sent = await bodyOf(request);
    asked.push(`${request.method} ${request.url}`);
    if (frozen) return;
    if (sticky && request.method === 'DELETE' && request.url?.includes('/toxics/')) stuck = true;
    if (request.method === 'DELETE' && request.url === '/proxies/link') {
      stuck = false;
      gone = true;
      if (mute) return;
    }
    if (stuck && request.url !== '/version') return;
    const { status, body } = answer(request, sent);
    response.writeHead(status).end(body === undefined ? '' : JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  link = new Link((server.address() as AddressInfo).port);
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function answer(request: IncomingMessage, body: string): { status: number; body?: unknown } {
  const { method, url = '' } = request;
  if (gone && url.startsWith('/proxies/link') && method !== 'DELETE') {
    return { status: 404, body: { error: 'proxy not found' } };
  }
  if (url === '/version') return { status: 200, body: { version: '2.12.0' } };
  if (url === '/proxies/link' && method === 'GET') return { status: 200, body: proxy };
  if (url === '/proxies' && method === 'GET') return { status: 200, body: { link: proxy } };
  if (url === '/proxies' && method === 'POST') {
    made += 1;
    gone = false;
    proxy = { ...(JSON.parse(body) as Proxy), toxics: [] };
    return { status: 201, body: proxy };
  }
  if (url === '/proxies/link' && method === 'POST') {
    if (!deaf) proxy = { ...proxy, ...(JSON.parse(body) as Partial<Proxy>) };
    return { status: 200, body: proxy };
  }
  if (url === '/proxies/link/toxics' && method === 'POST') {
    proxy.toxics.push(distort(JSON.parse(body) as Toxic));
    return { status: 200, body: {} };
  }
  if (url.startsWith('/proxies/link/toxics/') && method === 'DELETE') {
    const name = decodeURIComponent(url.slice('/proxies/link/toxics/'.length));
    proxy.toxics = proxy.toxics.filter((toxic) => toxic.name !== name);
    return { status: 204 };
  }
  if (url === '/proxies/link' && method === 'DELETE') return { status: 204 };
  return { status: 404, body: { error: 'proxy not found' } };
}

test('a link without toxics is whole, cut when disabled, whole again when restored', async () => {
  expect((await link.read()).kind).toBe('whole');
  await link.cut();
  expect((await link.read()).kind).toBe('cut');
  await link.restore();
  expect(await link.read()).toEqual({ kind: 'whole', toxics: [] });
});

test('slow puts latency and a rate limit on both directions', async () => {
  const state = await link.slow({ latencyMs: 40, rateKbps: 8 });
  expect(state).toEqual({
    kind: 'slow',
    toxics: [
      '+40 ms to the server',
      '8 kB/s to the server',
      '+40 ms to the collector',
      '8 kB/s to the collector',
    ],
  });
});

test('slow replaces what slowed the link before, and opens a cut link', async () => {
  await link.slow({ latencyMs: 40, rateKbps: 8 });
  await link.cut();
  const state = await link.slow({ latencyMs: 5, rateKbps: 100 });
  expect(state.kind).toBe('slow');
  expect(state.toxics).toHaveLength(4);
  expect(state.toxics).toContain('+5 ms to the server');
});

test('restore removes toxics that others have put there', async () => {
  proxy.toxics.push({
    name: 'a/strange name',
    type: 'timeout',
    stream: 'downstream',
    toxicity: 0.5,
    attributes: { timeout: 0 },
  });
  expect((await link.read()).toxics).toEqual([
    'timeout {"timeout":0} to the collector on 50 % of connections',
  ]);
  await link.restore();
  expect(proxy.toxics).toEqual([]);
});

test('a change that is answered with success but did not happen is a failure', async () => {
  deaf = true;
  await expect(link.cut()).rejects.toMatchObject({
    code: 'link_failed',
    message: expect.stringMatching(/stays open/),
  });
});

test('a toxic that was taken on with other values is a failure', async () => {
  distort = (toxic) => ({ ...toxic, attributes: { ...toxic.attributes, latency: 0, rate: 0 } });
  await expect(link.slow({ latencyMs: 40, rateKbps: 8 })).rejects.toMatchObject({
    code: 'link_failed',
  });
});

test('an answer that is not 2xx carries the reason that Toxiproxy gave', async () => {
  server.removeAllListeners('request');
  server.on('request', (_, response) => response.writeHead(500).end('proxy not found'));
  await expect(link.cut()).rejects.toMatchObject({ details: ['proxy not found'] });
});

test('toxics of each kind are added, told, and removed by name; others stay', async () => {
  const names = await link.add([
    { type: 'latency', stream: 'upstream', attributes: { latency: 100, jitter: 20 } },
    { type: 'slicer', stream: 'downstream', attributes: { average_size: 1 } },
    { type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } },
  ]);
  const [second] = await link.add([
    { type: 'latency', stream: 'upstream', attributes: { latency: 5 } },
  ]);
  expect(names).toEqual(['latency_upstream', 'slicer_downstream', 'timeout_downstream']);
  expect(second).toBe('latency_upstream_2');
  expect((await link.read()).toxics).toEqual([
    '+100 ± 20 ms to the server',
    'slicer {"average_size":1,"size_variation":0,"delay":0} to the collector',
    'timeout {"timeout":0} to the collector',
    '+5 ms to the server',
  ]);
  await link.remove(names);
  expect(proxy.toxics.map(({ name }) => name)).toEqual(['latency_upstream_2']);
});

test.each([
  ['a rate below zero', { type: 'bandwidth', attributes: { rate: -1 } }],
  ['slices of no bytes', { type: 'slicer', attributes: { average_size: 0 } }],
  [
    'slices that vary by all',
    { type: 'slicer', attributes: { average_size: 5, size_variation: 5 } },
  ],
  ['a name that is none', { type: 'latency', attributes: { lattency: 5 } }],
  ['a timer that locks it', { type: 'reset_peer', attributes: { timeout: 60_000 } }],
])('%s is refused before Toxiproxy hears of it', async (_, { type, attributes }) => {
  const order = { type, stream: 'upstream', attributes } as unknown as ToxicOrder;
  const good: ToxicOrder = { type: 'bandwidth', stream: 'upstream', attributes: { rate: 1 } };
  await expect(link.add([good, order])).rejects.toThrow(TypeError);
  expect(proxy.toxics).toEqual([]);
});

test('who has it cut keeps it cut until he opens it, whoever else opens it', async () => {
  await link.cut('one');
  await link.cut('other');
  await link.open('one');
  expect(proxy.enabled).toBe(false);
  await link.open('other');
  expect(proxy.enabled).toBe(true);
});

test('it is led elsewhere and back; a restored one leads where it should', async () => {
  await link.divert('mangler:9100');
  expect(proxy.upstream).toBe('mangler:9100');
  await link.rejoin();
  expect(proxy.upstream).toBe('server:9000');
  const port = (server.address() as AddressInfo).port;
  const known = new Link(`http://127.0.0.1:${port}`, 'server:9000');
  proxy.upstream = 'mangler:9100';
  expect(await known.read()).toEqual({ kind: 'slow', toxics: ['led to mangler:9100'] });
  await known.restore();
  expect(proxy).toEqual(WHOLE);
});

test('all that was in force is put back after Toxiproxy has forgotten it, and no more', async () => {
  const [gone = ''] = await link.add([
    { type: 'bandwidth', stream: 'upstream', attributes: { rate: 9 } },
  ]);
  await link.add([{ type: 'latency', stream: 'downstream', attributes: { latency: 7 } }]);
  await link.remove([gone]);
  await link.divert('mangler:9100');
  await link.cut();
  const before = structuredClone(proxy);
  proxy = structuredClone(WHOLE);
  await link.putBack();
  expect(proxy).toEqual(before);
  await link.restore();
  proxy = structuredClone(WHOLE);
  await link.putBack();
  expect(proxy).toEqual(WHOLE);
});

test('a toxic that ends connections goes with its proxy, which is made anew with the others', async () => {
  const [timeout = ''] = await link.add([
    { type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } },
    { type: 'latency', stream: 'upstream', attributes: { latency: 7 } },
  ]);
  await link.cut('another');
  await link.remove([timeout]);
  expect(made).toBe(1);
  expect(proxy).toMatchObject({ ...WHOLE, enabled: false, toxics: [{ type: 'latency' }] });
});

test('a proxy whose deletion is answered too late is made anew all the same', async () => {
  const [timeout = ''] = await link.add([
    { type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } },
  ]);
  mute = true;
  await link.remove([timeout]);
  expect(made).toBe(1);
  expect(proxy).toMatchObject(WHOLE);
});

test('a link that somebody took away is made again by the next order, never by a look', async () => {
  await link.add([{ type: 'latency', stream: 'upstream', attributes: { latency: 7 } }]);
  gone = true;
  await expect(link.read()).rejects.toMatchObject({ code: 'link_failed' });
  expect(made).toBe(0);
  await link.cut();
  expect(proxy).toMatchObject({ ...WHOLE, enabled: false, toxics: [{ type: 'latency' }] });
  gone = true;
  await link.restore();
  expect(proxy).toMatchObject(WHOLE);
});

test('who never saw the link makes it of what it was told, or says that there is none', async () => {
  const port = (server.address() as AddressInfo).port;
  gone = true;
  const stranger = new Link(port);
  await expect(stranger.restore()).rejects.toThrow('Toxiproxy has none of that name');
  await new Link(port, WHOLE.upstream, WHOLE.listen).restore();
  expect(proxy).toMatchObject(WHOLE);
});

test('where a removal hangs the proxy is made anew, with what stays on it', async () => {
  const [latency = ''] = await link.add([
    { type: 'latency', stream: 'upstream', attributes: { latency: 7 } },
  ]);
  await link.add([{ type: 'bandwidth', stream: 'upstream', attributes: { rate: 9 } }]);
  sticky = true;
  await link.remove([latency]);
  expect(made).toBe(1);
  expect(proxy).toMatchObject({
    ...WHOLE,
    toxics: [{ type: 'bandwidth', attributes: { rate: 9 } }],
  });
});

test('while Toxiproxy itself stands still it is asked for nothing that it would do later', async () => {
  await link.read();
  frozen = true;
  await expect(link.restore()).rejects.toThrow('does not answer');
  expect(asked.filter((one) => !one.startsWith('GET '))).toEqual([]);
  frozen = false;
  await link.restore();
  expect(await link.read()).toEqual({ kind: 'whole', toxics: [] });
}, 20_000);

test('what somebody else does to it is told, and what it does itself is not', async () => {
  expect(await link.strays()).toBeNull();
  const latency: ToxicOrder = { type: 'latency', stream: 'upstream', attributes: { latency: 7 } };
  const [name = ''] = await link.add([latency]);
  await link.cut();
  expect(await link.strays()).toBeNull();
  proxy.enabled = true;
  expect(await link.strays()).toBe('opened');
  proxy.toxics = [];
  expect(await link.strays()).toBe('opened, rid of +7 ms to the server');
  await link.open();
  await link.remove([name]);
  expect(await link.strays()).toBeNull();
  proxy.toxics.push({ ...latency, name: 'x', toxicity: 1, attributes: { latency: 8, jitter: 0 } });
  expect(await link.strays()).toBe('given +8 ms to the server');
});

test('while an order is under way nothing is called strange', async () => {
  const cutting = link.cut();
  expect(await link.strays()).toBeNull();
  const looking = link.strays();
  await Promise.all([cutting, link.open()]);
  expect(await looking).toBeNull();
});

test('orders that are given at once are carried out one after the other', async () => {
  const latency: ToxicOrder = { type: 'latency', stream: 'upstream', attributes: { latency: 7 } };
  const names = await Promise.all([link.add([latency]), link.cut(), link.add([latency])]);
  expect(names).toEqual([['latency_upstream'], undefined, ['latency_upstream_2']]);
  expect(proxy).toMatchObject({ enabled: false, toxics: [{}, {}] });
});

test('nobody listening is said with the address and what to do', async () => {
  server.close();
  await once(server, 'close');
  await expect(link.read()).rejects.toMatchObject({
    code: 'link_failed',
    message: expect.stringMatching(/does not answer at http:\/\/127\.0\.0\.1:\d+/),
    next: ['Is the lab running? make status', 'If not: make up'],
  });
});
