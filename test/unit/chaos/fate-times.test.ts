/** What is asked of all frames for each fault, held against looking at every one of them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Fate } from '#chaos/oracle/comparison.ts';
import { FateTimes } from '#chaos/oracle/fate-times.ts';
import { seeded } from '../seed.ts';

const time = fc.integer({ min: 1, max: 60 });

const fates = fc.array(
  fc.record({
    capturedAt: time,
    outcome: fc.constantFrom('accepted', 'accepted', 'indeterminate', 'refused'),
    receivedAt: fc.option(fc.oneof(time, fc.constant(Number.NaN)), { nil: undefined }),
    givenUp: fc.boolean(),
  }),
  { maxLength: 60 },
);

test('times of faults are those that a look at every frame finds', () => {
  fc.assert(
    fc.property(fates, time, time, (drawn, one, other) => {
      const list = drawn.map(({ capturedAt, outcome, receivedAt, givenUp }): Fate => {
        const n = 1;
        const attempt = { n, capturedAt, outcome, collector: 'c', bytes: 1, sha256: '' } as const;
        return {
          attempt: { ...attempt, identity: undefined },
          rows: receivedAt === undefined ? 0 : 1,
          placed: true,
          givenUp: givenUp && receivedAt === undefined,
          receivedAt,
        };
      });
      const times = new FateTimes(list);
      const accepted = list.filter(({ attempt }) => attempt.outcome === 'accepted');
      const due = accepted.filter(({ receivedAt = Infinity }) => receivedAt >= other);
      const captured = (fate: Fate) => fate.attempt.capturedAt <= one;
      expect(times.dueFrom(other)).toBe(due.length);
      expect(times.waitedBetween(one, other)).toBe(due.filter(captured).length);
      const stored = list.flatMap(({ receivedAt = Infinity }) =>
        receivedAt >= other ? [receivedAt] : [],
      );
      expect(times.firstStoredFrom(other)).toBe(Math.min(...stored));
      const kept = accepted.filter((fate) => captured(fate) && !fate.givenUp);
      const lasts = kept.map(({ receivedAt = Infinity }) => receivedAt || 0);
      expect(times.allStoredOf(one)).toBe(Math.max(0, ...lasts));
    }),
    seeded(),
  );
});
