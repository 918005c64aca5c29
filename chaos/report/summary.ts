/**
 * From a run's record and the files of its scenarios to `report.json`: outcomes, sums, spreads and
 * the sentence on top. Pure; nothing is judged here.
 */

import { counted, number, spreadOf } from '#pages/figures.ts';
import type { Observations } from '../oracle/observations.ts';
import { drainMs, recoverMs } from '../oracle/timing.ts';
import type { RunRecord, ScenarioRecord } from '../run/records.ts';
import type { Outcome, RepeatReport, Report, ScenarioReport } from './document.ts';
import type { ScenarioFiles } from './folder.ts';
import { sourceOf, startOf } from './timeline.ts';

/** The worst first. */
const OUTCOMES: readonly Outcome[] = ['fail', 'inconclusive', 'interrupted', 'pass', 'not_run'];

export function repeatReport(
  record: ScenarioRecord,
  files: ScenarioFiles | undefined,
): RepeatReport {
  const { repeat, folder, outcome, reason, started_at, ended_at } = record;
  const { result, expected, observations, growth = [], problems = [] } = files ?? {};
  return {
    repeat,
    folder,
    outcome,
    reason,
    started_at,
    ended_at,
    duration_ms: between(started_at, ended_at),
    reasons: [...(result?.reasons ?? [])],
    counts: result?.counts ?? null,
    queued_max: observations === undefined ? null : queuedMax(observations),
    faults: [...(result?.faults ?? [])],
    bystander_lag: result?.bystander_lag ?? null,
    limits: {
      detect_ms_max: expected?.detect_ms_max ?? null,
      recover_ms_max: expected?.recover_ms_max ?? null,
      drain_ms_max: expected?.drain_ms_max ?? null,
      bystander_lag_ms_p99_max: expected?.bystander_lag_ms_p99_max ?? null,
    },
    exits: observations === undefined ? [] : exitsOf(observations),
    operator_actions: [...(result?.operator_actions ?? [])],
    intervals: { ...result?.intervals },
    offenders: Object.fromEntries(
      Object.entries(result?.offenders ?? {}).map(([kind, list]) => [kind, [...list]]),
    ),
    growth: [...growth],
    problems: [...problems],
  };
}

/** `interrupted`: before everything was played, as the run's own result.json says. */
export function reportOf(
  record: RunRecord,
  repeats: readonly RepeatReport[],
  interrupted: boolean,
): Report {
  const { scenarios: records, ...run } = record;
  const names = [...new Set(records.map(({ name }) => name))];
  const scenarios = names.map((name) => {
    const own = repeats.filter((_, index) => records[index]?.name === name);
    return scenarioReport(
      records.find((one) => one.name === name),
      own,
    );
  });
  const totals = totalsOf(scenarios);
  const verdict = verdictOf(record, totals, interrupted);
  return {
    ...run,
    verdict,
    sentence: sentenceOf(verdict, record, totals, interrupted),
    duration_ms: between(record.started_at, record.ended_at),
    totals,
    scenarios,
  };
}

/** `failed` as soon as one did; `held` only when the run came to its end. */
function verdictOf(
  { ended_at }: RunRecord,
  totals: Report['totals'],
  interrupted: boolean,
): Report['verdict'] {
  if (totals.failed > 0) return 'failed';
  if (interrupted || totals.interrupted > 0) return 'interrupted';
  const open = ended_at === null || totals.inconclusive > 0 || totals.passed === 0;
  return open ? 'inconclusive' : 'held';
}

function sentenceOf(
  verdict: Report['verdict'],
  { ended_at }: RunRecord,
  totals: Report['totals'],
  interrupted: boolean,
): string {
  const { scenarios, passed, failed, inconclusive, not_run } = totals;
  const judged = scenarios - not_run;
  const head = {
    held: `Held: ${passed} of ${counted(judged, 'scenario')}`,
    failed: `Did not hold: ${failed} of ${counted(judged, 'scenario')} failed`,
    inconclusive: `Inconclusive: ${passed} of ${counted(judged, 'scenario')} held`,
    interrupted: `Interrupted: ${passed} of ${counted(judged, 'scenario')} held`,
  }[verdict];
  const parts = [
    inconclusive > 0 ? `${number(inconclusive)} could not be judged` : '',
    totals.interrupted > 0
      ? `${number(totals.interrupted)} interrupted`
      : interrupted
        ? 'the rest was left out'
        : '',
    not_run > 0 ? `${number(not_run)} not run` : '',
    ended_at === null ? 'the run did not come to its end' : '',
  ].filter((part) => part !== '');
  return `${[head, ...parts].join(', ')}; ${framesText(totals)}`;
}

function framesText(totals: Report['totals']): string {
  if (totals.uncounted === totals.repeats) return 'no frames could be counted';
  const { accepted, stored, lost, altered, duplicated, given_up, pending, unexpected } = totals;
  const once = duplicated === 0 ? ' once' : '';
  return [
    `${counted(accepted, 'frame')} accepted`,
    `${number(stored)} stored${once}`,
    `${number(lost)} lost`,
    `${number(altered)} altered`,
    ...(duplicated > 0 ? [`${number(duplicated)} duplicated`] : []),
    ...(given_up > 0 ? [`${number(given_up)} given up`] : []),
    ...(pending > 0 ? [`${number(pending)} still waiting`] : []),
    ...(unexpected > 0 ? [`${number(unexpected)} unexpected`] : []),
  ].join(', ');
}

function scenarioReport(
  record: ScenarioRecord | undefined,
  repeats: readonly RepeatReport[],
): ScenarioReport {
  const faults = [...new Set(repeats.flatMap((one) => one.faults.map(({ name }) => name)))];
  const outcome = OUTCOMES.find((one) => repeats.some((repeat) => repeat.outcome === one));
  return {
    name: record?.name ?? '',
    title: record?.title ?? '',
    description: record?.description ?? '',
    outcome: outcome ?? 'inconclusive',
    repeats: [...repeats],
    faults: faults.map((name) => {
      const times = repeats.flatMap((one) => one.faults.filter((fault) => fault.name === name));
      const spread = (value: (fault: (typeof times)[number]) => number | null | undefined) =>
        spreadOf(times.map(value).filter((one) => typeof one === 'number'));
      return {
        name,
        detect_ms: spread(({ detect_ms }) => detect_ms),
        recover_ms: spread(recoverMs),
        drain_ms: spread(drainMs),
      };
    }),
  };
}

function totalsOf(scenarios: readonly ScenarioReport[]): Report['totals'] {
  const repeats = scenarios.flatMap((one) => one.repeats);
  const having = (outcome: Outcome) => scenarios.filter((one) => one.outcome === outcome).length;
  const countable = repeats.flatMap(({ counts, reasons }) =>
    counts === null || reasons.some(({ code }) => code === 'export_cut_short') ? [] : [counts],
  );
  const ran = repeats.filter(({ outcome }) => outcome !== 'not_run').length;
  const sum = (of: (counts: NonNullable<RepeatReport['counts']>) => number) =>
    countable.reduce((total, counts) => total + of(counts), 0);
  const givenUp = sum(({ declared, rejected, pruned }) => declared + rejected + pruned);
  const accepted = sum((counts) => counts.accepted);
  const lost = sum((counts) => counts.lost);
  const pending = sum((counts) => counts.pending);
  return {
    scenarios: scenarios.length,
    passed: having('pass'),
    failed: having('fail'),
    inconclusive: having('inconclusive'),
    not_run: having('not_run'),
    interrupted: having('interrupted'),
    repeats: ran,
    uncounted: ran - countable.length,
    accepted,
    stored: accepted - lost - givenUp - pending,
    lost,
    given_up: givenUp,
    pending,
    duplicated: sum((counts) => counts.duplicated),
    altered: sum(({ altered }) => Object.values(altered).reduce((all, one) => all + one, 0)),
    unexpected: sum((counts) => counts.unexpected),
  };
}

function queuedMax(observations: Observations): number | null {
  const source = sourceOf(observations);
  if (source === undefined) return null;
  return observations.statuses
    .filter(({ document }) => document.collector === source)
    .reduce((most, { document }) => Math.max(most, document.queue.frames), 0);
}

function exitsOf(observations: Observations): RepeatReport['exits'] {
  const start = startOf(observations) ?? 0;
  return observations.exits.map(({ at, process, code, signal, injected }) => {
    return { at_ms: (at.wall_us - start) / 1_000, process, code, signal, injected };
  });
}

function between(from: string | null, to: string | null): number | null {
  if (from === null || to === null) return null;
  const ms = Date.parse(to) - Date.parse(from);
  return Number.isFinite(ms) ? ms : null;
}
