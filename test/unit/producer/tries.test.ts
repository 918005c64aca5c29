/** How often frames were sent is counted by frame, whatever the cut of messages and acks. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Tries } from '#collector/producer/tries.ts';
import { seeded } from '../seed.ts';

const EPOCH = '0192f6c4-0000-7000-8000-000000000001';

test('agrees with a count by frame', () => {
  const range = fc
    .tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 10 }))
    .map(([from, more]) => ({ from, to: from + more }));
  const step = fc.record({ sent: fc.boolean(), range, every: fc.integer({ min: 1, max: 3 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const tries = new Tries();
      const counted = new Map<number, number>();
      for (const {
        sent,
        range: { from, to },
        every,
      } of steps) {
        const all = Array.from({ length: to - from + 1 }, (_, i) => from + i);
        if (sent) {
          const seqs = all.filter((seq) => seq % every === 0);
          tries.onSent(EPOCH, seqs);
          for (const seq of seqs) counted.set(seq, (counted.get(seq) ?? 0) + 1);
        } else {
          tries.onSettled(EPOCH, { from, to });
          for (const seq of all) counted.delete(seq);
        }
      }
      const told = tries.all.flatMap(({ epoch, from, to, tries: count }) => {
        expect(epoch).toBe(EPOCH);
        return Array.from({ length: to - from + 1 }, (_, i) => [from + i, count]);
      });
      expect(told).toEqual([...counted].sort(([a], [b]) => a - b));
    }),
    seeded(),
  );
});

test('stays small, whatever is in flight', () => {
  const tries = new Tries();
  for (let seq = 1; seq < 10_000; seq += 2) tries.onSent(EPOCH, [seq]);
  expect(tries.all.length).toBeLessThanOrEqual(256);
  tries.onSettled(EPOCH, { from: 1, to: 10_000 });
  expect(tries.all).toEqual([]);
});
