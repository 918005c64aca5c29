/** What a run comes to, from what its scenarios came to. */
import { expect, test } from 'vitest';
import type { FaultTimes } from '#chaos/oracle/timing.ts';
import type { ScenarioRecord } from '#chaos/run/records.ts';
import { resultOf, scenarioLine } from '#chaos/run/summary.ts';

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

test("a scenario's line tells the longest of the figures that count, as the report does", () => {
  const since = (stored: number, drained: number) => {
    return { stored_ms: stored, acked_ms: stored, drained_ms: drained };
  };
  const fault = (disturbed: FaultTimes['disturbed'], took: FaultTimes['since_running']) => {
    const about = { name: 'cut', target: 'link', outage: true, bit: true, evidence: '' };
    const counts = { queued: 1, owed: 1, detect_ms: 1_900, restart_ms: 0, since_order: took };
    return { ...about, ...counts, since_running: took, disturbed };
  };
  const faults = [
    fault({ recovery: true, drain: true }, since(7_200, 7_400)),
    fault({ recovery: false, drain: true }, since(400, 5_000)),
    fault({ recovery: false, drain: false }, since(300, 1_200)),
    fault({ recovery: false, drain: false }, null),
  ];
  const record = scenario('pass');
  expect(scenarioLine(record, { faults })).toBe(
    'pass: held; detect 1.9 s, recover 0.4 s, drain 1.2 s',
  );
  const disturbed = scenarioLine(record, { faults: faults.slice(0, 1) });
  expect(disturbed).toBe('pass: held; detect 1.9 s');
  expect(scenarioLine(record, null)).toBe('pass: held');
});
