/**
 * Many histories, one seed after the other: what failed, what was met, how fast, how soon all was
 * settled. For the command line and for the tests alike.
 */
import { Coverage } from './coverage.ts';
import { runHistory, type Verdict } from './history.ts';
import { type Plan, planOf } from './plan.ts';

export interface RunOptions {
  readonly seed: number;
  readonly histories: number;
  /** Stop after so long, in milliseconds. */
  readonly forMs?: number;
  readonly untilFailure?: boolean;
  /** Changes each plan before it is played. */
  readonly change?: (plan: Plan) => Plan;
  readonly onFailure?: (verdict: Verdict) => void;
}

export interface RunResult {
  readonly histories: number;
  readonly failures: readonly Verdict[];
  readonly coverage: Coverage;
  readonly accepted: number;
  readonly seconds: number;
  /** From the end of the faults until all was settled: virtual milliseconds, ascending. */
  readonly recoveriesMs: readonly number[];
}

export async function runMany(options: RunOptions): Promise<RunResult> {
  const { seed, histories, forMs = Number.POSITIVE_INFINITY, untilFailure = false } = options;
  const startedAt = performance.now();
  const coverage = new Coverage();
  const failures: Verdict[] = [];
  const recoveriesMs: number[] = [];
  let accepted = 0;
  let count = 0;
  while (count < histories && performance.now() - startedAt < forMs) {
    const plan = planOf(seed + count);
    const verdict = await runHistory(options.change?.(plan) ?? plan);
    count += 1;
    coverage.add(verdict.met);
    accepted += verdict.accepted;
    recoveriesMs.push(verdict.recoveryMs);
    if (verdict.failure === undefined) continue;
    failures.push(verdict);
    options.onFailure?.(verdict);
    if (untilFailure) break;
  }
  recoveriesMs.sort((a, b) => a - b);
  const seconds = (performance.now() - startedAt) / 1_000;
  return { histories: count, failures, coverage, accepted, seconds, recoveriesMs };
}

/** One line that says how it went. */
export function summaryOf({ seed }: RunOptions, result: RunResult): string {
  const { histories, failures, accepted, seconds, recoveriesMs } = result;
  const quantile = (q: number): string => {
    const ms = recoveriesMs[Math.floor((recoveriesMs.length - 1) * q)] ?? 0;
    return `${(ms / 1_000).toFixed(1)} s`;
  };
  return (
    `${histories} histories from seed ${seed}, ${failures.length} failed; ${accepted} frames; ` +
    `${Math.round((histories / seconds) * 60)} histories a minute; ` +
    `settled after ${quantile(0.5)} (median), ${quantile(0.99)} (p99), ${quantile(1)} (longest)`
  );
}
