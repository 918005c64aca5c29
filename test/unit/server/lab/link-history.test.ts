/** The faults of the link, made of what was seen of it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FAULTS_MAX, LinkHistory, type Sight } from '#server/lab/link-history.ts';
import { seed } from '#test/unit/seed.ts';

const WHOLE: Sight = { state: 'whole', details: [], error: null };
const CUT: Sight = { state: 'cut', details: [], error: null };
const SLOW: Sight = { state: 'slow', details: ['+250 ms to the server'], error: null };
const SLOWER: Sight = { state: 'slow', details: ['+900 ms to the server'], error: null };
const DEAF: Sight = { state: 'unknown', details: [], error: 'nobody answers' };

function history(...sights: (readonly [number, Sight])[]): LinkHistory {
  const made = new LinkHistory(0, undefined);
  for (const [at, sight] of sights) made.onSight(at, sight);
  return made;
}

test('a fault is from the look that showed it to the one that did not any more', () => {
  const { faults, report } = history([1, WHOLE], [2, CUT], [3, CUT], [4, WHOLE], [5, WHOLE]);
  expect(faults).toEqual([{ from: 2, to: 4, state: 'cut', details: [] }]);
  expect(report).toEqual({ ...WHOLE, since: 4 });
});

test('one that turns into another ends there, and another slowness is another fault', () => {
  const { faults, report } = history([1, SLOW], [2, SLOWER], [3, CUT], [4, DEAF]);
  expect(faults).toEqual([
    { from: 1, to: 2, state: 'slow', details: SLOW.details },
    { from: 2, to: 3, state: 'slow', details: SLOWER.details },
    { from: 3, to: 4, state: 'cut', details: [] },
    { from: 4, to: null, state: 'unknown', details: [] },
  ]);
  expect(report).toEqual({ ...DEAF, since: 4 });
});

test('what slows a cut link, and why nobody answers, makes no other fault of it', () => {
  const made = history([1, { ...CUT, details: SLOW.details }], [2, CUT]);
  expect(made.faults).toEqual([{ from: 1, to: null, state: 'cut', details: SLOW.details }]);
  expect(made.report).toEqual({ ...CUT, since: 1 });
  made.onSight(3, DEAF);
  expect(made.onSight(4, { ...DEAF, error: 'reset' })).toEqual({ report: true, faults: false });
  expect(made.report).toEqual({ ...DEAF, error: 'reset', since: 3 });
});

test('it answers what has become different', () => {
  const made = history();
  expect(made.onSight(1, WHOLE)).toEqual({ report: true, faults: false });
  expect(made.onSight(2, WHOLE)).toEqual({ report: false, faults: false });
  expect(made.onSight(3, CUT)).toEqual({ report: true, faults: true });
  expect(made.onSight(4, CUT)).toEqual({ report: false, faults: false });
  expect(made.onSight(5, WHOLE)).toEqual({ report: true, faults: true });
});

test('to wait for the first answer after the start is no fault', () => {
  const made = history([1, DEAF], [2, DEAF]);
  expect(made.report).toEqual({ ...DEAF, since: 0 });
  expect(made.faults).toEqual([]);
  made.onSight(3, WHOLE);
  expect(made.faults).toEqual([]);
  expect(made.report.since).toBe(3);
});

describe('after a restart', () => {
  const LEFT = { faults: [{ from: 10, to: null, state: 'cut', details: [] }], seenAt: 20 } as const;

  test('a fault that is still there goes on', () => {
    const made = new LinkHistory(30, LEFT);
    made.onSight(31, DEAF);
    made.onSight(32, CUT);
    made.onSight(33, WHOLE);
    expect(made.faults).toEqual([{ from: 10, to: 33, state: 'cut', details: [] }]);
  });

  test('one that is gone ended when it was last seen', () => {
    const made = new LinkHistory(30, LEFT);
    made.onSight(31, WHOLE);
    expect(made.faults).toEqual([{ from: 10, to: 20, state: 'cut', details: [] }]);
    expect(made.report).toEqual({ ...WHOLE, since: 20 });
  });

  test('one that became another ended then, and the other begins with the first look', () => {
    const made = new LinkHistory(30, LEFT);
    made.onSight(31, SLOW);
    expect(made.faults.at(0)?.to).toBe(20);
    expect(made.faults.at(1)).toMatchObject({ from: 31, to: null, state: 'slow' });
  });
});

test('whatever is seen, faults are in order, do not overlap, and are not too many', () => {
  const sights = fc.constantFrom(WHOLE, CUT, SLOW, SLOWER, DEAF);
  // Times go back now and then, as a clock that is set.
  const looks = fc.array(fc.tuple(fc.integer({ min: -3, max: 9 }), sights), { maxLength: 200 });
  fc.assert(
    fc.property(looks, fc.nat(1_000), (steps, seenAt) => {
      const left = {
        faults: [{ from: 500, to: null, state: 'cut', details: [] }],
        seenAt,
      } as const;
      const made = new LinkHistory(0, left);
      let at = 1_000;
      for (const [step, sight] of steps) {
        at += step;
        made.onSight(at, sight);
        expect(made.report).toMatchObject(sight);
      }
      let before = 0;
      for (const { from, to } of made.faults) {
        expect(from).toBeGreaterThanOrEqual(before);
        before = to ?? from;
        expect(before).toBeGreaterThanOrEqual(from);
      }
      expect(made.faults.slice(0, -1).every(({ to }) => to !== null)).toBe(true);
    }),
    { seed },
  );
  const many = history();
  for (let at = 1; at <= 3 * FAULTS_MAX; at += 1) many.onSight(at, at % 2 === 0 ? CUT : WHOLE);
  expect(many.faults).toHaveLength(FAULTS_MAX);
  expect(many.faults.at(-1)?.from).toBe(3 * FAULTS_MAX);
});
