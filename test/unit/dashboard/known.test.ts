/** What is known here of a collector, and what only it knows. */
import { expect, test } from 'vitest';
import type { Audit, Collector, LabAnswer } from '#dashboard/answers.ts';
import { knownCount, ownPage } from '#dashboard/known.ts';

test('that nothing is pending is known of who is heard only', () => {
  const heard = { collector: 'a', silent_since: null } as Collector;
  const silent = { collector: 'a', silent_since: '2026-11-26T12:00:00.000000Z' } as Collector;
  const audit = (pending: number) => ({ totals: { stored: 9, pending } }) as unknown as Audit;
  expect(knownCount(heard, audit(0), 'pending')).toBe(0);
  expect(knownCount(silent, audit(0), 'pending')).toBeUndefined();
  expect(knownCount(silent, audit(7), 'pending')).toBe(7);
  expect(knownCount(silent, audit(0), 'stored')).toBe(9);
  expect(knownCount(heard, undefined, 'stored')).toBeUndefined();
});

test('only what can be opened is a page', () => {
  const of = (collector_page: string | null) => ownPage({ collector_page } as LabAnswer);
  expect(of('http://127.0.0.1:9464')).toBe('http://127.0.0.1:9464');
  expect(of('javascript:alert(1)')).toBeUndefined();
  expect(of(null)).toBeUndefined();
  expect(ownPage(null)).toBeUndefined();
});
