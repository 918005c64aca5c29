/** What the three applications around a latching producer do about its errors. */
import { expect, test } from 'vitest';
import { ACK_LIMIT_MS, Application, type Kind, PAUSE_MS } from '#bench/rivals/application.ts';

const COUNT = 10;

/** Has sent the records below `sent`, at time 0; those below `stored` are stored. */
function application(kind: Kind, sent: number, stored = 0): Application {
  const it = new Application(kind, COUNT);
  for (let n = it.next(sent); n !== undefined; n = it.next(sent)) it.onTaken(n, 0);
  if (stored > 0)
    it.onStored(
      Array.from({ length: stored }, (_, n) => n),
      0,
    );
  return it;
}

/** All that it sends when all is due. */
function sends(it: Application, now: number): number[] {
  const records: number[] = [];
  for (let n = it.next(COUNT); n !== undefined; n = it.next(COUNT)) {
    records.push(n);
    it.onTaken(n, now);
  }
  return records;
}

test.each(['naive', 'clear', 'renew'] as const)(
  '%s sends what is due, once each, and is done when all is stored',
  (kind) => {
    const it = application(kind, 3);
    expect([it.taken, it.next(3), it.next(4)]).toEqual([3, undefined, 3]);
    expect(sends(it, 1)).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(it.isDone).toBe(false);
    it.onStored([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 2);
    expect([it.isDone, it.nextDeadline]).toEqual([true, undefined]);
  },
);

test.each([
  ['a send that is refused', (it: Application) => it.onRefused(5)],
  ['a record that failed', (it: Application) => it.onFailed([1], 5)],
])('naive stops for good at %s', (_, error) => {
  const it = application('naive', 3);
  error(it);
  expect([it.next(COUNT), it.nextDeadline, it.isDone]).toEqual([undefined, undefined, true]);
});

test('clear pauses after an error, clears it, and sends what failed before it goes on', () => {
  const it = application('clear', 5, 2);
  it.onFailed([2, 3], 100);
  it.onRefused(101);
  expect([it.next(COUNT), it.nextDeadline]).toEqual([undefined, 100 + PAUSE_MS]);
  expect(it.onTick(100 + PAUSE_MS - 1)).toBeUndefined();
  expect(it.onTick(100 + PAUSE_MS)).toBe('clear');
  expect(sends(it, 2_000)).toEqual([2, 3, 5, 6, 7, 8, 9]);
});

test('clear goes on with the record that was refused, and forgets none that waits to be sent again', () => {
  const it = application('clear', 5);
  it.onFailed([0, 1], 0);
  expect(it.onTick(PAUSE_MS)).toBe('clear');
  expect(it.next(COUNT)).toBe(0);
  it.onRefused(PAUSE_MS);
  it.onFailed([2], PAUSE_MS + 1);
  expect(it.onTick(2 * PAUSE_MS)).toBe('clear');
  expect(sends(it, 2 * PAUSE_MS)).toEqual([0, 1, 2, 5, 6, 7, 8, 9]);
});

test('clear waits without a limit of its own', () => {
  expect(application('clear', 5).nextDeadline).toBeUndefined();
});

test('renew sends all again without a verdict, in their order, on a new producer', () => {
  const it = application('renew', 5, 1);
  it.onFailed([1], 100);
  expect(it.onTick(100 + PAUSE_MS)).toBe('renew');
  expect(sends(it, 2_000)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(it.taken).toBe(COUNT);
});

test('renew gives a producer up that confirms nothing for so long, and only then', () => {
  const it = application('renew', 3);
  it.onStored([0], 1_000);
  expect(it.nextDeadline).toBe(1_000 + ACK_LIMIT_MS);
  expect(it.onTick(1_000 + ACK_LIMIT_MS)).toBeUndefined();
  expect(it.next(COUNT)).toBeUndefined();
  expect(it.onTick(1_000 + ACK_LIMIT_MS + PAUSE_MS)).toBe('renew');
  expect(it.next(COUNT)).toBe(1);
});

test('renew times nothing while nothing is open, and begins anew with the next record', () => {
  const it = application('renew', 3, 3);
  expect(it.nextDeadline).toBeUndefined();
  it.onTaken(3, 60_000);
  expect(it.nextDeadline).toBe(60_000 + ACK_LIMIT_MS);
});
