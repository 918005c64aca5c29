/** Waiting for a condition, never for a time; and the small HTTP that goes with it. */
const DEADLINE_MS = 60_000;
const POLL_MS = 50;

/**
 * Resolves when the condition holds. Rejects after the deadline, saying what was waited for, what
 * `describe` saw last, and the last error of the condition, if it threw.
 */
export async function waitUntil(
  what: string,
  condition: () => Promise<boolean> | boolean,
  options: { deadlineMs?: number; describe?: () => unknown } = {},
): Promise<void> {
  const { deadlineMs = DEADLINE_MS, describe } = options;
  const deadline = performance.now() + deadlineMs;
  let lastError: unknown;
  do {
    try {
      if (await condition()) return;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  } while (performance.now() < deadline);
  const seen = describe === undefined ? '' : `; last seen: ${JSON.stringify(await describe())}`;
  throw new Error(`waited ${deadlineMs} ms in vain until ${what}${seen}`, { cause: lastError });
}

/** GET as JSON; rejects for any status but 200. */
export async function fetchJson<T>(url: string): Promise<T> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  return (await response.json()) as T;
}
