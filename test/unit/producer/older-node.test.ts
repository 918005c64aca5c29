/**
 * What stands in for newer Node.js in the packed library: the same form as the real thing.
 */
import { expect, test } from 'vitest';
import { madeUuidV7, wallTime } from '#collector/producer/older-node.ts';
import { isUuid } from '#protocol/identity.ts';

test('a made UUID has the layout of version 7, and its time leads', () => {
  const before = Date.now();
  const uuids = Array.from({ length: 1_000 }, madeUuidV7);
  const after = Date.now();
  expect(new Set(uuids).size).toBe(uuids.length);
  for (const uuid of uuids) {
    expect(isUuid(uuid)).toBe(true);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const ms = Number.parseInt(uuid.replace('-', '').slice(0, 12), 16);
    expect(ms).toBeGreaterThanOrEqual(before);
    expect(ms).toBeLessThanOrEqual(after);
  }
});

test('the wall clock is in whole microseconds', () => {
  const before = Date.now() * 1_000;
  const now = wallTime();
  expect(Number.isSafeInteger(now)).toBe(true);
  expect(now).toBeGreaterThanOrEqual(before);
});
