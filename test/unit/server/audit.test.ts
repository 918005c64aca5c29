/** The audit's rule, against a plain model that decides seq by seq. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SETTLED_STATES, SettledRanges } from '#protocol/settlement.ts';
import { auditEpoch, count } from '#server/store/audit.ts';
import type { AuditRange } from '#server/store/store.ts';
import { seeded } from '../seed.ts';

const SEQ_MAX = 30;

const stream = fc
  .record({
    lowest: fc.integer({ min: 1, max: SEQ_MAX + 1 }),
    announced: fc.integer({ min: 0, max: SEQ_MAX }),
    lastNamed: fc.integer({ min: 0, max: SEQ_MAX }),
    held: fc.boolean(),
  })
  .map(({ lowest, announced, ...rest }) => ({
    epoch: 'e',
    lowest,
    highest: Math.max(announced, lowest - 1),
    duplicatesRefused: 0,
    conflictsRefused: 0,
    ...rest,
  }));

const ranges = fc.array(
  fc
    .tuple(
      fc.integer({ min: 1, max: SEQ_MAX }),
      fc.integer({ min: 0, max: 5 }),
      fc.constantFrom(...SETTLED_STATES),
    )
    .map(([from, more, state]) => ({ from, to: from + more, state, code: 0 })),
  { maxLength: 8 },
);

function seqsOf(list: readonly AuditRange[]): number[] {
  return list.flatMap(({ from, to }) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index),
  );
}

test('every seq up to the last is in exactly one list, and in the right one', () => {
  fc.assert(
    fc.property(stream, ranges, (facts, added) => {
      const settled = new SettledRanges(added);
      const audit = auditEpoch(facts, settled.ranges);
      const last = Math.max(facts.highest, facts.lastNamed, ...added.map(({ to }) => to));
      expect(audit.last).toBe(last);
      const unsettled = Array.from({ length: last }, (_, index) => index + 1).filter(
        (seq) => !settled.has(seq),
      );
      const isPending = (seq: number): boolean =>
        facts.held && seq >= facts.lowest && seq <= facts.highest;
      expect(seqsOf(audit.pending)).toEqual(unsettled.filter(isPending));
      expect(seqsOf(audit.missing)).toEqual(unsettled.filter((seq) => !isPending(seq)));
      const { declared, rejected, pruned, pending, missing } = audit;
      const listed = count([...declared, ...rejected, ...pruned, ...pending, ...missing]);
      expect(audit.stored + listed).toBe(last);
    }),
    seeded(),
  );
});

test('an epoch of which nothing is known is empty', () => {
  const facts = { epoch: 'e', lowest: 1, highest: 0, lastNamed: 0, held: true };
  const audit = auditEpoch({ ...facts, duplicatesRefused: 0, conflictsRefused: 0 }, []);
  expect(audit).toMatchObject({ first: 0, last: 0, stored: 0, pending: [], missing: [] });
});

test('seqs are counted exactly up to the last that there is', () => {
  const last = Number.MAX_SAFE_INTEGER;
  const ends: [number, number][] = [
    [2, 2],
    [7, 7],
    [last, last],
  ];
  expect(count(ends.map(([from, to]) => ({ from, to })))).toBe(3);
});
