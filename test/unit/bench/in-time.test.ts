/** That a wait has an end: with what was awaited, with its failure, or with a failure of its own. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { inTime, LateError } from '#bench/in-time.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = new Promise<never>(() => {});

test('what comes in time is handed on, and nothing waits behind it', async () => {
  expect(await inTime(Promise.resolve(7), 1_000, 'it did not come')).toBe(7);
  const failure = new Error('it broke');
  await expect(inTime(Promise.reject(failure), 1_000, 'it did not come')).rejects.toBe(failure);
  expect(vi.getTimerCount()).toBe(0);
});

test('what does not is told in words, with the time it had', async () => {
  const waited = inTime(never, 90_000, 'cut: nothing came of it');
  const told = expect(waited).rejects.toThrow(new LateError('cut: nothing came of it within 90 s'));
  await vi.advanceTimersByTimeAsync(90_000);
  await told;
});
