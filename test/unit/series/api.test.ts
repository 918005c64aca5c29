/** /api/v1/series and its catalogue over HTTP, with the worker as it runs in the server. */
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import type { z } from 'zod';
import { formatTime, frameCrc } from '#protocol/identity.ts';
import { catalogueResponse, columnsResponse, seriesResponse } from '#server/series/schemas.ts';
import { SERIES_FILE } from '#server/series/series-file.ts';
import { SeriesIndex } from '#server/series/series-index.ts';
import { SERIES_PER_ANSWER_MAX } from '#server/series/series-query.ts';
import { SqliteStore } from '#server/store/sqlite-store.ts';
import { startApi, stopApis } from '#test/unit/server/api-rig.ts';
import { BASE_US, epochOf, timeOf } from './rig.ts';

const DEADLINE = { timeout: 15_000, interval: 20 };
const SECOND = 1_000_000;
const undo: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  await stopApis();
  for (const step of undo.splice(0).reverse()) await step();
});

interface Server {
  readonly directory: string;
  readonly store: SqliteStore;
  readonly logged: Record<string, unknown>[];
  readonly app: FastifyInstance;
  readonly index: SeriesIndex | undefined;
}

async function newStore(): Promise<{ directory: string; store: SqliteStore }> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-series-'));
  undo.push(() => rmSync(directory, { recursive: true }));
  const fresh = { storeId: randomUUID(), createdAt: 1 };
  const store = await SqliteStore.open({ directory, fresh });
  undo.push(() => store.close());
  return { directory, store };
}

async function serve(
  series: 'on' | 'off' = 'on',
  of?: { directory: string; store: SqliteStore },
): Promise<Server> {
  const { directory, store } = of ?? (await newStore());
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line) => logged.push(JSON.parse(line)) });
  const limits = { seriesPerCollectorMax: 2_000, bucketsMax: 10_000 };
  const index = series === 'on' ? new SeriesIndex({ directory, ...limits }, log) : undefined;
  undo.push(() => index?.close());
  const { app } = await startApi({ store, log, series: index });
  return { directory, store, logged, app, index };
}

/** Stores payloads a second apart, under the next numbers of a fresh epoch. */
async function fill({ store }: Server, collector: string, payloads: readonly unknown[]) {
  const epoch = epochOf(Math.floor(Math.random() * 1e9));
  const epochs = [{ epoch, lowest: 1, highest: payloads.length, predecessor: undefined }];
  const by = { collector, instance: randomUUID(), connection: randomUUID(), at: 1, complete: true };
  const { streams } = await store.announce({ ...by, epochs });
  const frames = payloads.map((given, n) => {
    const payload = Buffer.from(JSON.stringify(given));
    const frame = { epoch, seq: n + 1, capturedAt: BASE_US + n * SECOND, payload };
    return { ...frame, crc: frameCrc(frame) };
  });
  const facts = { collector, stream: streams[0] ?? -1, receivedAt: BASE_US + 11 * SECOND };
  await store.commit({ ...facts, frames, gaps: [], rejects: [] });
}

async function get({ app }: Server, url: string) {
  await expect.poll(async () => (await app.inject({ url })).statusCode, DEADLINE).not.toBe(503);
  return app.inject({ url });
}

async function series(server: Server, query = '') {
  const response = await get(server, `/api/v1/series${query}`);
  expect(response.statusCode, response.body).toBe(200);
  expect(response.headers['content-type']).toContain('application/json');
  return seriesResponse.strict().parse(response.json());
}

function cpu(value: number, mode?: string) {
  const attributes = mode === undefined ? {} : { attributes: { 'cpu.mode': mode } };
  return { name: 'system.cpu.utilization', unit: '1', value, ...attributes };
}

test('what is acknowledged is in the next answer, reduced, with what came late', async () => {
  const server = await serve();
  await fill(server, 'a', [{ m: 1 }, { m: 4 }, { m: 2.5 }]);
  const answer = await series(server, '?collector=a&metric=m&points=1');
  expect(answer).toMatchObject({
    from: formatTime(BASE_US),
    to: formatTime(BASE_US + 5 * SECOND),
    bucket_seconds: 5,
    series: [{ collector: 'a', metric: 'm', unit: '', attributes: {} }],
  });
  expect(answer.complete_to).not.toBeNull();
  const [bucket] = answer.series[0]?.buckets ?? [];
  expect(bucket).toEqual({
    t: formatTime(BASE_US),
    min: 1,
    max: 4,
    mean: 2.5,
    count: 3,
    late: 1,
  });
  await fill(server, 'a', [{ m: 9 }]);
  expect((await series(server, '?metric=m&points=1')).series[0]?.buckets[0]).toMatchObject({
    max: 9,
    count: 4,
  });
});

test('series are chosen by collectors, metrics and attributes; a range has no bucket where nothing is', async () => {
  const server = await serve();
  const samples = [0, 1, 2, 3].map((n) => ({
    metrics: [cpu(n), cpu(n / 2, 'user'), { name: 'x', value: n }],
  }));
  await fill(server, 'a', samples);
  await fill(server, 'b', samples);
  await fill(server, 'c', ['no numbers']);
  // Of the two with numbers: three of their own, and the delivery lag.
  expect((await series(server)).series).toHaveLength(8);
  const users = await series(server, '?collector=a&collector=b&attribute=cpu.mode=user');
  expect(users.series).toMatchObject([
    { collector: 'a', unit: '1', attributes: { 'cpu.mode': 'user' } },
    { collector: 'b', unit: '1', attributes: { 'cpu.mode': 'user' } },
  ]);
  const total = await series(
    server,
    '?collector=b&metric=system.cpu.utilization&attribute=cpu.mode=',
  );
  expect(total.series).toMatchObject([{ collector: 'b', attributes: {} }]);
  const range = `from=${formatTime(BASE_US + SECOND)}&to=${formatTime(BASE_US + 3 * SECOND)}`;
  const { bucket_seconds, series: lines } = await series(
    server,
    `?collector=a&metric=x&points=2&${range}`,
  );
  expect(bucket_seconds).toBe(1);
  expect(lines[0]?.buckets.map(({ t, mean }) => [t, mean])).toEqual([
    [formatTime(BASE_US + SECOND), 1],
    [formatTime(BASE_US + 2 * SECOND), 2],
  ]);
  const far = await series(server, '?from=9999-12-31T23:59:58Z&to=9999-12-31T23:59:59Z');
  expect(far.series.flatMap(({ buckets }) => buckets)).toEqual([]);
  const noTime = `?from=${formatTime(BASE_US)}&to=${formatTime(BASE_US)}`;
  expect(await series(server, noTime)).toMatchObject({ from: null, series: [] });
  const nothing = await series(server, '?collector=nobody');
  expect(nothing).toMatchObject({ from: null, to: null, bucket_seconds: null, series: [] });
});

const DELIVERY_LAG = { metric: 'holdfast.delivery.lag', unit: 's', attributes: {} };

test('the catalogue names what can be asked for', async () => {
  const server = await serve();
  await fill(server, 'a', [{ metrics: [cpu(1), cpu(2, 'user')] }, '{"not":"numbers"}']);
  await fill(server, 'b', [JSON.parse('{"__proto__":{"x":1}}')]);
  const response = await get(server, '/api/v1/series/metrics');
  const { collectors } = catalogueResponse.strict().parse(response.json());
  expect(collectors).toEqual([
    {
      collector: 'a',
      first_captured_at: formatTime(BASE_US),
      last_captured_at: formatTime(BASE_US + SECOND),
      left_out: 0,
      series: [
        DELIVERY_LAG,
        { metric: 'system.cpu.utilization', unit: '1', attributes: { 'cpu.mode': 'user' } },
        { metric: 'system.cpu.utilization', unit: '1', attributes: {} },
      ],
    },
    expect.objectContaining({
      collector: 'b',
      series: [{ metric: '__proto__.x', unit: '', attributes: {} }, DELIVERY_LAG],
    }),
  ]);
  const one = await get(server, '/api/v1/series/metrics?collector=b');
  expect(one.json().collectors).toHaveLength(1);
});

/** The same in the other form. */
function bucketsOf(answer: z.infer<typeof columnsResponse>): z.infer<typeof seriesResponse> {
  const from = answer.from === null ? 0 : timeOf(answer.from);
  const series = answer.series.map(({ t, mean, min, max, count, late, ...names }) => ({
    ...names,
    buckets: t.map((startMs, i) => ({
      t: formatTime(from + startMs * 1_000),
      min: (min ?? mean)[i] ?? Number.NaN,
      max: (max ?? mean)[i] ?? Number.NaN,
      mean: mean[i] ?? Number.NaN,
      count: count === null ? 1 : (count[i] ?? Number.NaN),
      late: late === null ? 0 : (late[i] ?? Number.NaN),
    })),
  }));
  return { ...answer, series };
}

test('columns say the same as buckets, and are null where they say nothing', async () => {
  const server = await serve();
  const values = [1, 4, 2.5, -3, 0.125, 1e21, 7, 7, 7, 7];
  await fill(
    server,
    'a',
    values.map((m, n) => (n === 5 ? { m } : { m, steady: 3 })),
  );
  await fill(server, 'b', ['no numbers']);
  // In the last of these nothing of the series `steady` lies.
  const sixth = `?from=${formatTime(BASE_US + 5 * SECOND)}&to=${formatTime(BASE_US + 6 * SECOND)}`;
  for (const query of ['?points=1', '?points=4', '?points=20', '?metric=none', sixth]) {
    const columns = columnsResponse
      .strict()
      .parse((await get(server, `/api/v1/series${query}&form=columns`)).json());
    const { complete_to: _, ...buckets } = await series(server, `${query}&form=buckets`);
    expect(bucketsOf(columns)).toMatchObject(buckets);
  }
  const seconds = (await get(server, '/api/v1/series?metric=steady&form=columns')).json();
  expect(seconds.series).toEqual([
    {
      ...{ collector: 'a', metric: 'steady', unit: '', attributes: {} },
      t: [0, 1, 2, 3, 4, 6, 7, 8, 9].map((second) => second * 1_000),
      mean: Array(9).fill(3),
      ...{ min: null, max: null, count: null },
      late: [1, 0, 0, 0, 0, 0, 0, 0, 0],
    },
  ]);
});

const REFUSED = {
  '?points=0': 'points',
  '?points=5001': 'points',
  '?form=rows': 'form',
  '?from=yesterday': 'from',
  '?from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z': 'to: must not be before from',
  '?attribute=nothing': 'attribute',
  '?collector=%2F': 'collector',
  '?unknown=1': 'unknown',
};

test('what is asked wrongly is refused in words', async () => {
  const server = await serve();
  for (const [query, words] of Object.entries(REFUSED)) {
    const response = await get(server, `/api/v1/series${query}`);
    expect(response.statusCode, query).toBe(400);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(response.json().detail).toContain(words);
  }
});

test('more series than one answer may have are refused, with how many there are', async () => {
  const server = await serve();
  const numbers = Array.from({ length: SERIES_PER_ANSWER_MAX + 1 }, (_, n) => [`m${n}`, n]);
  await fill(server, 'a', [Object.fromEntries(numbers)]);
  const response = await get(server, '/api/v1/series');
  expect(response.statusCode).toBe(400);
  expect(response.json().detail).toContain(String(SERIES_PER_ANSWER_MAX + 2));
  expect((await series(server, '?metric=m3&metric=m5')).series).toHaveLength(2);
});

test('where series are off, that is said', async () => {
  const server = await serve('off');
  const response = await get(server, '/api/v1/series');
  expect(response.statusCode).toBe(404);
  expect(response.json().detail).toContain('HOLDFAST_SERIES');
  expect(existsSync(join(server.directory, SERIES_FILE))).toBe(false);
});

async function startedOver(server: Server): Promise<void> {
  const events = () => server.logged.map(({ event }) => event);
  await expect
    .poll(async () => {
      await server.app.inject({ url: '/api/v1/series' });
      return events();
    }, DEADLINE)
    .toContain('series_started_over');
  const count = async () =>
    (await series(server, '?metric=m&points=1')).series[0]?.buckets[0]?.count;
  await expect.poll(count, DEADLINE).toBe(3);
  expect(events()).not.toContain('series_failed');
}

test('a file that is removed while the server runs is made anew', async () => {
  const server = await serve();
  await fill(server, 'a', [{ m: 1 }, { m: 4 }, { m: 2.5 }]);
  await series(server);
  rmSync(join(server.directory, SERIES_FILE));
  await startedOver(server);
});

test('a file that is found damaged is made anew', async () => {
  const first = await serve();
  await fill(first, 'a', [{ m: 1 }, { m: 4 }, { m: 2.5 }]);
  await series(first);
  await first.index?.close();
  const path = join(first.directory, SERIES_FILE);
  const bytes = Buffer.alloc(statSync(path).size, 0xa5);
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, 0);
  closeSync(file);
  await startedOver(await serve('on', first));
});
