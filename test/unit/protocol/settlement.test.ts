/**
 * Settled ranges against the plainest model there is: a map from each seq to its fate. The order
 * in which facts arrive must never matter.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  SETTLED_STATES,
  type SettledRange,
  SettledRanges,
  settledReason,
} from '#protocol/settlement.ts';
import { seeded } from '../seed.ts';

const SEQ_MAX = 40;
const seq = fc.integer({ min: 1, max: SEQ_MAX });
const range: fc.Arbitrary<SettledRange> = fc
  .record({
    ends: fc.tuple(seq, seq),
    state: fc.constantFrom(...SETTLED_STATES),
    code: fc.integer({ min: 0, max: 2 }),
  })
  .map(({ ends: [a, b], state, code }) => ({
    from: Math.min(a, b),
    to: Math.max(a, b),
    state,
    code,
  }));
const ranges = fc.array(range, { maxLength: 30 });

type Fate = Pick<SettledRange, 'state' | 'code'>;

function modelOf(list: readonly SettledRange[]): Map<number, Fate> {
  const model = new Map<number, Fate>();
  for (const { from, to, state, code } of list) {
    for (let at = from; at <= to; at += 1) {
      const known = model.get(at);
      const rank = SETTLED_STATES.indexOf(state);
      const knownRank = known ? SETTLED_STATES.indexOf(known.state) : -1;
      if (rank > knownRank || (rank === knownRank && code < (known?.code ?? 0))) {
        model.set(at, { state, code });
      }
    }
  }
  return model;
}

function fates(settled: SettledRanges): Map<number, Fate> {
  const result = new Map<number, Fate>();
  for (const { from, to, state, code } of settled.ranges) {
    for (let at = from; at <= to; at += 1) result.set(at, { state, code });
  }
  return result;
}

const sorted = (map: Map<number, Fate>) => [...map].sort(([a], [b]) => a - b);

test('settled ranges hold what the model holds, sorted, disjoint and merged', () => {
  fc.assert(
    fc.property(ranges, (list) => {
      const settled = new SettledRanges(list);
      expect(sorted(fates(settled))).toEqual(sorted(modelOf(list)));
      expect(settled.count).toBe(modelOf(list).size);
      settled.ranges.forEach((current, i) => {
        const next = settled.ranges[i + 1];
        if (next === undefined) return;
        expect(current.to).toBeLessThan(next.from);
        const alike = current.state === next.state && current.code === next.code;
        expect(alike && current.to + 1 === next.from).toBe(false);
      });
    }),
    seeded({ numRuns: 1_000 }),
  );
});

test('neither the order nor the repetition of what is learned changes it', () => {
  const shuffled = ranges.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: 0 })),
  );
  fc.assert(
    fc.property(shuffled, ([list, again]) => {
      const once = new SettledRanges(list);
      expect(new SettledRanges([...again, ...list]).ranges).toEqual(once.ranges);
    }),
    seeded({ numRuns: 1_000 }),
  );
});

test('adding says truly whether anything changed', () => {
  fc.assert(
    fc.property(ranges, range, (list, added) => {
      const settled = new SettledRanges(list);
      const before = sorted(fates(settled));
      const changed = settled.add(added);
      expect(changed).toBe(JSON.stringify(sorted(fates(settled))) !== JSON.stringify(before));
    }),
    seeded({ numRuns: 1_000 }),
  );
});

test('find, unsettled and within agree with the model', () => {
  fc.assert(
    fc.property(ranges, seq, seq, (list, a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      const settled = new SettledRanges(list);
      const model = modelOf(list);
      const open = settled.unsettled(from, to).flatMap((run) => seqs(run.from, run.to));
      expect(open).toEqual(seqs(from, to).filter((at) => !model.has(at)));
      const cut = new SettledRanges(settled.within(from, to));
      expect(sorted(fates(cut))).toEqual(
        sorted(new Map([...model].filter(([at]) => at >= from && at <= to))),
      );
      expect(settled.find(a)?.state).toBe(model.get(a)?.state);
    }),
    seeded({ numRuns: 1_000 }),
  );
});

function seqs(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

describe('the chain of states', () => {
  const at = (state: SettledRange['state']): SettledRange => ({ from: 1, to: 1, state, code: 0 });

  test('stored beats declared in either order', () => {
    for (const list of [
      [at('stored'), at('declared')],
      [at('declared'), at('stored')],
    ]) {
      expect(new SettledRanges(list).find(1)?.state).toBe('stored');
    }
  });

  test('pruned never returns', () => {
    expect(new SettledRanges([at('pruned'), at('stored')]).find(1)?.state).toBe('pruned');
  });

  test('reasons have names, also those of a newer peer', () => {
    expect(settledReason({ state: 'declared', code: 3 })).toBe('damaged');
    expect(settledReason({ state: 'rejected', code: 3 })).toBe('conflict');
    expect(settledReason({ state: 'declared', code: 77 })).toBe('code_77');
    expect(settledReason({ state: 'stored', code: 0 })).toBeUndefined();
  });
});

test('seqs are counted exactly up to the last that there is', () => {
  const last = Number.MAX_SAFE_INTEGER;
  const ends: [number, number][] = [
    [1, 2],
    [last - 1, last],
  ];
  const ranges = ends.map(([from, to]) => ({ from, to, state: 'stored', code: 0 }) as const);
  expect(new SettledRanges(ranges).count).toBe(4);
});

test('a range may lie over more others than a call takes arguments', () => {
  const count = 200_000;
  const ranges = new SettledRanges();
  for (let seq = 1; seq < 2 * count; seq += 2) {
    ranges.add({ from: seq, to: seq, state: 'stored', code: 0 });
  }
  ranges.add({ from: 1, to: 2 * count, state: 'declared', code: 1 });
  expect(ranges.count).toBe(2 * count);
  expect([1, 2, 3, 2 * count].map((seq) => ranges.find(seq)?.state)).toEqual([
    'stored',
    'declared',
    'stored',
    'declared',
  ]);
  ranges.forget({ from: 2, to: 2 * count - 1 });
  expect(ranges.ranges).toHaveLength(2);
});
