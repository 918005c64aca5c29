/**
 * Operators that break a right history in one place, each with the reason that the judge must then
 * give.
 */
import { strict as assert } from 'node:assert';
import { COLLECTOR, epochNumber, type ForgedRow, type History, moment } from './histories.ts';

/** `pick` chooses where. */
export type Operator = (history: History, pick: number) => void;

export const choose = <T>(list: readonly T[], pick: number): T => {
  const chosen = list[pick % list.length];
  assert(chosen !== undefined, 'there is one to choose');
  return chosen;
};

/** A row of an accepted frame. */
function acceptedRow({ rows, attempts }: History, pick: number): ForgedRow {
  const accepted = attempts.filter(({ outcome }) => outcome === 'accepted');
  const { epoch, seq } = choose(accepted, pick);
  const row = rows.find((one) => one.epoch === epoch && one.seq === seq);
  assert(row !== undefined, 'an accepted frame has a row');
  return row;
}

export function remove(history: History, row: ForgedRow): void {
  history.rows.splice(history.rows.indexOf(row), 1);
}

function auditEpoch(history: History, epoch: string) {
  const found = history.audit.collectors[0]?.epochs.find((one) => one.epoch === epoch);
  assert(found !== undefined, 'the audit has the epoch');
  return found;
}

/** The row is gone, the audit lists it, and it was never acked. */
export function giveUp(
  history: History,
  pick: number,
  list: 'declared' | 'rejected' | 'pending',
): void {
  const row = acceptedRow(history, pick);
  remove(history, row);
  const epoch = auditEpoch(history, row.epoch);
  epoch.stored -= 1;
  epoch[list].push({ from: row.seq, to: row.seq, reason: 'evicted' });
  for (const { document } of history.observations.statuses) {
    document.counters.acked = Math.min(document.counters.acked, history.rows.length);
  }
}

/** The row of an attempt that nobody answered, or a frame never seen when there is no such row. */
function indeterminateRow({ rows, attempts }: History, pick: number): ForgedRow {
  const open = attempts.filter(({ outcome, seq }) => outcome !== 'accepted' && seq > 0);
  const found = rows.filter((row) =>
    open.some(({ epoch, seq }) => row.epoch === epoch && row.seq === seq),
  );
  return choose(found.length > 0 ? found : rows, pick);
}

/** A promise broken: must fail. */
export const BREAKS: Readonly<Record<string, readonly [Operator, string]>> = {
  'an accepted row is gone': [(h, pick) => remove(h, acceptedRow(h, pick)), 'lost'],
  'an accepted row is gone and the audit never had it': [
    (h, pick) => {
      remove(h, acceptedRow(h, pick));
      Object.assign(h.audit, { collectors: [] });
    },
    'lost',
  ],
  'a row is there twice': [(h, pick) => h.rows.push({ ...choose(h.rows, pick) }), 'duplicated'],
  'the same payload is there under another epoch': [
    (h, pick) => h.rows.push({ ...choose(h.rows, pick), epoch: epochNumber(999) }),
    'duplicated',
  ],
  'a capture time is a microsecond late': [
    (h, pick) => {
      acceptedRow(h, pick).capturedAt += 1;
    },
    'altered_captured_at',
  ],
  'a capture time is a microsecond early': [
    (h, pick) => {
      acceptedRow(h, pick).capturedAt -= 1;
    },
    'altered_captured_at',
  ],
  'a bit of a payload is flipped': [
    (h, pick) => {
      const { payload } = acceptedRow(h, pick);
      payload[pick % payload.length] = (payload[pick % payload.length] ?? 0) ^ (1 << (pick % 8));
    },
    'altered_payload',
  ],
  'a payload lacks its last byte': [
    (h, pick) => {
      const row = acceptedRow(h, pick);
      row.payload = row.payload.subarray(0, -1);
    },
    'altered_payload',
  ],
  'a payload without an answer is changed': [
    (h, pick) => {
      const row = indeterminateRow(h, pick);
      row.payload = Buffer.concat([row.payload, Buffer.from('x')]);
    },
    'altered_payload',
  ],
  'two rows have changed places': [
    (h, pick) => {
      const one = acceptedRow(h, pick);
      const other = choose(
        h.rows.filter((row) => row !== one),
        pick,
      );
      [one.payload, other.payload] = [other.payload, one.payload];
      [one.capturedAt, other.capturedAt] = [other.capturedAt, one.capturedAt];
    },
    'altered_captured_at',
  ],
  'a frame was re-numbered': [
    (h, pick) => {
      acceptedRow(h, pick).seq = 100_000;
    },
    'altered_identity',
  ],
  'a frame went to another collector': [
    (h, pick) => {
      acceptedRow(h, pick).collector = 'load-2';
    },
    'unexpected',
  ],
  'a row was never attempted': [
    (h) => {
      const payload = Buffer.from('nobody ever sent this');
      const { receivedAt } = choose(h.rows, 0);
      const where = { collector: COLLECTOR, epoch: epochNumber(1), seq: 100_000 };
      h.rows.push({ ...where, capturedAt: receivedAt + 1, receivedAt, payload });
    },
    'unexpected',
  ],
  'a refused frame was stored': [
    (h, pick) => {
      const { n } = choose(h.attempts, pick);
      for (const [at, line] of h.lines.entries()) {
        if (line.type !== 'accepted' || line.n !== n) continue;
        h.lines[at] = { type: 'refused', n, code: 'queue_full', reason: 'no room' };
        return;
      }
      const accepted = h.lines.findIndex(({ type }) => type === 'accepted');
      const line = h.lines[accepted];
      assert(line?.type === 'accepted', 'something was accepted');
      h.lines[accepted] = { type: 'refused', n: line.n, code: 'queue_full', reason: 'no room' };
    },
    'unexpected',
  ],
  "a row's checksum is another": [
    (h, pick) => {
      choose(h.rows, pick).crc = 0;
    },
    'altered_checksum',
  ],
  'an identity was given twice': [
    (h) => {
      const accepted = h.lines.filter((line) => line.type === 'accepted');
      const [one, other] = accepted;
      assert(one !== undefined && other !== undefined, 'two were accepted');
      Object.assign(other, { epoch: one.epoch, seq: one.seq });
    },
    'identity_reused',
  ],
  'a loss was declared': [(h, pick) => giveUp(h, pick, 'declared'), 'declared'],
  'a frame was rejected': [(h, pick) => giveUp(h, pick, 'rejected'), 'rejected'],
  'a frame still waits though all was waited for': [
    (h, pick) => {
      giveUp(h, pick, 'pending');
      Object.assign(h.observations, { drain: { outcome: 'timed_out', waited_ms: 60_000 } });
    },
    'not_drained',
  ],
  'the audit counts a row that is not there': [
    (h, pick) => {
      auditEpoch(h, choose(h.rows, pick).epoch).stored += 1;
    },
    'store_disagrees',
  ],
  'the audit declares a row that is there': [
    (h, pick) => {
      const { epoch, seq } = choose(h.rows, pick);
      auditEpoch(h, epoch).declared.push({ from: seq, to: seq, reason: 'evicted' });
    },
    'audit_contradicted',
  ],
  'the audit found a frame missing at the end': [
    (h) => Object.assign(h.audit.collectors[0]?.totals ?? {}, { missing: 1 }),
    'missing',
  ],
  'the audit found a frame missing for a while': [
    (h) => {
      const [first] = h.observations.audits;
      Object.assign(first?.document.collectors[0]?.totals ?? {}, { missing: 1 });
    },
    'missing',
  ],
  'the audit counts less than is stored': [
    (h, pick) => {
      const { epoch } = choose(h.rows, pick);
      auditEpoch(h, epoch).stored -= 1;
    },
    'store_disagrees',
  ],
  'the store shrank in the run': [
    (h) => {
      const [first] = h.observations.audits;
      Object.assign(first?.document.collectors[0]?.totals ?? {}, { stored: 1_000_000 });
    },
    'store_shrank',
  ],
  'more was acked than is stored': [
    (h) => {
      const [first] = h.observations.statuses;
      Object.assign(first?.document.counters ?? {}, { acked: h.rows.length + 1 });
    },
    'acked_not_stored',
  ],
  'what was acked was not there, and was sent again': [
    (h) => {
      const [first] = h.observations.statuses;
      Object.assign(first?.document.counters ?? {}, { lost_by_store: 1 });
    },
    'acked_not_stored',
  ],
  'nothing was stored after the fault': [
    (h) => {
      const ended = h.observations.faults[0]?.running?.wall_us ?? 0;
      h.rows.splice(0, h.rows.length, ...h.rows.filter(({ receivedAt }) => receivedAt < ended));
    },
    'not_recovered',
  ],
  'recovery took longer than allowed': [
    (h) => Object.assign(h.expected, { recover_ms_max: 1 }),
    'recovered_late',
  ],
  'the backlog took longer than allowed': [
    (h) => Object.assign(h.expected, { drain_ms_max: 1 }),
    'drained_late',
  ],
  'the fault was noticed later than allowed': [
    (h) => Object.assign(h.expected, { detect_ms_max: 1 }),
    'noticed_late',
  ],
  'somebody had to help': [
    (h) => h.observations.operator_actions.push({ at: moment(1), what: 'restarted it' }),
    'operator_action',
  ],
  'a program ended by itself': [
    (h) => {
      const end = { process: 'server', code: 1, signal: null, injected: false };
      h.observations.exits.push({ at: moment(1), ...end });
    },
    'unexpected_exit',
  ],
  'frames came twice where none should': [
    (h) => {
      Object.assign(h.expected, { wire_duplicates_max: 0 });
      Object.assign(h.audit.collectors[0]?.totals ?? {}, { duplicates_refused: 1 });
    },
    'wire_duplicates',
  ],
};

/** Evidence that can't carry a verdict: must be inconclusive. */
export const DOUBTS: Readonly<Record<string, readonly [Operator, string]>> = {
  'the ledger has no end': [(h) => void h.lines.pop(), 'ledger_cut_short'],
  'the ledger ends early': [
    (h, pick) => h.lines.splice(1 + (pick % (h.lines.length - 1))),
    'ledger_cut_short',
  ],
  'the last line of the ledger is torn': [
    (h) => {
      h.lines.pop();
      h.ledgerRest = '{"type":"accepted","n":';
    },
    'ledger_cut_short',
  ],
  'an attempt is missing in the ledger': [
    (h, pick) => {
      const attempts = h.lines.flatMap(({ type }, at) => (type === 'attempt' ? [at] : []));
      h.lines.splice(choose(attempts, pick), 1);
    },
    'ledger_damaged',
  ],
  'capture times in the ledger go back': [
    (h, pick) => {
      const attempts = h.lines.filter((line) => line.type === 'attempt');
      Object.assign(choose(attempts.slice(1), pick), { captured_at: 1 });
    },
    'ledger_damaged',
  ],
  'the export is cut in a line': [
    (h) => {
      h.rows.pop();
      h.exportRest = '{"collector":"load-1","epo';
    },
    'export_cut_short',
  ],
  'too little was accepted': [
    (h) => Object.assign(h.expected, { accepted_min: 1_000 }),
    'too_few_frames',
  ],
  'too little waited in the outage': [
    (h) => Object.assign(h.expected, { queued_min: 1_000 }),
    'too_few_queued',
  ],
  'the fault did not bite': [
    (h) => Object.assign(h.observations.faults[0] ?? {}, { bit: false }),
    'fault_did_not_bite',
  ],
  'the fault was never seen to end': [
    (h) => Object.assign(h.observations.faults[0] ?? {}, { running: null }),
    'fault_not_ended',
  ],
  'the fault is not among the observations': [(h) => h.observations.faults.pop(), 'fault_missing'],
  'nobody saw the pipeline Ready before the fault': [
    (h) => h.observations.statuses.shift(),
    'never_ready',
  ],
  'the case ended before the drain': [
    (h, pick) => {
      giveUp(h, pick, 'pending');
      Object.assign(h.observations, { drain: null });
    },
    'not_drained',
  ],
  'no frame was left for after the fault': [
    (h) => {
      const [fault] = h.observations.faults;
      const last = Math.max(...h.rows.map(({ receivedAt }) => receivedAt));
      Object.assign(fault ?? {}, { lifted: moment(last + 1), running: moment(last + 1) });
    },
    'nothing_after_fault',
  ],
  'the harness failed': [
    (h) => h.observations.harness_failures.push('no answer from Toxiproxy'),
    'harness_failed',
  ],
  'somebody set the clock': [
    (h) => {
      const [first] = h.observations.statuses;
      const { wall_us, monotonic_ms } = first?.at ?? moment(0);
      const at = { wall_us: wall_us - 2_000_000, monotonic_ms };
      if (first !== undefined) h.observations.statuses.unshift({ ...first, at });
    },
    'clock_set',
  ],
  'a program was killed from outside': [
    (h) => {
      const end = { process: 'collector', code: null, signal: 'SIGKILL', injected: false };
      h.observations.exits.push({ at: moment(1), ...end });
    },
    'killed_from_outside',
  ],
  'duplicates are limited and there is no audit': [
    (h) => {
      Object.assign(h.expected, { wire_duplicates_max: 0 });
      Object.assign(h, { audit: undefined });
    },
    'no_audit',
  ],
};
