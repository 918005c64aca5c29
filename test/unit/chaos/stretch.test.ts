/** How much longer everything took, from the kernel's account of this thread. */
import { expect, test } from 'vitest';
import { Stretch } from '#chaos/observe/stretch.ts';

test('the time that was waited for a processor counts, since it began', () => {
  const accounts = ['1000 9000 5\n', '3000 13000 9\n'];
  const stretch = new Stretch(() => accounts.shift() ?? '');
  expect(stretch.factor()).toBe(3);
});

test('a kernel that does not tell stretches nothing', () => {
  expect(new Stretch(() => '0 0 0').factor()).toBe(1);
});

test("this machine's kernel gives no less than 1", () => {
  expect(new Stretch().factor()).toBeGreaterThanOrEqual(1);
});
