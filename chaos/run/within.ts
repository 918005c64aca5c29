/** Work that is left alone when it has been waited for long enough, and errors in words. */

/** As the work settles, or rejects with the signal's reason; the work itself goes on. */
export function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abandon = () => reject(signal.reason);
    if (signal.aborted) abandon();
    signal.addEventListener('abort', abandon, { once: true });
    const done = () => signal.removeEventListener('abort', abandon);
    work.then(resolve, reject).finally(done);
  });
}

/** The same with a time limit instead. @param what completes "… took longer than". */
export async function withinMs<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  const limit = new AbortController();
  const late = () => limit.abort(new Error(`${what} took longer than ${limitMs / 1_000} s`));
  const timer = setTimeout(late, limitMs);
  try {
    return await within(limit.signal, work);
  } finally {
    clearTimeout(timer);
  }
}

/** With the causes, which say what was really wrong. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}
