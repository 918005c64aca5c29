/**
 * The judge is judged: a right history passes, and one that was broken in a single place never
 * does. Each operator below is one way to break it, with the reason that must be given.
 */

import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seeded } from '../seed.ts';
import {
  auditOf,
  COLLECTOR,
  codesOf,
  epochNumber,
  type ForgedRow,
  forge,
  type History,
  histories,
  judgeHistory,
  moment,
} from './histories.ts';

/** Breaks the history in one place; `pick` chooses where. */
type Operator = (history: History, pick: number) => void;

function runs(operator: Operator, check: (result: ReturnType<typeof judgeHistory>) => void): void {
  fc.assert(
    fc.property(histories, fc.nat(), (history, pick) => {
      const copy = structuredCloneOf(history);
      operator(copy, pick);
      check(judgeHistory(copy));
    }),
    seeded({ numRuns: 40 }),
  );
}

/** fast-check shows the history that it drew, so that one must stay as it is. */
function structuredCloneOf(history: History): History {
  return {
    ...structuredClone({ ...history, rows: [], attempts: [] }),
    attempts: history.attempts,
    rows: history.rows.map((row) => ({ ...row, payload: Buffer.from(row.payload) })),
  };
}

const choose = <T>(list: readonly T[], pick: number): T => {
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

function remove(history: History, row: ForgedRow): void {
  history.rows.splice(history.rows.indexOf(row), 1);
}

function auditEpoch(history: History, epoch: string) {
  const found = history.audit.collectors[0]?.epochs.find((one) => one.epoch === epoch);
  assert(found !== undefined, 'the audit has the epoch');
  return found;
}

/** The row is gone, the audit lists it, and it was never acked. */
function giveUp(history: History, pick: number, list: 'declared' | 'rejected' | 'pending'): void {
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

const BREAKS: Readonly<Record<string, readonly [Operator, string]>> = {
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

const DOUBTS: Readonly<Record<string, readonly [Operator, string]>> = {
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

describe('a right history', () => {
  test('passes, with every count as it was forged', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const result = judgeHistory(history);
        expect(result.reasons).toEqual([]);
        expect(result.verdict).toBe('pass');
        const having = (...outcomes: string[]) =>
          history.attempts.filter(({ outcome }) => outcomes.includes(outcome));
        const open = having('unsure', 'unanswered');
        expect(result.counts).toMatchObject({
          attempted: history.attempts.length,
          accepted: having('accepted').length,
          acked: history.rows.length,
          refused: having('refused').length,
          indeterminate: open.length,
          recovered: open.filter(({ seq }) => seq > 0).length,
          stored: history.rows.length,
          lost: 0,
          duplicated: 0,
          unexpected: 0,
        });
      }),
      seeded(),
    );
  });

  test('passes by the usual limits when it is large enough', () => {
    const history = forge(Array.from({ length: 5_000 }, () => ({ bytes: 20, fate: 9 })));
    Object.assign(history.expected, { accepted_min: 1_000, queued_min: 1_000 });
    const result = judgeHistory(history);
    expect(result.verdict).toBe('pass');
    expect(result.faults[0]).toMatchObject({ queued: 1_667, restart_ms: 0, detect_ms: 2 });
    expect(result.faults[0]?.since_running).toMatchObject({ stored_ms: 2, drained_ms: 2 });
  });

  test('passes without its rows of other collectors being looked at', () => {
    const history = forge(Array.from({ length: 40 }, () => ({ bytes: 20, fate: 9 })));
    const row = choose(history.rows, 0);
    history.rows.push({ ...row, collector: 'host-1', payload: Buffer.from('{"a":1}') });
    expect(judgeHistory(history)).toMatchObject({ verdict: 'pass', counts: { foreign_rows: 1 } });
  });
});

describe('a history broken in one place fails:', () => {
  test.each(Object.entries(BREAKS))('%s', (_, [operator, code]) => {
    runs(operator, (result) => {
      expect(codesOf(result)).toContain(code);
      expect(result.verdict).toBe('fail');
    });
  });
});

describe('evidence that can not carry a verdict is inconclusive:', () => {
  test.each(Object.entries(DOUBTS))('%s', (_, [operator, code]) => {
    runs(operator, (result) => {
      expect(codesOf(result)).toContain(code);
      expect(result.verdict).toBe('inconclusive');
    });
  });
});

describe('fail outweighs inconclusive:', () => {
  test.each(Object.entries(BREAKS).slice(0, 8))('%s, and the harness failed', (_, [operator]) => {
    runs(
      (history, pick) => {
        operator(history, pick);
        history.observations.harness_failures.push('no answer from Toxiproxy');
      },
      (result) => expect(result.verdict).toBe('fail'),
    );
  });
});

describe('a declared loss passes only within what the case allows', () => {
  const declared = (allow: History['expected']['allow']) => {
    const history = forge(Array.from({ length: 40 }, () => ({ bytes: 20, fate: 9 })));
    giveUp(history, 4, 'declared');
    history.expected = { ...history.expected, allow };
    return judgeHistory(history);
  };

  test('by reason', () => {
    expect(declared([{ reason: 'evicted' }])).toMatchObject({
      verdict: 'pass',
      counts: { declared: 1, lost: 0 },
    });
    expect(declared([{ reason: 'damaged' }]).verdict).toBe('fail');
  });

  test('by range', () => {
    const epoch = epochNumber(1);
    const allow = (from: number, to: number) => [
      { reason: 'evicted', ranges: [{ epoch, from, to }] },
    ];
    expect(declared(allow(5, 5)).verdict).toBe('pass');
    expect(declared(allow(6, 9)).verdict).toBe('fail');
  });

  test('by number', () => {
    expect(declared([{ reason: 'evicted', frames_max: 1 }]).verdict).toBe('pass');
    expect(declared([{ reason: 'evicted', frames_max: 0 }]).verdict).toBe('fail');
  });
});

describe('a frame is located where it was last seen right', () => {
  const located = (operator: (history: History, row: ForgedRow) => void, kind: string) => {
    const history = forge(Array.from({ length: 40 }, () => ({ bytes: 20, fate: 9 })));
    operator(history, choose(history.rows, 20));
    return judgeHistory(history).offenders[kind]?.[0]?.last_seen;
  };

  test('at the server, when the audit still counts it', () => {
    expect(located(remove, 'lost')).toBe('server');
  });

  test('on the wire, when the queue had let go of it and the server never heard of it', () => {
    const withoutAudit = (history: History, row: ForgedRow) => {
      remove(history, row);
      Object.assign(history, { audit: undefined });
    };
    expect(located(withoutAudit, 'lost')).toBe('wire');
  });

  test('in the queue, when nothing shows that it left', () => {
    const withoutSamples = (history: History, row: ForgedRow) => {
      remove(history, row);
      Object.assign(history, { audit: undefined });
      Object.assign(history.observations, { statuses: history.observations.statuses.slice(0, 2) });
    };
    expect(located(withoutSamples, 'lost')).toBe('queue');
  });

  test('at the source, when it was sealed with the wrong bytes', () => {
    const sealedWrong = (_: History, row: ForgedRow) => {
      row.payload = Buffer.from('other bytes');
    };
    expect(located(sealedWrong, 'altered_payload')).toBe('source');
  });
});

test('all that is wrong is told as intervals, the first 20 in full', () => {
  const history = forge(Array.from({ length: 60 }, () => ({ bytes: 20, fate: 9 })));
  history.rows.splice(9, 30);
  history.rows.splice(0, 1);
  const { intervals, offenders, counts } = judgeHistory(history);
  expect(counts.lost).toBe(31);
  expect(intervals.lost).toBe(`${COLLECTOR} #{1 10..39}`);
  expect(offenders.lost).toHaveLength(20);
});

test('a fault within the recovery of another one leaves the later one to be judged', () => {
  const history = forge(Array.from({ length: 60 }, () => ({ bytes: 20, fate: 9 })));
  const [cut] = history.observations.faults;
  assert(cut?.running != null, 'the forged cut ends');
  const within = (from: number) => moment((cut.began.wall_us ?? 0) + from);
  const earlier = { began: cut.began, lifted: within(20_000), running: within(25_000) };
  history.observations.faults.unshift({ ...cut, ...earlier, name: 'first cut' });
  Object.assign(history.expected, { recover_ms_max: 50, drain_ms_max: 50 });
  const result = judgeHistory(history);
  expect(result.reasons).toEqual([]);
  expect(result.faults.map(({ disturbed }) => disturbed.recovery)).toEqual([true, false]);
});

test('one payload stored again under another epoch is found by its bytes alone', () => {
  const history = forge(Array.from({ length: 40 }, () => ({ bytes: 20, fate: 9 })));
  const row = choose(history.rows, 7);
  history.rows.push({ ...row, epoch: epochNumber(2), capturedAt: row.capturedAt + 77 });
  const result = judgeHistory({ ...history, audit: auditOf(history.rows) });
  expect(codesOf(result)).toEqual(expect.arrayContaining(['duplicated', 'altered_captured_at']));
  expect(result.offenders.duplicated?.[0]).toMatchObject({ n: 8 });
});
