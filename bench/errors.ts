/**
 * What keeps a benchmark from giving a figure. A figure that misses its aim is none, and neither is
 * a loss: both are results (`figures.ts`).
 */
export class BenchError extends Error {
  override readonly name: string = 'BenchError';
  readonly code: string = 'bench_failed';
}

/** What is to be measured isn't on this machine: the part is left out, which is no failure. */
export class NotHereError extends BenchError {
  override readonly name = 'NotHereError';
  override readonly code = 'not_here';
}

/** A run's document that isn't there, or isn't one. */
export class DocumentError extends BenchError {
  override readonly name = 'DocumentError';
  override readonly code = 'no_bench_document';
}
