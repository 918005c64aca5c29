/** How collectors fared that no fault was aimed at: from capture to storage, by both programs' times. */
import type { Fate } from './comparison.ts';

export interface BystanderLag {
  /** Accepted, and stored. */
  readonly frames: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
}

/** Undefined when no frame of a bystander is stored; what is lost is told elsewhere. */
export function bystanderLag(
  bystanders: readonly string[],
  fates: readonly Fate[],
): BystanderLag | undefined {
  const lags = fates
    .filter(({ attempt }) => bystanders.includes(attempt.collector))
    .flatMap(({ attempt, receivedAt }) =>
      receivedAt === undefined ? [] : [(receivedAt - attempt.capturedAt) / 1_000],
    )
    .toSorted((one, other) => one - other);
  if (lags.length === 0) return undefined;
  const at = (part: number) => lags[Math.ceil(part * lags.length) - 1] ?? 0;
  return { frames: lags.length, p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1) };
}
