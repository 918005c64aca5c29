/** Waiting for a condition, with a deadline; for tests and for what runs outside of them. */
const POLL_MS = 5;
/** For what is done at once, on a machine that is busy. */
export const AT_ONCE_MS = 20_000;

/** Resolves when the condition holds; rejects after the deadline and says what was waited for. */
export async function until(
  what: string,
  condition: () => boolean,
  deadlineMs = AT_ONCE_MS,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
