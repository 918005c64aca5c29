/** What a run comes to: one verdict, one exit code, and each scenario in a line. */
import { EXIT, type ExitCode } from '#lab/errors.ts';
import type { Result } from '../oracle/judge.ts';
import { drainMs, recoverMs } from '../oracle/timing.ts';
import type { Mark } from './progress.ts';
import type { RunRecord, ScenarioRecord } from './records.ts';

type RunVerdict = 'held' | 'failed' | 'inconclusive' | 'interrupted';

export interface RunResult {
  readonly verdict: RunVerdict;
  readonly exit_code: ExitCode;
  /** In words, for the last line. */
  readonly text: string;
}

export const MARK_OF = {
  pass: 'held',
  fail: 'failed',
  inconclusive: 'open',
  not_run: 'skipped',
  interrupted: 'open',
} as const satisfies Record<ScenarioRecord['outcome'], Mark>;

const EXIT_OF = {
  held: EXIT.held,
  failed: EXIT.failed,
  inconclusive: EXIT.inconclusive,
  interrupted: EXIT.interrupted,
} as const satisfies Record<RunVerdict, ExitCode>;

/**
 * A failure outweighs all, Ctrl-C too; a run in which nothing was put to the test held nothing.
 * @param interrupted before everything was played.
 */
export function resultOf(
  { scenarios }: Pick<RunRecord, 'scenarios'>,
  interrupted: boolean,
): RunResult {
  const count = (outcome: ScenarioRecord['outcome']) =>
    scenarios.filter((one) => one.outcome === outcome).length;
  const parts = (['pass', 'fail', 'inconclusive', 'interrupted', 'not_run'] as const)
    .map((outcome) => ({ outcome, number: count(outcome) }))
    .filter(({ number }) => number > 0)
    .map(({ outcome, number }) => `${number} ${WORDS[outcome]}`);
  const verdict = verdictOf(count, interrupted);
  return { verdict, exit_code: EXIT_OF[verdict], text: parts.join(', ') || 'nothing was run' };
}

const WORDS = {
  pass: 'held',
  fail: 'failed',
  inconclusive: 'inconclusive',
  interrupted: 'interrupted',
  not_run: 'not run',
} as const;

function verdictOf(
  count: (outcome: ScenarioRecord['outcome']) => number,
  interrupted: boolean,
): RunVerdict {
  if (count('fail') > 0) return 'failed';
  if (interrupted || count('interrupted') > 0) return 'interrupted';
  return count('inconclusive') > 0 || count('pass') === 0 ? 'inconclusive' : 'held';
}

/**
 * "cut: held; detect 0.2 s, recover 0.4 s, drain 1.2 s": the longest of all its faults, of the
 * figures that count.
 */
export function scenarioLine(
  record: ScenarioRecord,
  result: Pick<Result, 'faults'> | null,
): string {
  const { name, outcome, reason } = record;
  const times = result === null ? '' : timesText(result);
  const why = reason === '' ? '' : `; ${reason}`;
  return `${name}: ${WORDS[outcome]}${times}${why}`;
}

function timesText({ faults }: Pick<Result, 'faults'>): string {
  const longest = (of: (fault: Result['faults'][number]) => number | null) => {
    const times = faults.map(of).filter((ms) => ms !== null);
    return times.length === 0 ? null : Math.max(...times);
  };
  const parts = [
    ['detect', longest(({ detect_ms }) => detect_ms)],
    ['recover', longest(recoverMs)],
    ['drain', longest(drainMs)],
  ] as const;
  const told = parts
    .filter(([, ms]) => ms !== null)
    .map(([what, ms]) => `${what} ${((ms ?? 0) / 1_000).toFixed(1)} s`);
  return told.length === 0 ? '' : `; ${told.join(', ')}`;
}
