/** The API: each path against a real store. Exports, events and refusals have files of their own. */
import { afterEach, describe, expect, test } from 'vitest';
import { formatTime } from '#protocol/identity.ts';
import { parseTime } from '#server/api/time.ts';
import { fill, get, startApi, stopApis } from './api-rig.ts';
import {
  announce,
  batchOf,
  EPOCH_A,
  EPOCH_B,
  epochOf,
  frameOf,
  framesOf,
} from './store-contract.ts';

afterEach(stopApis);

describe('answers', () => {
  test('collectors are there with their silence and their newest frame', async () => {
    const { app, ...serving } = await startApi();
    await fill(serving);
    expect(await get(app, '/api/v1/collectors')).toEqual({
      as_of: '1970-01-01T00:00:01.000000Z',
      collectors: [
        {
          collector: 'c1',
          connected: false,
          instance: expect.any(String),
          address: null,
          connected_at: null,
          waiting: [],
          last_heard_at: '1970-01-01T00:00:00.001000Z',
          silent_since: '1970-01-01T00:00:00.001000Z',
          newest: {
            epoch: EPOCH_A,
            seq: 3,
            captured_at: formatTime(frameOf(EPOCH_A, 3).capturedAt),
            received_at: '1970-01-01T00:00:00.000005Z',
          },
          delivery_lag: null,
        },
      ],
    });
  });

  test('other processes that ask to come in as a collector are named', async () => {
    const other = { instance: 'j', address: '10.0.0.2:4', since: 2_000, askedAt: 3_000 };
    const waiting = (collector: string) => (collector === 'c1' ? [other] : []);
    const { app, ...serving } = await startApi({ waiting });
    await fill(serving);
    expect((await get(app, '/api/v1/collectors')).collectors[0].waiting).toEqual([
      {
        instance: 'j',
        address: '10.0.0.2:4',
        since: '1970-01-01T00:00:00.002000Z',
        last_asked_at: '1970-01-01T00:00:00.003000Z',
      },
    ]);
  });

  test('one that is connected is not silent', async () => {
    const session = { instance: 'i', address: '10.0.0.1:3', connectedAt: 2_000, heardAt: 3_000 };
    const { app, ...serving } = await startApi({ connected: () => session });
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

  test('the delivery lag is that of the last minutes', async () => {
    const deliveryLag = () => ({ since: 5, frames: 7, p50Ms: 1.4, p99Ms: 2_000.6, maxMs: 3_000 });
    const { app, ...serving } = await startApi({ deliveryLag });
    await fill(serving);
    expect((await get(app, '/api/v1/collectors')).collectors[0].delivery_lag).toEqual({
      since: '1970-01-01T00:00:00.000005Z',
      frames: 7,
      p50_ms: 1,
      p99_ms: 2_001,
      max_ms: 3_000,
    });
  });

  test('the audit names totals and lists', async () => {
    const { app, ...serving } = await startApi();
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

  test('the audit answers whatever a collector says of how far it has come', async () => {
    const { app, store } = await startApi();
    const last = Number.MAX_SAFE_INTEGER;
    await announce(store, [epochOf(EPOCH_A, 1, last), epochOf(EPOCH_B, 1, last)]);
    const { collectors } = await get(app, '/api/v1/audit');
    expect(collectors).toMatchObject([{ totals: { stored: 0, pending: last } }]);
  });

  test('gaps lie between the capture times of what is stored', async () => {
    const { app, ...serving } = await startApi();
    const { streams } = await announce(serving.store, [epochOf(EPOCH_A, 1, 9)]);
    const frames = [3, 6].map((seq) => frameOf(EPOCH_A, seq));
    const gaps = [{ from: 4, to: 5, reason: 'evicted' }] as const;
    await serving.store.commit(batchOf(streams[0] ?? -1, { frames, gaps }));
    const [at3, at6] = [3, 6].map((seq) => formatTime(frameOf(EPOCH_A, seq).capturedAt));
    const pending = { epoch: EPOCH_A, kind: 'pending', reason: null };
    expect(await get(app, '/api/v1/gaps?collector=c1')).toEqual({
      as_of: '1970-01-01T00:00:01.000000Z',
      collector: 'c1',
      complete: true,
      gaps: [
        { ...pending, from: 7, to: 9, captured_after: at6, captured_before: null },
        {
          ...{ epoch: EPOCH_A, kind: 'declared', from: 4, to: 5, reason: 'evicted' },
          ...{ captured_after: at3, captured_before: at6 },
        },
        { ...pending, from: 1, to: 2, captured_after: null, captured_before: at3 },
      ],
    });
    const one = await get(app, `/api/v1/gaps?collector=c1&from=${at6}&to=2100-01-01T00:00:00Z`);
    expect(one.gaps.map(({ from }: { from: number }) => from)).toEqual([7, 4]);
    expect(await get(app, '/api/v1/gaps?collector=other')).toMatchObject({
      complete: true,
      gaps: [],
    });
    for (const query of ['', '?collector=%2F', '?collector=c1&from=x', '?collector=c1&kind=x']) {
      const { statusCode } = await app.inject({ url: `/api/v1/gaps${query}` });
      expect(statusCode, query).toBe(400);
    }
  });

  test('of very many gaps the newest come, and it is said that there are more', async () => {
    const { app, store } = await startApi();
    const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 4_000)]);
    const frames = framesOf(EPOCH_A, 1, 4_000).filter(({ seq }) => seq % 2 === 0);
    await store.commit(batchOf(streams[0] ?? -1, { frames }));
    const { complete, gaps } = await get(app, '/api/v1/gaps?collector=c1');
    expect(complete).toBe(false);
    expect(gaps).toHaveLength(1_000);
    expect(gaps[0]).toMatchObject({ kind: 'pending', from: 3_999, to: 3_999 });
    const to = formatTime(frameOf(EPOCH_A, 100).capturedAt);
    const older = await get(app, `/api/v1/gaps?collector=c1&to=${to}`);
    expect(older.complete).toBe(true);
    expect(older.gaps.map(({ from }: { from: number }) => from)).toEqual(
      Array.from({ length: 50 }, (_, index) => 99 - 2 * index),
    );
  });

  test('frames come by page, newest first, with their payload as JSON where it is JSON', async () => {
    const { app, ...serving } = await startApi();
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

  test('health says alive, readiness says why not', async () => {
    const { app, ingest } = await startApi();
    expect(await get(app, '/healthz')).toEqual({ status: 'ok' });
    expect(await get(app, '/readyz')).toEqual({ status: 'ok' });
    await ingest.close();
    const response = await app.inject({ url: '/readyz' });
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ detail: expect.stringContaining('port') });
  });

  test('metrics are in Prometheus’ words, with every label value from the start', async () => {
    const { app } = await startApi();
    const { body, headers } = await app.inject({ url: '/metrics' });
    expect(headers['content-type']).toContain('text/plain');
    expect(body).toContain('holdfast_ingest_frames_total{result="conflict"} 0');
    expect(body).toContain('holdfast_ingest_connections_closed_total{reason="in_use"} 0');
    expect(body).toContain('holdfast_store_writable 1');
  });

  test('the document names every path', async () => {
    const { app } = await startApi();
    const { openapi, paths } = await get(app, '/api/v1/openapi.json');
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths).sort()).toEqual([
      '/api/v1/audit',
      '/api/v1/collectors',
      '/api/v1/events',
      '/api/v1/export',
      '/api/v1/frames',
      '/api/v1/gaps',
      '/healthz',
      '/metrics',
      '/readyz',
    ]);
  });
});

describe('texts', () => {
  test('times are exact to the microsecond, both ways', () => {
    for (const time of [0, 1, 1_700_000_000_123_456, 8_000_000_000_000_001]) {
      expect(parseTime(formatTime(time))).toBe(time);
    }
    expect(parseTime('2023-11-14T22:13:20.5+01:00')).toBe(1_699_996_400_500_000);
    expect(parseTime('1970-01-01T00:00:00.0000010Z')).toBe(1);
    expect(parseTime('1970-01-01T00:00:00.0000011Z')).toBe(2);
    expect(parseTime('1969-12-31T23:59:59Z')).toBe(-1_000_000);
    expect(parseTime('9999-12-31T23:59:59Z')).toBe(Number.MAX_SAFE_INTEGER);
    expect(parseTime('2023-11-14')).toBeUndefined();
  });
});
