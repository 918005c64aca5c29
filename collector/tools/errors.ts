/** What keeps a tool from looking at a queue, in words for whoever called it. */

/** The directory is no queue that can be looked at, or not in this way. Nothing was changed. */
export class QueueToolError extends Error {
  override readonly name = 'QueueToolError';
}

/** The operating system's code (`ENOENT`) of an error or of what caused it; undefined without one. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const isSystems =
    'code' in error && typeof error.code === 'string' && /^E[A-Z]+$/.test(error.code);
  return isSystems ? String(error.code) : systemCodeOf(error.cause);
}
