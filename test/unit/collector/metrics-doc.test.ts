/** docs/metrics.md says what the collector does: every metric stands in it, and nothing else. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CATALOGUE, type MetricDefinition } from '#collector/sampler/catalogue.ts';
import { metricsRegistry } from '#collector/status/metrics.ts';
import { snapshotOf } from './snapshot.ts';

/** The cells of the rows whose first cell is a name in backticks, under a heading. */
function tableUnder(heading: string): string[][] {
  const text = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

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
  expect(tableUnder('Metrics of a sample')).toEqual(rows);
});

test("the table of the collector's own metrics is what /metrics has", async () => {
  const registry = metricsRegistry(() => snapshotOf());
  const metrics = await registry.getMetricsAsJSON();
  const rows = metrics.map(({ name, type, help }) => [code(name), String(type), help]);
  expect(tableUnder("The collector's /metrics")).toEqual(rows);
});
