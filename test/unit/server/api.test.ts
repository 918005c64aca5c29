/** The API: each path against a real store, and the ways it says no. */
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import { formatTime } from '#protocol/identity.ts';
import { cursorOf, exportAnswer, positionOf } from '#server/api/answers.ts';
import { createApi } from '#server/api/api.ts';
import type { ApiOptions } from '#server/api/options.ts';
import { parseTime } from '#server/api/time.ts';
import type { Store } from '#server/store/store.ts';
import { DEADLINE, type Serving, serve, stopServing } from './serving.ts';
import { announce, batchOf, EPOCH_A, epochOf, frameOf, framesOf } from './store-contract.ts';

const apps: FastifyInstance[] = [];

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await stopServing();
});

async function api(more: Partial<ApiOptions> = {}) {
  const serving = await serve();
  const { store, events, metrics, log, registry, ingest } = serving;
  const app = await createApi({
    version: '1.2.3',
    store,
    events,
    metrics: metrics.registry,
    log,
    wallTime: () => 1_000_000,
    connected: (collector) => registry.connected(collector),
    listening: () => ingest.listening,
    eventClientsMax: 2,
    ...more,
  });
  apps.push(app);
  return { ...serving, app };
}

async function fill({ store }: Serving, count = 3): Promise<void> {
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, count + 1)]);
  const frames = framesOf(EPOCH_A, 1, count);
  frames[1] = frameOf(EPOCH_A, 2, '{"metrics": [1]}');
  await store.commit(batchOf(streams[0] ?? -1, { frames }));
}

async function get(app: FastifyInstance, url: string) {
  const response = await app.inject({ url });
  expect(response.statusCode, response.body).toBe(200);
  return response.json();
}

describe('answers', () => {
  test('collectors are there with their silence and their newest frame', async () => {
    const { app, ...serving } = await api();
    await fill(serving);
    expect(await get(app, '/api/v1/collectors')).toEqual({
      as_of: '1970-01-01T00:00:01.000000Z',
      collectors: [
        {
          collector: 'c1',
          connected: false,
          instance: expect.any(String),
          connected_at: null,
          last_heard_at: '1970-01-01T00:00:00.001000Z',
          silent_since: '1970-01-01T00:00:00.001000Z',
          newest: {
            epoch: EPOCH_A,
            seq: 3,
            captured_at: formatTime(frameOf(EPOCH_A, 3).capturedAt),
            received_at: '1970-01-01T00:00:00.000005Z',
          },
        },
      ],
    });
  });

  test('one that is connected is not silent', async () => {
    const session = { instance: 'i', connectedAt: 2_000, heardAt: 3_000 };
    const { app, ...serving } = await api({ connected: () => session });
    await fill(serving);
    expect((await get(app, '/api/v1/collectors')).collectors[0]).toMatchObject({
      connected: true,
      instance: 'i',
      connected_at: '1970-01-01T00:00:00.002000Z',
      last_heard_at: '1970-01-01T00:00:00.003000Z',
      silent_since: null,
    });
    expect((await get(app, '/api/v1/audit')).collectors[0]).toMatchObject({
      connected: true,
      silent_since: null,
    });
  });

  test('the audit names totals and lists', async () => {
    const { app, ...serving } = await api();
    await fill(serving);
    const { store_id, collectors } = await get(app, '/api/v1/audit?collector=c1');
    expect(store_id).toBe(serving.store.storeId);
    expect(collectors).toMatchObject([
      {
        totals: { stored: 3, declared: 0, rejected: 0, pruned: 0, pending: 1, missing: 0 },
        epochs: [{ epoch: EPOCH_A, first: 1, last: 4, pending: [{ from: 4, to: 4 }], missing: [] }],
      },
    ]);
    expect((await get(app, '/api/v1/audit?collector=other')).collectors).toEqual([]);
  });

  test('frames come by page, newest first, with their payload as JSON where it is JSON', async () => {
    const { app, ...serving } = await api();
    await fill(serving);
    const first = await get(app, '/api/v1/frames?limit=2');
    expect(first.frames).toMatchObject([
      { seq: 3, crc32: frameOf(EPOCH_A, 3).crc.toString(16).padStart(8, '0'), payload_bytes: 7 },
      { seq: 2, payload: { metrics: [1] } },
    ]);
    expect(first.frames[0]).not.toHaveProperty('payload');
    expect(Buffer.from(first.frames[0].payload_base64, 'base64').toString()).toBe('frame 3');
    const second = await get(app, `/api/v1/frames?limit=2&cursor=${first.next_cursor}`);
    expect(second.frames.map(({ seq }: { seq: number }) => seq)).toEqual([1]);
    expect(second.next_cursor).toBeNull();
    const from = formatTime(frameOf(EPOCH_A, 2).capturedAt);
    const ranged = await get(app, `/api/v1/frames?order=oldest&from=${from}&epoch=${EPOCH_A}`);
    expect(ranged.frames.map(({ seq }: { seq: number }) => seq)).toEqual([2, 3]);
  });

  test('the export has one line a frame, in order', async () => {
    const { app, ...serving } = await api();
    await fill(serving, 2_100);
    const response = await app.inject({ url: '/api/v1/export?collector=c1' });
    expect(response.headers['content-type']).toContain('application/x-ndjson');
    const lines = response.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ seq }) => seq)).toEqual(
      Array.from({ length: 2_100 }, (_, index) => index + 1),
    );
    expect(lines[0]).toEqual({
      collector: 'c1',
      epoch: EPOCH_A,
      seq: 1,
      captured_at: formatTime(frameOf(EPOCH_A, 1).capturedAt),
      received_at: '1970-01-01T00:00:00.000005Z',
      crc32: frameOf(EPOCH_A, 1).crc.toString(16).padStart(8, '0'),
      payload_base64: Buffer.from('frame 1').toString('base64'),
    });
    expect((await app.inject({ url: '/api/v1/export?collector=nobody' })).body).toBe('');
  });

  test('a stored frame that no longer matches its CRC is exported as such, and logged', async () => {
    const { app, logged, ...serving } = await api();
    const { streams } = await announce(serving.store, [epochOf(EPOCH_A, 1, 1)]);
    const damaged = { ...frameOf(EPOCH_A, 1), payload: Buffer.from('FRAME 1') };
    await serving.store.commit(batchOf(streams[0] ?? -1, { frames: [damaged] }));
    const { body } = await app.inject({ url: '/api/v1/export' });
    expect(JSON.parse(body)).toMatchObject({ seq: 1, crc_ok: false });
    expect(logged).toContainEqual(
      expect.objectContaining({ event: 'stored_frame_damaged', level: 50, seq: 1 }),
    );
  });

  test('health says alive, readiness says why not', async () => {
    const { app, ingest } = await api();
    expect(await get(app, '/healthz')).toEqual({ status: 'ok' });
    expect(await get(app, '/readyz')).toEqual({ status: 'ok' });
    await ingest.close();
    const response = await app.inject({ url: '/readyz' });
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ detail: expect.stringContaining('port') });
  });

  test('metrics are in Prometheus’ words, with every label value from the start', async () => {
    const { app } = await api();
    const { body, headers } = await app.inject({ url: '/metrics' });
    expect(headers['content-type']).toContain('text/plain');
    expect(body).toContain('holdfast_ingest_frames_total{result="conflict"} 0');
    expect(body).toContain('holdfast_ingest_connections_closed_total{reason="in_use"} 0');
    expect(body).toContain('holdfast_store_writable 1');
  });

  test('the document names every path', async () => {
    const { app } = await api();
    const { openapi, paths } = await get(app, '/api/v1/openapi.json');
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths).sort()).toEqual([
      '/api/v1/audit',
      '/api/v1/collectors',
      '/api/v1/events',
      '/api/v1/export',
      '/api/v1/frames',
      '/healthz',
      '/readyz',
    ]);
  });

  test.each(['/', '/icon.svg', '/page.css', '/page.js'])(
    '%s is served with a strict policy',
    async (url) => {
      const { app } = await api();
      const { statusCode, headers, body } = await app.inject({ url });
      expect(statusCode).toBe(200);
      expect(body.length).toBeGreaterThan(100);
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['x-content-type-options']).toBe('nosniff');
    },
  );
});

describe('no', () => {
  test.each([
    ['/api/v1/collectors?x=1', 'x'],
    ['/api/v1/audit?collector=../x', 'collector'],
    ['/api/v1/audit?collector=a&collector=b', 'collector'],
    ['/api/v1/frames?limit=0', 'limit'],
    ['/api/v1/frames?limit=1001', 'limit'],
    ['/api/v1/frames?limit=', 'limit'],
    ['/api/v1/frames?order=up', 'order'],
    ['/api/v1/frames?epoch=1', 'epoch'],
    ['/api/v1/frames?from=yesterday', 'from'],
    ['/api/v1/frames?to=2026-02-30T25:00:00Z', 'to'],
    ['/api/v1/frames?cursor=e30', 'cursor'],
    ['/api/v1/events?x=1', 'x'],
  ])('%s is a bad request that names %s', async (url, named) => {
    const { app } = await api();
    const response = await app.inject({ url });
    expect(response.statusCode).toBe(400);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(response.json()).toEqual({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      detail: expect.stringContaining(named),
    });
  });

  test('there is nothing but reading', async () => {
    const { app } = await api();
    const post = await app.inject({ method: 'POST', url: '/api/v1/audit', payload: {} });
    expect(post.statusCode).toBe(405);
    expect(post.headers.allow).toBe('GET, HEAD');
    expect((await app.inject({ url: '/api/v1/nothing' })).statusCode).toBe(404);
    expect((await app.inject({ url: '/../package.json' })).statusCode).toBe(404);
    expect((await app.inject({ method: 'HEAD', url: '/api/v1/audit' })).statusCode).toBe(200);
  });

  test('an error of ours is logged and says nothing of our insides', async () => {
    const broken = { storeId: 'x', audit: () => Promise.reject(new Error('secret path')) };
    const { app, logged } = await api({ store: broken as unknown as Store });
    const response = await app.inject({ url: '/api/v1/audit' });
    expect(response.statusCode).toBe(500);
    expect(response.body).not.toContain('secret');
    expect(JSON.stringify(logged)).toContain('secret path');
  });
});

describe('events', () => {
  async function listening() {
    const { app, ...serving } = await api();
    const address = await app.listen({ host: '127.0.0.1', port: 0 });
    return { app, address, ...serving };
  }

  /** Opens a stream of events and gathers what comes. */
  async function read(address: string) {
    const response = await fetch(`${address}/api/v1/events`);
    const seen = { status: response.status, text: '', ended: '' };
    const gather = async (): Promise<void> => {
      for await (const chunk of response.body ?? []) seen.text += Buffer.from(chunk).toString();
    };
    gather().then(
      () => {
        seen.ended = 'in order';
      },
      () => {
        seen.ended = 'broken off';
      },
    );
    return seen;
  }

  test('hello comes first, then what happens, with many commits gathered', async () => {
    const { address, events } = await listening();
    const seen = await read(address);
    await expect.poll(() => seen.text, DEADLINE).toContain('event: hello');
    events.publish({ type: 'collector', collector: 'c1', connected: true, at: 1 });
    for (let to = 1; to <= 50; to += 1) {
      events.publish({ type: 'stored', collector: 'c1', epoch: EPOCH_A, to, capturedAt: to });
    }
    await expect.poll(() => seen.text, DEADLINE).toContain('"to":50');
    expect(seen.text.match(/event: stored/g)).toHaveLength(1);
    expect(seen.text).toContain('"connected":true');
  });

  test('readers are capped, and ended when the server closes', async () => {
    const { app, address } = await listening();
    const readers = [await read(address), await read(address)];
    expect((await read(address)).status).toBe(503);
    await app.close();
    await expect
      .poll(() => readers.map(({ ended }) => ended), DEADLINE)
      .toEqual(['in order', 'in order']);
  });
});

describe('texts', () => {
  test('times are exact to the microsecond, both ways', () => {
    for (const time of [0, 1, 1_700_000_000_123_456, 8_000_000_000_000_001]) {
      expect(parseTime(formatTime(time))).toBe(time);
    }
    expect(parseTime('2023-11-14T22:13:20.5+01:00')).toBe(1_699_996_400_500_000);
    expect(parseTime('1969-12-31T23:59:59Z')).toBeUndefined();
    expect(parseTime('2023-11-14')).toBeUndefined();
  });

  test('a cursor brings its place back, and nothing else passes for one', () => {
    const place = { collector: 'c1', epoch: EPOCH_A, capturedAt: 7, seq: 9 };
    expect(positionOf(cursorOf(place))).toEqual(place);
    for (const text of ['', 'x', 'bnVsbA', 'WzEsMiwzLDRd'])
      expect(positionOf(text)).toBeUndefined();
  });

  test('a payload that only looks like text is not shown as JSON', () => {
    const frame = { ...frameOf(EPOCH_A, 1), collector: 'c1', epoch: EPOCH_A, receivedAt: 0 };
    const invalid = exportAnswer({ ...frame, payload: Buffer.from([0x22, 0xff, 0x22]) });
    expect(invalid).not.toHaveProperty('payload');
  });
});
