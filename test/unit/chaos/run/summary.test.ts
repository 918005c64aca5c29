/** What a run comes to, from what its scenarios came to. */
import { expect, test } from 'vitest';
import type { ScenarioRecord } from '#chaos/run/records.ts';
import { resultOf } from '#chaos/run/summary.ts';

function scenario(outcome: ScenarioRecord['outcome']): ScenarioRecord {
  const about = { name: outcome, title: outcome, description: '', repeat: 1, folder: null };
  return { ...about, outcome, reason: '', started_at: null, ended_at: null };
}

test.each([
  [['pass', 'not_run'], false, 'held', 0],
  [['pass', 'fail', 'inconclusive'], false, 'failed', 1],
  [['pass', 'inconclusive'], false, 'inconclusive', 3],
  [['not_run'], false, 'inconclusive', 3],
  [['pass', 'interrupted'], true, 'interrupted', 130],
  [['pass'], true, 'interrupted', 130],
  [[], true, 'interrupted', 130],
  [['fail'], true, 'failed', 1],
  [['fail', 'interrupted'], true, 'failed', 1],
] as const)('%j, interrupted: %j, is %s', (outcomes, interrupted, verdict, code) => {
  const run = { scenarios: outcomes.map(scenario) };
  expect(resultOf(run, interrupted)).toMatchObject({ verdict, exit_code: code });
});
