/** The judge of a contest: each defect shown by forging it, and what it says of time and order. */
import { expect, test } from 'vitest';
import { judge } from '#bench/judge.ts';
import { capturedAtOf, type FramePlan, payloadOf } from '#bench/source/frames.ts';
import type { ExportedRow } from '#bench/verification.ts';

const PLAN: FramePlan = {
  seed: 42,
  payloadBytes: 200,
  startedAt: 1_795_000_000_000_000,
  stepUs: 5_000,
};
const OFFERED = 10;
/** A second after the last was due. */
const WATCHED_UNTIL = capturedAtOf(PLAN, OFFERED - 1) + 1_000_000;
const ABOUT = { plan: PLAN, offered: OFFERED, taken: OFFERED, watchedUntil: WATCHED_UNTIL };

/** Record n, under that seq, so long after it was due. */
function row(n: number, { seq = n + 1, afterMs = 2, change = {} } = {}): ExportedRow {
  const capturedAt = capturedAtOf(PLAN, n);
  const receivedAt = capturedAt + afterMs * 1_000;
  return { seq, capturedAt, receivedAt, payload: payloadOf(PLAN, n), ...change };
}

const all = Array.from({ length: OFFERED }, (_, n) => row(n));
const clean = {
  sent: OFFERED,
  stored: OFFERED,
  lost: 0,
  duplicated: 0,
  altered: 0,
  unexpected: 0,
  outOfOrder: 0,
};

test('all there, once, in order: nothing to find', () => {
  const judgement = judge(all, ABOUT);
  expect(judgement).toMatchObject(clean);
  expect(judgement.latenciesMs).toEqual(all.map(() => 2));
});

test.each([
  ['a record never came', all.toSpliced(7, 1), { stored: 9, lost: 1 }],
  [
    'one was sent again under a new seq',
    [...all, row(7, { seq: 11, afterMs: 900 })],
    { stored: 11, duplicated: 1 },
  ],
  ['one came behind a later one', all.with(3, row(3, { seq: 11, afterMs: 8 })), { outOfOrder: 1 }],
  [
    'three came at once behind the last',
    all.map((one, n) => (n < 3 ? row(n, { seq: 11 + n, afterMs: 500 }) : one)),
    { outOfOrder: 3 },
  ],
  [
    'other bytes',
    all.with(3, row(3, { change: { payload: payloadOf({ ...PLAN, seed: 43 }, 3) } })),
    { altered: 1 },
  ],
  [
    'another capture time',
    all.with(3, row(3, { change: { capturedAt: capturedAtOf(PLAN, 3) + 1 } })),
    { altered: 1 },
  ],
  ['a record that nobody sent', [...all, row(OFFERED)], { stored: 11, unexpected: 1 }],
])('it finds: %s', (_, rows, found) => {
  expect(judge(rows, ABOUT)).toMatchObject({ ...clean, ...found });
});

test('a later copy is no loss of order, and the first one counts for the time', () => {
  const judgement = judge([row(2, { seq: 11, afterMs: 700 }), ...all], ABOUT);
  expect(judgement).toMatchObject({ ...clean, stored: 11, duplicated: 1 });
  expect(judgement.latenciesMs[2]).toBe(2);
});

test('what came at the same time is in the order of its seqs', () => {
  const at = { receivedAt: WATCHED_UNTIL };
  const rows = [row(0, { seq: 2, change: at }), row(1, { seq: 1, change: at })];
  expect(judge(rows, { ...ABOUT, offered: 2, taken: 2 }).outOfOrder).toBe(1);
});

test('what no producer took is no loss, and late all the same', () => {
  const judgement = judge(all.slice(0, 4), { ...ABOUT, taken: 4 });
  expect(judgement).toMatchObject({ ...clean, sent: 4, stored: 4 });
  expect(judgement.latenciesMs.at(-1)).toBe(1_000);
});

test('records stored by a time are counted once', () => {
  const judgement = judge([...all, row(0, { seq: 11, afterMs: 3 })], ABOUT);
  expect(judgement.storedBy(capturedAtOf(PLAN, 3) + 2_000)).toBe(4);
});

test('the longest hole is between two that came, or up to the end where some did not', () => {
  const late = all.map((one, n) => (n < 4 ? one : row(n, { afterMs: 300 })));
  expect(judge(late, ABOUT).longestHoleMs).toBeCloseTo(303);
  expect(judge(all.slice(0, 4), ABOUT).longestHoleMs).toBeCloseTo(1_028);
});
