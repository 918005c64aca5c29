/** Waiting for a condition, never for a time; and the small HTTP that goes with it. */
import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 60_000;
const POLL_MS = 50;
const ANSWER_MS_MAX = 5_000;

export interface WaitOptions {
  readonly deadlineMs?: number | undefined;
  /** What was seen last, for the error. */
  readonly describe?: () => unknown;
  /** Ends the wait at once, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Resolves when the condition holds. Rejects after the deadline, saying what was waited for, what
 * `describe` saw last, and the last error of the condition, if it threw.
 */
export async function waitUntil(
  what: string,
  condition: () => Promise<boolean> | boolean,
  options: WaitOptions = {},
): Promise<void> {
  const { deadlineMs = DEADLINE_MS, describe, signal } = options;
  const deadline = performance.now() + deadlineMs;
  let lastError: unknown;
  do {
    signal?.throwIfAborted();
    try {
      if (await condition()) return;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    await delay(POLL_MS);
  } while (performance.now() < deadline);
  const seen = describe === undefined ? '' : `; last seen: ${JSON.stringify(await describe())}`;
  throw new Error(`waited ${deadlineMs} ms in vain until ${what}${seen}`, { cause: lastError });
}

/** GET as JSON; rejects for any status but 200. */
export async function fetchJson<T>(url: string): Promise<T> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  return (await response.json()) as T;
}
