/**
 * The link against a stand-in for Toxiproxy's API that keeps state as the real one does, and can be
 * told to lie. (The integration tests drive a real Toxiproxy.)
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Link } from '#lab/link.ts';

interface Toxic {
  name: string;
  type: string;
  stream: string;
  toxicity: number;
  attributes: Record<string, number>;
}

let server: Server;
let link: Link;
let proxy: { enabled: boolean; toxics: Toxic[] };
/** Changes an accepted toxic before it is kept, as a fault of the API would. */
let distort: (toxic: Toxic) => Toxic;
let deaf: boolean;

beforeEach(async () => {
  proxy = { enabled: true, toxics: [] };
  distort = (toxic) => toxic;
  deaf = false;
  server = createServer(async (request, response) => {
    const { status, body } = answer(request, await bodyOf(request));
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
  if (url === '/proxies/link' && method === 'GET') return { status: 200, body: proxy };
  if (url === '/proxies/link' && method === 'PATCH') {
    if (!deaf) proxy.enabled = (JSON.parse(body) as { enabled: boolean }).enabled;
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
  server.on('request', (_, response) => response.writeHead(404).end('proxy not found'));
  await expect(link.cut()).rejects.toMatchObject({ details: ['proxy not found'] });
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
