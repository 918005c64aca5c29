/**
 * From what was found to a verdict: each rule looks at one thing and gives the reasons it has.
 *
 * `fail` outweighs `inconclusive`, which outweighs `pass`. Fail: a promise was seen broken.
 * Inconclusive: the evidence can't carry a verdict, because it is damaged or because too little was
 * put to the test. Where evidence is damaged, what that damage could explain is not held against
 * the product.
 */
import type { Ledger } from '../ledger/reader.ts';
import type { BystanderLag } from './bystanders.ts';
import type { Comparison } from './comparison.ts';
import type { FindingKind } from './findings.ts';
import type { Case, Observations } from './observations.ts';
import type { FaultTimes } from './timing.ts';

export type Verdict = 'pass' | 'inconclusive' | 'fail';

export interface Reason {
  readonly code: string;
  readonly verdict: Exclude<Verdict, 'pass'>;
  readonly text: string;
}

/** Everything that the rules look at. */
export interface Facts {
  readonly ledgers: readonly Ledger[];
  readonly comparison: Comparison;
  /** The last line of the export has no line end, or a line doesn't read. */
  readonly exportCut: boolean;
  readonly observations: Observations;
  readonly times: readonly FaultTimes[];
  readonly lag: BystanderLag | undefined;
  readonly expected: Case;
}

/** What a clock that is only steered never does between two samples. */
const CLOCK_STEP_MS_MAX = 500;

const fail = (code: string, text: string): Reason => ({ code, verdict: 'fail', text });
const open = (code: string, text: string): Reason => ({ code, verdict: 'inconclusive', text });

const RULES: readonly ((facts: Facts) => readonly Reason[])[] = [
  ledgerWhole,
  exportWhole,
  noHarnessFailure,
  clockSteady,
  enoughFrames,
  faultsBit,
  readyBefore,
  rowsRight,
  nothingLost,
  lossesAllowed,
  drained,
  auditAgrees,
  acksKept,
  recovered,
  noHands,
  noUnexpectedExit,
  wireQuiet,
  bystandersUnharmed,
];

export function reasonsFor(facts: Facts): readonly Reason[] {
  return RULES.flatMap((rule) => rule(facts));
}

export function verdictOf(reasons: readonly Reason[]): Verdict {
  if (reasons.some(({ verdict }) => verdict === 'fail')) return 'fail';
  return reasons.length > 0 ? 'inconclusive' : 'pass';
}

function ledgerWhole({ ledgers }: Facts): Reason[] {
  return ledgers.flatMap(({ starts, ended, problems }) => {
    const name = starts[0]?.collector ?? 'unknown';
    const [problem] = problems;
    if (problem !== undefined) {
      const text = `the ledger of ${name} is damaged: line ${problem.line}: ${problem.text}`;
      return [open('ledger_damaged', text)];
    }
    if (ended) return [];
    const text = `the ledger of ${name} has no end: the source was killed, or it still ran`;
    return [open('ledger_cut_short', text)];
  });
}

function exportWhole({ exportCut, comparison }: Facts): Reason[] {
  if (!exportCut) return [];
  const text = `the export is cut short or damaged after ${comparison.rows.total} lines (${comparison.rows.unreadable} of them don't read)`;
  return [open('export_cut_short', text)];
}

function noHarnessFailure({ observations }: Facts): Reason[] {
  return observations.harness_failures.map((text) => open('harness_failed', text));
}

/** Ledger, export and observer are compared by wall time, which nobody may have set meanwhile. */
function clockSteady({ observations: { statuses } }: Facts): Reason[] {
  const aheadMs = statuses.map(({ at }) => at.wall_us / 1_000 - at.monotonic_ms);
  const steps = aheadMs.map((ms, index) => Math.abs(ms - (aheadMs[index - 1] ?? ms)));
  const most = steps.reduce((a, b) => Math.max(a, b), 0);
  if (most <= CLOCK_STEP_MS_MAX) return [];
  const text = `the clock of the machine was set by ${Math.round(most)} ms in the run`;
  return [open('clock_set', text)];
}

function enoughFrames({ comparison, times, expected }: Facts): Reason[] {
  const accepted = comparison.fates.filter(({ attempt }) => attempt.outcome === 'accepted').length;
  const reasons: Reason[] = [];
  if (accepted < expected.accepted_min) {
    const text = `${accepted} frames were accepted; ${expected.accepted_min} are asked for`;
    reasons.push(open('too_few_frames', text));
  }
  for (const { name, outage, queued, bit } of times) {
    if (!outage || !bit || queued >= expected.queued_min) continue;
    const text = `${queued} frames waited in ${name}; ${expected.queued_min} are asked for`;
    reasons.push(open('too_few_queued', text));
  }
  return reasons;
}

function faultsBit({ observations, times, expected }: Facts): Reason[] {
  const names = new Set(observations.faults.map(({ name }) => name));
  const absent = expected.faults.filter((name) => !names.has(name));
  const unended = observations.faults.filter(({ running }) => running === null);
  return [
    ...absent.map((name) => open('fault_missing', `${name} was not injected`)),
    ...times
      .filter(({ bit }) => !bit)
      .map(({ name, evidence }) =>
        open('fault_did_not_bite', `${name} had no effect: ${evidence}`),
      ),
    ...unended.map(({ name, target }) =>
      open('fault_not_ended', `${name}: ${target} was not seen to work again`),
    ),
  ];
}

function readyBefore({ observations: { faults, statuses } }: Facts): Reason[] {
  const first = Math.min(...faults.map(({ began }) => began.monotonic_ms));
  if (!Number.isFinite(first)) return [];
  const ready = statuses.some(
    ({ at, document }) => at.monotonic_ms <= first && document.state === 'Ready',
  );
  if (ready) return [];
  return [open('never_ready', 'the pipeline was not seen Ready before the first fault')];
}

/** A damaged ledger lacks attempts, which makes right rows look wrong. */
function rowsRight({ comparison: { findings }, ledgers }: Facts): Reason[] {
  if (ledgers.some(({ problems }) => problems.length > 0)) return [];
  const kinds: readonly (readonly [FindingKind, string])[] = [
    ['duplicated', 'rows more than one for a frame'],
    ['altered_payload', 'rows with other bytes than were sent'],
    ['altered_captured_at', 'rows with another capture time'],
    ['altered_identity', 'frames stored under another identity than they were accepted under'],
    ['altered_checksum', 'rows whose checksum is not that of their content'],
    ['unexpected', 'rows that were refused or never attempted'],
    ['identity_reused', 'identities given to two frames'],
  ];
  return kinds
    .filter(([kind]) => findings.count(kind) > 0)
    .map(([kind, text]) => fail(kind, `${findings.count(kind)} ${text}`));
}

/** Of an export that is cut short, the rest may have it. */
function nothingLost({ comparison: { findings }, exportCut, ledgers }: Facts): Reason[] {
  if (exportCut || ledgers.some(({ problems }) => problems.length > 0)) return [];
  const lost = findings.count('lost');
  return lost === 0 ? [] : [fail('lost', `${lost} accepted frames are not in the store`)];
}

function lossesAllowed({ comparison, exportCut, expected }: Facts): Reason[] {
  if (exportCut) return [];
  const used = expected.allow.map(() => 0);
  const excess = new Map<string, number>();
  for (const { state, reason, epoch, seq } of comparison.givenUp) {
    const at = expected.allow.findIndex(
      (allowance, index) =>
        allowance.reason === reason &&
        (used[index] ?? 0) < (allowance.frames_max ?? Infinity) &&
        (allowance.ranges?.some((r) => r.epoch === epoch && r.from <= seq && seq <= r.to) ?? true),
    );
    if (at >= 0) used[at] = (used[at] ?? 0) + 1;
    else excess.set(`${state}: ${reason}`, (excess.get(`${state}: ${reason}`) ?? 0) + 1);
  }
  return [...excess].map(([what, frames]) => {
    const [state = 'declared'] = what.split(':', 1);
    return fail(state, `${frames} accepted frames were given up (${what}), which the case forbids`);
  });
}

function drained({ comparison: { findings }, observations: { drain } }: Facts): Reason[] {
  if (drain?.outcome === 'timed_out') {
    const text = `the backlog was not in after ${drain.waited_ms} ms of waiting`;
    return [fail('not_drained', text)];
  }
  const pending = findings.count('pending');
  if (pending === 0) return [];
  const text = `${pending} accepted frames still wait at the collector; the case ended too early`;
  return [open('not_drained', text)];
}

function auditAgrees({ comparison, exportCut, observations, expected }: Facts): Reason[] {
  const reasons: Reason[] = [];
  // While frames still come in, the export may have some that the audit before it had not.
  const atRest = observations.drain?.outcome === 'drained';
  const counted = exportCut ? [] : comparison.epochsCountedOtherwise();
  for (const { epoch, claimed, rows } of counted) {
    if (claimed < rows && !atRest) continue;
    const text = `the audit counts ${claimed} stored frames of epoch ${epoch}; the export has ${rows}`;
    reasons.push(fail('store_disagrees', text));
  }
  const contradicted = comparison.findings.count('audit_contradicted');
  if (contradicted > 0) {
    const text = `${contradicted} rows are stored which the audit says are not`;
    reasons.push(fail('audit_contradicted', text));
  }
  // Of what an older copy lacks nobody has heard when it starts, and a clone that has the place has
  // never heard of the collector's newest frames; in the end the store has to have them.
  const excused = expected.store_put_back || expected.cloned;
  const samples = excused ? [] : observations.audits;
  const missing = Math.max(
    comparison.missing,
    ...samples.map(({ document }) => missingIn(document, comparison.collectors)),
  );
  if (missing > 0) {
    reasons.push(fail('missing', `the audit found up to ${missing} frames missing`));
  }
  return reasons;
}

function missingIn(
  document: Observations['audits'][number]['document'],
  collectors: readonly string[],
): number {
  return document.collectors
    .filter(({ collector }) => collectors.includes(collector))
    .reduce((sum, { totals }) => sum + totals.missing, 0);
}

/** What was acked was stored, then and ever after; or it was pruned, which is told apart. */
function acksKept({ comparison, exportCut, observations, expected }: Facts): Reason[] {
  if (exportCut) return [];
  const { statuses, audits } = observations;
  return comparison.collectors.flatMap((collector) => {
    const counted = statuses
      .filter(({ document }) => document.collector === collector)
      .map(({ document }) => document.counters);
    const most = (of: (counters: (typeof counted)[number]) => number) =>
      counted.reduce((highest, counters) => Math.max(highest, of(counters)), 0);
    const acked = most((counters) => counters.acked - (counters.lost_by_store ?? 0));
    // What the collector still had it has sent again: nothing is lost, and the ack was wrong.
    const gone = expected.store_put_back ? 0 : most(({ lost_by_store = 0 }) => lost_by_store);
    const rows = comparison.rowsOf(collector) + comparison.findings.count('pruned');
    const stored = audits.flatMap(({ document }) =>
      document.collectors
        .filter((one) => one.collector === collector)
        .map((one) => one.totals.stored + one.totals.pruned),
    );
    const shrank =
      !expected.store_put_back && stored.some((count, index) => count < (stored[index - 1] ?? 0));
    return [
      ...(acked > rows
        ? [fail('acked_not_stored', `${collector}: ${acked} frames were acked, ${rows} are stored`)]
        : []),
      ...(gone > 0
        ? [
            fail(
              'acked_not_stored',
              `${collector}: the store did not have ${gone} frames that were acked`,
            ),
          ]
        : []),
      ...(shrank ? [fail('store_shrank', `${collector}: the store lost frames in the run`)] : []),
    ];
  });
}

/** A limit is meant for a machine that has time for the pipeline. */
function pastLimit(
  code: string,
  what: string,
  { tookMs, limitMs, stretch }: { tookMs: number; limitMs: number; stretch: number },
): Reason {
  const text = `${what}; ${limitMs} ms are allowed`;
  if (tookMs > limitMs * stretch) return fail(code, text);
  const busy = `the machine was so busy that everything took ${stretch.toFixed(1)} times as long`;
  return open('machine_busy', `${text}, and ${busy}`);
}

function recovered({ observations: { stretch }, times, expected }: Facts): Reason[] {
  return times.flatMap(({ name, owed, detect_ms, since_running: since, disturbed }) => {
    const reasons: Reason[] = [];
    const late = (what: string, took: number | null, limit: number | undefined): void => {
      if (limit === undefined || (took !== null && took <= limit)) return;
      const text = took === null ? 'not at all' : `after ${Math.round(took)} ms`;
      const measured = { tookMs: took ?? Infinity, limitMs: limit, stretch };
      reasons.push(pastLimit(`${what}_late`, `${name}: ${what} ${text}`, measured));
    };
    late('noticed', detect_ms, expected.detect_ms_max);
    if (since === null) return reasons;
    if (!disturbed.recovery) {
      if (owed === 0) {
        const text = `${name}: no frame was left to be stored after it`;
        reasons.push(open('nothing_after_fault', text));
      } else if (since.stored_ms === null) {
        const text = `${name}: nothing was stored after it ended, and ${owed} frames were due`;
        reasons.push(fail('not_recovered', text));
      } else {
        late('recovered', since.stored_ms, expected.recover_ms_max);
      }
    }
    if (!disturbed.drain) late('drained', since.drained_ms, expected.drain_ms_max);
    return reasons;
  });
}

function noHands({ observations }: Facts): Reason[] {
  return observations.operator_actions.map(({ what }) => fail('operator_action', what));
}

/** A kill from outside, as when memory runs out, or a Toxiproxy that died, is not the product's. */
function noUnexpectedExit({ observations: { exits } }: Facts): Reason[] {
  return exits
    .filter(({ injected }) => !injected)
    .map(({ process, code, signal }) => {
      const text = `${process} ended by itself (${signal ?? `exit code ${code}`})`;
      const outside = signal === 'SIGKILL' || code === 137 || process === 'toxiproxy';
      return outside ? open('killed_from_outside', text) : fail('unexpected_exit', text);
    });
}

function wireQuiet({ comparison, expected }: Facts): Reason[] {
  const most = expected.wire_duplicates_max;
  if (most === undefined) return [];
  const refused = comparison.duplicatesRefused;
  if (refused === undefined) {
    return [open('no_audit', 'duplicates on the wire are limited, and there is no audit')];
  }
  if (refused <= most) return [];
  return [fail('wire_duplicates', `${refused} frames came more than once; ${most} are allowed`)];
}

function bystandersUnharmed({ lag, observations: { stretch }, expected }: Facts): Reason[] {
  const most = expected.bystander_lag_ms_p99_max;
  if (most === undefined) return [];
  if (lag === undefined)
    return [open('no_bystander', 'the lag of a bystander is limited, and none ran')];
  if (lag.p99_ms <= most) return [];
  const text = `99 of 100 frames of a bystander took up to ${Math.round(lag.p99_ms)} ms to be stored`;
  return [pastLimit('bystander_late', text, { tookMs: lag.p99_ms, limitMs: most, stretch })];
}
