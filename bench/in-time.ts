/** Waiting for something that may never come, no longer than it can be worth. */
import { BenchError } from './errors.ts';

/**
 * What was awaited, or its failure; whatever becomes of it later is nobody's any more.
 * @throws BenchError when nothing came within `limitMs` milliseconds: `what` did not happen, in words.
 */
export async function inTime<T>(awaited: Promise<T>, limitMs: number, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new BenchError(`${what} within ${limitMs / 1_000} s`)),
    limitMs,
  );
  try {
    return await Promise.race([awaited, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
