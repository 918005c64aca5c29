/** The page at `/`: what is served of what the build has made, how it is encoded, and how kept. */
import { rmSync } from 'node:fs';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { chooseEncoding } from '#server/api/encoding.ts';
import { startApi, stopApis } from './api-rig.ts';
import { ICON, makePageFolder, PAGE, SCRIPT } from './page-folder.ts';

const folders: string[] = [];

afterEach(async () => {
  await stopApis();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function startPage() {
  const pageFolder = makePageFolder();
  folders.push(pageFolder);
  return (await startApi({ pageFolder })).app;
}

const FILES = [
  ['/', 'text/html; charset=utf-8', PAGE],
  ['/assets/page-0.js', 'text/javascript; charset=utf-8', SCRIPT],
  ['/assets/icon-0.svg', 'image/svg+xml', ICON],
] as const;

test.each(FILES)('%s is served as it is, under a strict policy', async (url, type, text) => {
  const app = await startPage();
  const { statusCode, headers, body } = await app.inject({ url });
  expect([statusCode, headers['content-type'], body]).toEqual([200, type, text]);
  expect(headers['content-encoding']).toBeUndefined();
  expect(headers.vary).toBe('accept-encoding');
  expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'/);
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(headers['content-security-policy']).toContain("require-trusted-types-for 'script'");
  expect(headers['content-security-policy']).not.toContain('unsafe');
  expect(headers['x-content-type-options']).toBe('nosniff');
});

test.each([
  ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
  ['gzip, deflate', 'gzip', gunzipSync],
] as const)('to one that takes %s it is sent as %s', async (accepted, encoding, decoded) => {
  const app = await startPage();
  for (const [url, text] of [
    ['/', PAGE],
    ['/assets/page-0.js', SCRIPT],
  ] as const) {
    const asked = { url, headers: { 'accept-encoding': accepted } };
    const { headers, rawPayload } = await app.inject(asked);
    expect(headers['content-encoding']).toBe(encoding);
    expect(headers['content-length']).toBe(String(rawPayload.length));
    expect(decoded(rawPayload).toString()).toBe(text);
    const head = await app.inject({ ...asked, method: 'HEAD' });
    expect([head.statusCode, head.body]).toEqual([200, '']);
    expect({ ...head.headers, date: '' }).toEqual({ ...headers, date: '' });
  }
});

test('the page is asked about each time, and what has a hash in its name never again', async () => {
  const app = await startPage();
  const kept = async (url: string) => (await app.inject({ url })).headers['cache-control'];
  expect(await kept('/')).toBe('no-cache');
  expect(await kept('/assets/page-0.js')).toBe('max-age=31536000, immutable');
  expect(await kept('/assets/icon-0.svg')).toBe('max-age=31536000, immutable');
});

test('a browser that has it is spared the rest, in the encoding that it has', async () => {
  const app = await startPage();
  const ask = (headers: Record<string, string>) => app.inject({ url: '/', headers });
  const plain = String((await ask({})).headers.etag);
  const brotli = String((await ask({ 'accept-encoding': 'br' })).headers.etag);
  expect(brotli).not.toBe(plain);
  for (const held of [plain, `W/${plain}`, `"other", ${plain}`, '*']) {
    const { statusCode, body, headers } = await ask({ 'if-none-match': held });
    expect([statusCode, body, headers.etag]).toEqual([304, '', plain]);
    expect([headers['cache-control'], headers.vary]).toEqual(['no-cache', 'accept-encoding']);
  }
  for (const other of ['"other"', brotli, '']) {
    expect((await ask({ 'if-none-match': other })).statusCode).toBe(200);
  }
});

test.each([
  '/index.html',
  '/assets',
  '/assets/',
  '/assets/page-0.js.br',
  '/assets/page-0.js.gz',
  '/assets/%2e%2e/index.html',
  '/assets/..%2findex.html',
  '/assets/page-0.js/',
  '/ASSETS/page-0.js',
])('%s is no path of it', async (url) => {
  const app = await startPage();
  expect((await app.inject({ url })).statusCode).toBe(404);
});

test('where it has not been built, it says how, and all else is served', async () => {
  const { app } = await startApi({ pageFolder: '/nonexistent' });
  const { statusCode, headers, body } = await app.inject({ url: '/' });
  expect([statusCode, headers['content-type']]).toEqual([503, 'text/plain; charset=utf-8']);
  expect(body).toContain('has not been built');
  expect(body).toContain('make up');
  expect(headers['cache-control']).toBe('no-store');
  expect((await app.inject({ url: '/api/v1/collectors' })).statusCode).toBe(200);
});

describe('the encoding', () => {
  const ALL = ['br', 'gzip', 'identity'] as const;

  test.each([
    [undefined, 'identity'],
    ['', 'identity'],
    ['identity', 'identity'],
    ['deflate, zstd', 'identity'],
    ['gzip, deflate, br', 'br'],
    ['gzip', 'gzip'],
    ['GZIP ; q=0.5', 'gzip'],
    ['br;q=0.1, gzip;q=1', 'br'],
    ['br;q=0, gzip', 'gzip'],
    ['br; q=0.000, *', 'gzip'],
    ['*', 'br'],
    ['*;q=0', 'identity'],
    ['br;q=0, gzip;q=0', 'identity'],
    ['brotli, gzipped', 'identity'],
  ])('for %j is %s', (header, encoding) => {
    expect(chooseEncoding(header, ALL)).toBe(encoding);
  });

  test('is never one that is not offered', () => {
    expect(chooseEncoding('br, gzip', ['gzip', 'identity'])).toBe('gzip');
    expect(chooseEncoding('br, gzip', ['identity'])).toBe('identity');
  });
});
