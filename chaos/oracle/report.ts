/** A result as text, in the manner of Jepsen's set checker: counts, the sets behind them, why. */
import type { BystanderLag } from './bystanders.ts';
import type { Offender } from './findings.ts';
import type { Result } from './judge.ts';
import type { FaultTimes, Recovery } from './timing.ts';

export function reportText(result: Result): string {
  const parts = [
    countLines(result),
    ...result.faults.map(faultLine),
    ...(result.bystander_lag === undefined ? [] : [lagLine(result.bystander_lag)]),
    ...result.operator_actions.map((what) => `operator action: ${what}`),
    ...Object.entries(result.offenders).map(([kind, list]) => offenderLines(kind, list)),
    ...result.reasons.map(({ verdict, code, text }) => `${verdict}: ${code}: ${text}`),
    `verdict: ${result.verdict}`,
  ];
  return `${parts.join('\n')}\n`;
}

/** The sets behind these counts are told as intervals. */
function countLines({ counts, intervals }: Result): string {
  const all = Object.entries(counts).flatMap(([name, count]) =>
    name === 'altered'
      ? Object.entries(counts.altered).map(([what, n]) => [`altered_${what}`, n] as const)
      : [[name, count] as const],
  );
  const width = Math.max(...all.map(([name]) => name.length));
  return all
    .map(([name, count]) => {
      const number = (count === null ? 'unknown' : String(count)).padStart(9);
      return `${name.padEnd(width)} ${number}  ${intervals[name] ?? ''}`.trimEnd();
    })
    .join('\n');
}

function faultLine(fault: FaultTimes): string {
  const { name, bit, queued, detect_ms, restart_ms, since_running, since_order } = fault;
  const words = [
    `fault ${name}: ${bit ? 'bit' : 'did not bite'}, ${queued} frames waited`,
    `noticed after ${ms(detect_ms)}`,
    `running ${ms(restart_ms)} after the order`,
    `since running: ${recoveryText(since_running)}`,
    `since the order: ${recoveryText(since_order)}`,
  ];
  return words.join('; ');
}

function lagLine({ frames, p50_ms, p99_ms, max_ms }: BystanderLag): string {
  return `bystanders: ${frames} frames, stored after ${ms(p50_ms)} (half), ${ms(p99_ms)} (99 %), ${ms(max_ms)} (all)`;
}

function recoveryText(recovery: Recovery | null): string {
  if (recovery === null) return 'unknown';
  const { stored_ms, acked_ms, drained_ms } = recovery;
  return `stored ${ms(stored_ms)}, acked ${ms(acked_ms)}, drained ${ms(drained_ms)}`;
}

function ms(time: number | null): string {
  return time === null ? '-' : `${Math.round(time)} ms`;
}

function offenderLines(kind: string, offenders: readonly Offender[]): string {
  const lines = offenders.map((one) => {
    const { n, collector, epoch, seq, captured_at, bytes, detail, last_seen } = one;
    const name = n === null ? 'no attempt' : `attempt ${n}`;
    const identity = epoch === null ? collector : `${collector} ${epoch}/${seq}`;
    return `  ${name} (${identity}, ${captured_at}, ${bytes} bytes): ${detail}; last seen: ${last_seen}`;
  });
  return [`${kind}, the first ${offenders.length}:`, ...lines].join('\n');
}
