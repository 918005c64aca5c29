/** Which collectors stand in front, and which is shown first. */
import { describe, expect, test } from 'vitest';
import type { Audit, Collector } from '#dashboard/answers.ts';
import { firstOf, isAtRest } from '#dashboard/collector-order.ts';

const NOON = Date.UTC(2026, 10, 26, 12);
const minutesAgo = (minutes: number) => new Date(NOON - minutes * 60_000).toISOString();

function collector(id: string, silentFor: number | null): Collector {
  return {
    collector: id,
    connected: silentFor === null,
    silent_since: silentFor === null ? null : minutesAgo(silentFor),
    last_heard_at: minutesAgo(silentFor ?? 0),
  } as Collector;
}

const audit = (open: object = {}) =>
  ({ totals: { stored: 9, pending: 0, missing: 0, ...open } }) as unknown as Audit;

describe('at rest', () => {
  test('is who is silent for long and leaves nothing open', () => {
    expect(isAtRest(collector('a', 11), audit(), NOON)).toBe(true);
  });

  test.each([
    ['connected', collector('a', null), audit()],
    ['silent since a moment ago', collector('a', 9), audit()],
    ['pending', collector('a', 11), audit({ pending: 1 })],
    ['missing', collector('a', 11), audit({ missing: 1 })],
    ['not audited yet', collector('a', 11), undefined],
  ])('is none that is %s', (_, one, its) => {
    expect(isAtRest(one, its, NOON)).toBe(false);
  });
});

test('who is heard is shown first, else who was heard last', () => {
  expect(firstOf([collector('a', 5), collector('b', null), collector('c', null)])).toBe('b');
  expect(firstOf([collector('a', 5), collector('b', 2), collector('c', 3)])).toBe('b');
  expect(firstOf([])).toBeUndefined();
});
