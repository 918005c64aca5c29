/** The view in the address: a link shows the same to who follows it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FIRST_RANGE, type Range } from '#dashboard/range.ts';
import { searchOf, viewOf } from '#dashboard/url-state.ts';
import { seeded } from '../seed.ts';

const ranges: fc.Arbitrary<Range> = fc.oneof(
  fc.constant<Range>({ kind: 'all' }),
  fc
    .integer({ min: 1, max: 999_999 })
    .map((seconds): Range => ({ kind: 'last', span: seconds * 1_000 })),
  fc
    .tuple(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 1, max: 1e10 }))
    .map(([from, span]): Range => ({ kind: 'between', from, to: from + span })),
);

test('what is written is read as the same', () => {
  fc.assert(
    fc.property(
      fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
      ranges,
      (collector, range) => {
        expect(viewOf(searchOf({ collector, range }))).toEqual({ collector, range });
      },
    ),
    seeded(),
  );
});

test('reads well', () => {
  expect(searchOf({ collector: 'web-3', range: { kind: 'last', span: 900_000 } })).toBe(
    '?collector=web-3&range=15m',
  );
  expect(searchOf({ collector: undefined, range: FIRST_RANGE })).toBe('');
});

describe('what makes no sense is as if it was not there', () => {
  test.each([
    '',
    '?range=',
    '?range=0m',
    '?range=-5m',
    '?range=5',
    '?range=5y',
    '?range=99999999999d',
    '?range=999999d',
    '?from=-271000-01-01T00:00:00Z&to=2026-01-01T00:00:00Z',
    '?from=0001-01-01T00:00:00Z&to=9999-01-01T00:00:00Z',
    '?from=yesterday&to=today',
    '?from=2026-11-26T12:00:00Z',
    '?from=2026-11-26T12:00:00Z&to=2026-11-26T11:00:00Z',
    '?collector=',
    '?%ff',
  ])('%s', (search) => {
    expect(viewOf(search)).toEqual({ collector: undefined, range: FIRST_RANGE });
  });
});
