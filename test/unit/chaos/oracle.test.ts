/**
 * The judge is judged: a right history passes, and one that was broken in a single place never
 * does. The ways to break it are in `operators.ts`.
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
import { BREAKS, choose, DOUBTS, giveUp, type Operator, remove } from './operators.ts';

function runs(operator: Operator, check: (result: ReturnType<typeof judgeHistory>) => void): void {
  fc.assert(
    fc.property(histories, fc.nat(), (history, pick) => {
      const copy = copyOf(history);
      operator(copy, pick);
      check(judgeHistory(copy));
    }),
    seeded({ numRuns: 40 }),
  );
}

/** fast-check shows the history that it drew, so that one must stay as it is. */
function copyOf(history: History): History {
  return {
    ...structuredClone({ ...history, rows: [], attempts: [] }),
    attempts: history.attempts,
    rows: history.rows.map((row) => ({ ...row, payload: Buffer.from(row.payload) })),
  };
}

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

test('a store that the case puts back may shrink and miss frames in between, and not in the end', () => {
  const history = forge(Array.from({ length: 40 }, () => ({ bytes: 20, fate: 9 })));
  Object.assign(history.expected, { store_put_back: true });
  const [first] = history.observations.audits;
  const totals = first?.document.collectors[0]?.totals ?? {};
  Object.assign(totals, { stored: 1_000_000, missing: 3 });
  expect(judgeHistory(history).verdict).toBe('pass');
  Object.assign(history.audit?.collectors[0]?.totals ?? {}, { missing: 3 });
  expect(codesOf(judgeHistory(history))).toContain('missing');
});

test('what a clone lacks may be missing while it is there, and not in the end', () => {
  const history = forge(Array.from({ length: 40 }, () => ({ bytes: 20, fate: 9 })));
  const [sampled] = history.observations.audits;
  Object.assign(sampled?.document.collectors[0]?.totals ?? {}, { missing: 3 });
  expect(codesOf(judgeHistory(history))).toContain('missing');
  Object.assign(history.expected, { cloned: true });
  expect(judgeHistory(history).verdict).toBe('pass');
  Object.assign(history.audit?.collectors[0]?.totals ?? {}, { missing: 3 });
  expect(codesOf(judgeHistory(history))).toContain('missing');
});

test('what a store lost of what was acked may be acked once more', () => {
  const history = forge(Array.from({ length: 40 }, () => ({ bytes: 20, fate: 9 })));
  const counters = history.observations.statuses[0]?.document.counters ?? {};
  Object.assign(history.expected, { store_put_back: true });
  Object.assign(counters, { acked: history.rows.length + 5, lost_by_store: 5 });
  expect(judgeHistory(history).verdict).toBe('pass');
  Object.assign(counters, { lost_by_store: 4 });
  expect(codesOf(judgeHistory(history))).toContain('acked_not_stored');
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

test('a limit that is passed by no more than a busy machine explains is judged by nobody', () => {
  const history = forge(Array.from({ length: 60 }, () => ({ bytes: 20, fate: 9 })));
  const { recovered, limit } = recoveryOf(history);
  history.observations.stretch = recovered / limit + 1;
  expect(judgeHistory(history)).toMatchObject({ verdict: 'inconclusive' });
  expect(codesOf(judgeHistory(history))).toEqual(['machine_busy']);
  history.observations.stretch = 1;
  expect(codesOf(judgeHistory(history))).toEqual(['recovered_late']);
});

/** Sets a limit of half of what the recovery took. */
function recoveryOf(history: History): { recovered: number; limit: number } {
  const recovered = judgeHistory(history).faults[0]?.since_running?.stored_ms;
  assert(recovered != null && recovered > 0, 'the forged pipeline recovers');
  const limit = recovered / 2;
  Object.assign(history.expected, { recover_ms_max: limit });
  return { recovered, limit };
}

test('a pipeline that drains before anybody sees it work again has waited and recovered', () => {
  const history = forge(Array.from({ length: 60 }, () => ({ bytes: 20, fate: 9 })));
  const [cut] = history.observations.faults;
  assert(cut?.running != null, 'the forged cut ends');
  const order = cut.running.wall_us;
  const seen = Math.max(...history.rows.map(({ receivedAt }) => receivedAt)) + 1_000;
  const waited = history.rows.filter(({ receivedAt }) => receivedAt >= order).length;
  Object.assign(cut, { lifted: moment(order), running: moment(seen) });
  Object.assign(history.expected, { recover_ms_max: 1, drain_ms_max: 1, queued_min: waited });
  const result = judgeHistory(history);
  expect(result.reasons).toEqual([]);
  expect(result.faults[0]).toMatchObject({
    queued: waited,
    since_running: { stored_ms: 0, drained_ms: 0 },
  });
});

test('a kill has no order to end it, and what waited counts from the kill', () => {
  const history = forge(Array.from({ length: 60 }, () => ({ bytes: 20, fate: 9 })));
  const [cut] = history.observations.faults;
  assert(cut?.running != null, 'the forged fault ends');
  const { began, running } = cut;
  Object.assign(cut, { name: 'kill_server', lifted: null });
  Object.assign(history.expected, { faults: ['kill_server'] });
  const result = judgeHistory(history);
  expect(result.reasons).toEqual([]);
  expect(result.faults[0]).toMatchObject({
    restart_ms: running.monotonic_ms - began.monotonic_ms,
    queued: history.rows.filter(
      ({ capturedAt, receivedAt }) => capturedAt <= running.wall_us && receivedAt >= began.wall_us,
    ).length,
  });
});

test('one payload stored again under another epoch is found by its bytes alone', () => {
  const history = forge(Array.from({ length: 40 }, () => ({ bytes: 20, fate: 9 })));
  const row = choose(history.rows, 7);
  history.rows.push({ ...row, epoch: epochNumber(2), capturedAt: row.capturedAt + 77 });
  const result = judgeHistory({ ...history, audit: auditOf(history.rows) });
  expect(codesOf(result)).toEqual(expect.arrayContaining(['duplicated', 'altered_captured_at']));
  expect(result.offenders.duplicated?.[0]).toMatchObject({ n: 8 });
});
