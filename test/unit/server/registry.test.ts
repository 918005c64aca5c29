/** The registry: one session for each collector. */
import { expect, test } from 'vitest';
import { type Member, Registry } from '#server/ingest/registry.ts';

let taken = 0;

function member(instance: string, live = true, open = true, connectedAt = 0): Member {
  taken += 1;
  const common = { collector: 'c1', address: '10.0.0.1:2', heardAt: 0, isLive: () => live };
  return { ...common, instance, order: taken, connectedAt, open };
}

test('the same process’s newer connection wins at once', () => {
  const registry = new Registry();
  const older = member('a');
  const newer = member('a');
  expect(registry.admit(older)).toEqual({ admitted: true, superseded: undefined });
  expect(registry.admit(newer)).toEqual({ admitted: true, superseded: older });
  expect(registry.connected('c1')).toBe(newer);
});

test('an older connection of the same process that says HELLO late is refused, then and later', () => {
  const registry = new Registry();
  const [older, newer] = [member('a'), member('a')];
  registry.admit(newer);
  expect(registry.admit(older)).toEqual({ admitted: false, holder: undefined });
  expect(registry.connected('c1')).toBe(newer);
  registry.leave(newer);
  expect(registry.admit(older)).toEqual({ admitted: false, holder: undefined });
  expect(registry.admit(member('a'))).toMatchObject({ admitted: true });
});

test('another process waits while the first is live, and takes over when it is not', () => {
  const registry = new Registry();
  const live = member('a');
  registry.admit(live);
  expect(registry.admit(member('b'))).toEqual({ admitted: false, holder: live });
  const other = new Registry();
  const silent = member('a', false);
  const second = member('b');
  other.admit(silent);
  expect(other.admit(second)).toEqual({ admitted: true, superseded: silent });
});

test('one that was superseded does not take its successor along when it leaves', () => {
  const registry = new Registry();
  const older = member('a');
  const newer = member('a');
  registry.admit(older);
  registry.admit(newer);
  expect(registry.leave(older)).toBe(false);
  expect(registry.connected('c1')).toBe(newer);
  expect(registry.leave(newer)).toBe(true);
  expect(registry.connected('c1')).toBeUndefined();
});

test('only who is welcomed counts as connected', () => {
  const registry = new Registry();
  registry.admit(member('a', true, false));
  expect(registry.connected('c1')).toBeUndefined();
  expect(registry.connectedCount).toBe(0);
});

test('who waits is known from when it asked first, until it is let in or asks no more', () => {
  const registry = new Registry();
  const [second, minute] = [1_000_000, 60_000_000];
  const names = (now: number) => registry.waiting('c1', now).map(({ instance }) => instance);
  const holder = member('a');
  registry.admit(holder);
  registry.admit(member('b', true, false, second));
  registry.admit(member('c', true, false, 2 * second));
  registry.admit(member('b', true, false, 3 * second));
  expect(registry.waiting('c1', 4 * second)).toMatchObject([
    { instance: 'b', since: second, askedAt: 3 * second },
    { instance: 'c', since: 2 * second, askedAt: 2 * second },
  ]);
  expect(names(32.5 * second)).toEqual(['b']);
  expect(names(minute)).toEqual([]);
  registry.leave(holder);
  registry.admit(member('c', true, true, 5 * second));
  expect(names(6 * second)).toEqual(['b']);
  // One that comes back after it was gone begins anew.
  registry.admit(member('b', true, false, minute));
  expect(registry.waiting('c1', minute)).toMatchObject([{ instance: 'b', since: minute }]);
});
