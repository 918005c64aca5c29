/** The server's /metrics: by Prometheus' rules, told in docs/metrics.md, and true. */
import { afterEach, expect, test } from 'vitest';
import { Metrics } from '#server/metrics.ts';
import type { StoreSummary } from '#server/store/store.ts';
import { metricTable, rowsOf } from '../metric-tables.ts';
import { wrongIn } from '../prometheus-rules.ts';
import { accessMetrics } from './access-rig.ts';
import { startApi, stopApis } from './api-rig.ts';
import { TestCollector } from './serving.ts';
import { EPOCH_A, epochOf, frameOf } from './store-contract.ts';

afterEach(stopApis);

function byName([a = '']: string[], [b = '']: string[]): number {
  return a < b ? -1 : 1;
}

/** In the API's registry already. */
function isAttempts(name: string | undefined): boolean {
  return name === '`holdfast_access_failed_attempts_total`';
}

const NOW = 1_700_000_000_000_000;

const SUMMARY: StoreSummary = {
  totals: {
    stored: 7,
    declared: 1,
    rejected: 2,
    pruned: 3,
    pending: 4,
    missing: 5,
    duplicatesRefused: 0,
    conflictsRefused: 0,
  },
  collectors: 9,
  silent: [3, 2, 1],
  bytes: 8_192,
};

function metricsOf(storeSummary: () => Promise<StoreSummary>): Metrics {
  return new Metrics({
    version: '1.2.3',
    connectionStates: () => new Map([['open', 2]]),
    collectorsConnected: () => 2,
    ingestBytesHeld: () => 0,
    storeWritable: () => true,
    storeSummary,
    wallTime: () => NOW,
  });
}

test('names and help are by the rules', async () => {
  const { app } = await startApi();
  expect(wrongIn((await app.inject({ url: '/metrics' })).body)).toEqual([]);
});

test("the table of the server's metrics is what /metrics has", async () => {
  const { metrics } = await startApi();
  const access = await rowsOf(accessMetrics());
  const rows = [
    ...(await rowsOf(metrics.registry)),
    ...access.filter(([name]) => !isAttempts(name)),
  ];
  const ours = rows.filter(([name]) => name?.startsWith('`holdfast_'));
  expect(metricTable("The server's /metrics")).toEqual(ours.toSorted(byName));
});

test('the store is summed up once for all that is told of it', async () => {
  let asked = 0;
  const metrics = metricsOf(async () => {
    asked += 1;
    return SUMMARY;
  });
  const text = await metrics.registry.metrics();
  for (const line of [
    'holdfast_collectors_known 9',
    'holdfast_collectors_silent{longer_than_seconds="300"} 2',
    'holdfast_store_frames{fate="missing"} 5',
    'holdfast_store_size_bytes 8192',
    'holdfast_ingest_connections{state="open"} 2',
    'holdfast_ingest_connections{state="greeting"} 0',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(asked).toBe(1);
});

test('what the store cannot tell has no value, and the rest is told', async () => {
  const metrics = metricsOf(() => Promise.reject(new Error('no')));
  const text = await metrics.registry.metrics();
  expect(text).not.toMatch(/^holdfast_store_frames/m);
  expect(text).not.toMatch(/^holdfast_store_size_bytes/m);
  expect(text).toContain('holdfast_store_writable 1');
});

test('lag is a histogram whose buckets add up', async () => {
  const metrics = metricsOf(async () => SUMMARY);
  metrics.onStored('c1', [NOW - 20_000, NOW - 2_000_000], NOW);
  const text = await metrics.registry.metrics();
  const of = (series: string) =>
    new RegExp(`^holdfast_ingest_delivery_lag_seconds_${series} (.*)$`, 'm').exec(text)?.[1];
  expect(of('bucket{le="0.01"}')).toBe('0');
  expect(of('bucket{le="0.025"}')).toBe('1');
  expect(of('bucket{le="2.5"}')).toBe('2');
  expect(of('bucket{le="\\+Inf"}')).toBe('2');
  expect(of('count')).toBe('2');
  expect(of('sum')).toBe('2.02');
});

test('what comes in is counted once, with its lag and its ack', async () => {
  const { app, port, metrics } = await startApi();
  const collector = new TestCollector(port);
  await collector.join([epochOf(EPOCH_A, 1, 3)]);
  const frames = [1, 2].map((seq) => frameOf(EPOCH_A, seq));
  collector.send({ kind: 'frames', epochIndex: 0, frames });
  await collector.next('ack');
  // Both again, and a third: that one alone is new.
  const third = frameOf(EPOCH_A, 3);
  collector.send({ kind: 'frames', epochIndex: 0, frames: [...frames, third] });
  await collector.next('ack');
  const { body } = await app.inject({ url: '/metrics' });
  expect(body).toContain('holdfast_ingest_frames_total{result="stored"} 3\n');
  expect(body).toContain('holdfast_ingest_frames_total{result="duplicate"} 2\n');
  expect(body).toContain('holdfast_ingest_delivery_lag_seconds_count 3\n');
  expect(body).toMatch(/^holdfast_ingest_ack_latency_seconds_count [12]$/m);
  const lag = metrics.deliveryLag.of('c1', Date.now() * 1_000);
  expect(lag).toMatchObject({ frames: 3 });
});
