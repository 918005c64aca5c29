/**
 * The metrics of both programs and the alerting rules, judged by Prometheus' own tool. Without
 * containers: what they expose is the same everywhere.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { metricsRegistry } from '#collector/status/metrics.ts';
import { snapshotOf } from '../unit/collector/snapshot.ts';
import { startApi, stopApis } from '../unit/server/api-rig.ts';

afterEach(stopApis);

function promtool(args: readonly string[], input = '') {
  const program = process.env.HOLDFAST_PROMTOOL;
  if (!program) throw new Error('run the integration tests by ./holdfast test-integration');
  const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8' });
  return { status, said: (stdout + stderr).trim() };
}

test("the server's metrics are as Prometheus wants them", async () => {
  const { app } = await startApi();
  const { body } = await app.inject({ url: '/metrics' });
  expect(promtool(['check', 'metrics'], body)).toEqual({ status: 0, said: '' });
});

test("the collector's metrics are as Prometheus wants them", async () => {
  const text = await metricsRegistry(() => snapshotOf()).metrics();
  expect(promtool(['check', 'metrics'], text)).toEqual({ status: 0, said: '' });
});

test('the alerting rules are valid', () => {
  const path = fileURLToPath(new URL('../../docs/alerts.yml', import.meta.url));
  const { status, said } = promtool(['check', 'rules', path]);
  expect(said).toContain('SUCCESS');
  expect(status).toBe(0);
});

test('it is a tool that says no', () => {
  const wrong =
    '# HELP holdfast_frames Frames.\n# TYPE holdfast_frames counter\nholdfast_frames 1\n';
  expect(promtool(['check', 'metrics'], wrong).status).not.toBe(0);
});
