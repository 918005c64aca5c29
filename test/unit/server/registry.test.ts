/** The registry: one session for each collector. */
import { expect, test } from 'vitest';
import { type Member, Registry } from '#server/registry.ts';

let taken = 0;

function member(instance: string, live = true, open = true): Member {
  taken += 1;
  const [collector, order] = ['c1', taken];
  return { collector, instance, order, connectedAt: 0, heardAt: 0, open, isLive: () => live };
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
