/**
 * docs/alerts.yml and docs/operations.md: the rules ask for metrics and labels that there are, and
 * each has words. Whether they are valid PromQL is for promtool to say (integration tests).
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { metricsRegistry } from '#collector/status/metrics.ts';
import { snapshotOf } from './collector/snapshot.ts';
import { accessMetrics } from './server/access-rig.ts';
import { startApi, stopApis } from './server/api-rig.ts';

const RULES = readFileSync(new URL('../../docs/alerts.yml', import.meta.url), 'utf8');
const PAGE = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');

const alerts = [...RULES.matchAll(/alert: (\w+)\n\s+expr: (.*)$/gm)].map(
  ([, name = '', expression = '']) => ({ name, expression }),
);
let exposed = '';

beforeAll(async () => {
  const { app } = await startApi();
  const { body } = await app.inject({ url: '/metrics' });
  const collector = await metricsRegistry(() => snapshotOf()).metrics();
  exposed = [body, await accessMetrics().metrics(), collector].join('\n');
});

afterAll(stopApis);

test('every rule is read here', () => {
  expect(alerts).toHaveLength(RULES.match(/- alert:/g)?.length ?? 0);
});

test.each(alerts)('$name asks for what there is', ({ expression }) => {
  const asked = [...expression.matchAll(/\b((?:holdfast|process)_\w+)(?:\{([^}]*)\})?/g)];
  for (const [, metric = '', labels = ''] of asked) {
    const series = exposed.split('\n').filter((line) => new RegExp(`^${metric}[ {]`).test(line));
    const named = exposed.includes(`# TYPE ${metric.replace(/_bucket$/, '')} `);
    expect(named, metric).toBe(true);
    for (const [, label = '', operator, value = ''] of labels.matchAll(/(\w+)(=~?)"([^"]*)"/g)) {
      if (label === 'job') continue;
      for (const one of operator === '=~' ? value.split('|') : [value]) {
        expect(series.join('\n')).toContain(`${label}="${one}"`);
      }
    }
  }
  if (!expression.startsWith('up{')) expect(asked.length).toBeGreaterThan(0);
});

test('every rule is explained, and nothing else', () => {
  const explained = [...PAGE.matchAll(/\*\*(Holdfast\w+)\*\*/g)].map(([, name]) => name);
  expect(explained.toSorted()).toEqual(alerts.map(({ name }) => name).toSorted());
});
