/** docs/metrics.md says what the collector does: every metric stands in it, and nothing else. */
import { expect, test } from 'vitest';
import { CATALOGUE, type MetricDefinition } from '#collector/sampler/catalogue.ts';
import { metricsRegistry } from '#collector/status/metrics.ts';
import { metricTable, rowsOf } from '../metric-tables.ts';
import { wrongIn } from '../prometheus-rules.ts';
import { snapshotOf } from './snapshot.ts';

const code = (word: string): string => `\`${word}\``;

test('the table of sample metrics is the catalogue', () => {
  const rows = Object.entries<MetricDefinition>(CATALOGUE).map(([name, definition]) => [
    code(name),
    definition.instrument,
    code(definition.unit),
    definition.attributes.map(code).join(', ') || '–',
    definition.origin,
    definition.meaning,
  ]);
  expect(metricTable('Metrics of a sample')).toEqual(rows);
});

test("the table of the collector's own metrics is what /metrics has", async () => {
  const registry = metricsRegistry(() => snapshotOf());
  expect(metricTable("The collector's /metrics")).toEqual(await rowsOf(registry));
});

test("the collector's own metrics are by Prometheus' rules", async () => {
  const registry = metricsRegistry(() => snapshotOf());
  expect(wrongIn(await registry.metrics())).toEqual([]);
});
