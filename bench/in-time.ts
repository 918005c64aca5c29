/** Waiting for something that may never come, no longer than it can be worth. */
import { BenchError } from './errors.ts';

/** It did not come in time; it may later. */
export class LateError extends BenchError {
  override readonly name = 'LateError';
}

/**
 * What was awaited, or its failure; whatever becomes of it later is nobody's any more.
 * @throws LateError when nothing came within `limitMs` milliseconds: `what` did not happen, in words, or
 *   what has by then.
 */
export async function inTime<T>(
  awaited: Promise<T>,
  limitMs: number,
  what: string | (() => string),
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const words = typeof what === 'string' ? what : what();
    late.reject(new LateError(`${words} within ${limitMs / 1_000} s`));
  }, limitMs);
  try {
    return await Promise.race([awaited, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
