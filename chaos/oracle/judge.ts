/**
 * The judge: evidence in, verdict out. Pure; files are `evidence.ts`.
 *
 * Counts are in the terms of Jepsen's set checker, applied to a pipeline: attempted and accepted by
 * the ledger, acked by the collector's own samples, stored, lost, duplicated, unexpected and
 * recovered by the export, declared by the audit. What must hold is accepted ⊆ stored ⊆ attempted,
 * each once, bit for bit.
 */
import type { Ledger } from '../ledger/reader.ts';
import { Audit, type AuditDocument } from './audit.ts';
import { type BystanderLag, bystanderLag } from './bystanders.ts';
import { Comparison } from './comparison.ts';
import { FateTimes } from './fate-times.ts';
import type { Offender } from './findings.ts';
import { type Case, NO_OBSERVATIONS, type Observations, USUAL_CASE } from './observations.ts';
import { type Reason, reasonsFor, type Verdict, verdictOf } from './rules.ts';
import { type FaultTimes, leftBefore, timesOf } from './timing.ts';

export interface Evidence {
  /** One for each source; no two about the same collector. */
  readonly ledgers: readonly Ledger[];
  /** Final, taken before the export. */
  readonly audit?: AuditDocument | undefined;
  readonly observations?: Observations | undefined;
  readonly expected?: Case | undefined;
}

interface Counts {
  readonly attempted: number;
  readonly accepted: number;
  /** As the collector counted while it was sampled; null without samples. */
  readonly acked: number | null;
  readonly refused: number;
  readonly indeterminate: number;
  /** Attempts with a row. */
  readonly stored: number;
  readonly lost: number;
  readonly declared: number;
  readonly rejected: number;
  readonly pruned: number;
  readonly pending: number;
  /** Rows more than one for an attempt. */
  readonly duplicated: number;
  readonly altered: {
    readonly payload: number;
    readonly captured_at: number;
    readonly identity: number;
    readonly checksum: number;
  };
  readonly unexpected: number;
  /** Indeterminate, and stored. */
  readonly recovered: number;
  /** Attempts that were due and not made. */
  readonly skipped: number;
  readonly rows: number;
  /** Rows of collectors that no ledger is about. */
  readonly foreign_rows: number;
  /** Rows captured after the last attempt of a ledger that is cut short. */
  readonly unjudged_rows: number;
}

/** `result.json`. */
export interface Result {
  readonly verdict: Verdict;
  readonly reasons: readonly Reason[];
  readonly counts: Counts;
  readonly faults: readonly FaultTimes[];
  /** Only with bystanders. */
  readonly bystander_lag?: BystanderLag | undefined;
  readonly operator_actions: readonly string[];
  readonly intervals: Readonly<Record<string, string>>;
  readonly offenders: Readonly<Record<string, readonly Offender[]>>;
}

/** Two ledgers speak of one collector, or there is none: nothing can be judged. */
export class EvidenceError extends Error {
  override readonly name = 'EvidenceError';
  readonly code = 'evidence';
}

/** Takes the export line by line, then judges. */
export class Judge {
  readonly #evidence: Evidence;
  readonly #comparison: Comparison;

  /** @throws EvidenceError. */
  constructor(evidence: Evidence) {
    checkLedgers(evidence.ledgers);
    this.#evidence = evidence;
    const audit = evidence.audit && new Audit(evidence.audit);
    this.#comparison = new Comparison(evidence.ledgers, audit);
  }

  /** A line of the export, without its line end. */
  push(line: string): void {
    this.#comparison.push(line);
  }

  /** Once all lines are in. `rest`: what stands behind the last line end, '' when nothing does. */
  finish(rest: string): Result {
    const { ledgers, observations = NO_OBSERVATIONS, expected = USUAL_CASE } = this.#evidence;
    const comparison = this.#comparison;
    comparison.finish(leftBefore(observations.statuses));
    const exportCut = rest !== '' || comparison.rows.unreadable > 0;
    const { bystanders = [] } = observations;
    const hit = comparison.fates.filter(({ attempt }) => !bystanders.includes(attempt.collector));
    const fates = new FateTimes(hit);
    const times = observations.faults.map((fault) => timesOf(fault, observations, fates));
    const lag = bystanderLag(bystanders, comparison.fates);
    const judged = { comparison, exportCut, observations, times, lag };
    const reasons = reasonsFor({ ledgers, expected, ...judged });
    return {
      verdict: verdictOf(reasons),
      reasons,
      counts: countsOf(ledgers, comparison, observations),
      faults: times,
      bystander_lag: lag,
      operator_actions: observations.operator_actions.map(({ what }) => what),
      intervals: comparison.findings.intervals(),
      offenders: comparison.findings.offenders(),
    };
  }
}

function checkLedgers(ledgers: readonly Ledger[]): void {
  const known = new Set<string>();
  for (const { starts } of ledgers) {
    const collectors = new Set(starts.map(({ collector }) => collector));
    if (collectors.size === 0) {
      throw new EvidenceError('a ledger has no start: its source never came to its first attempt');
    }
    for (const collector of collectors) {
      if (known.has(collector)) {
        throw new EvidenceError(`two ledgers are about ${collector}; give each source one ledger`);
      }
      known.add(collector);
    }
  }
}

function countsOf(
  ledgers: readonly Ledger[],
  { fates, findings, rows }: Comparison,
  { statuses }: Observations,
): Counts {
  const having = (outcome: string) => fates.filter(({ attempt }) => attempt.outcome === outcome);
  const indeterminate = having('indeterminate');
  return {
    attempted: fates.length,
    accepted: having('accepted').length,
    acked: statuses.length === 0 ? null : ackedIn(statuses),
    refused: having('refused').length,
    indeterminate: indeterminate.length,
    stored: fates.filter((fate) => fate.rows > 0).length,
    lost: findings.count('lost'),
    declared: findings.count('declared'),
    rejected: findings.count('rejected'),
    pruned: findings.count('pruned'),
    pending: findings.count('pending'),
    duplicated: findings.count('duplicated'),
    altered: {
      payload: findings.count('altered_payload'),
      captured_at: findings.count('altered_captured_at'),
      identity: findings.count('altered_identity'),
      checksum: findings.count('altered_checksum'),
    },
    unexpected: findings.count('unexpected'),
    recovered: indeterminate.filter((fate) => fate.rows > 0).length,
    skipped: ledgers.reduce((sum, { skipped }) => sum + skipped, 0),
    rows: rows.total,
    foreign_rows: rows.foreign,
    unjudged_rows: rows.unjudged,
  };
}

/** A process counts from 0, so each rise is added up; a frame acked twice counts twice. */
function ackedIn(statuses: Observations['statuses']): number {
  const before = new Map<string, number>();
  let sum = 0;
  for (const { document } of statuses) {
    const { acked } = document.counters;
    const last = before.get(document.collector) ?? 0;
    sum += acked >= last ? acked - last : acked;
    before.set(document.collector, acked);
  }
  return sum;
}
