/**
 * What keeps a benchmark from giving a figure. A figure that misses its aim is none, and neither is
 * a loss: both are results (`figures.ts`).
 */
export class BenchError extends Error {
  override readonly name: string = 'BenchError';
  readonly code: string = 'bench_failed';
}

/** A run's document that isn't there, or isn't one. */
export class DocumentError extends BenchError {
  override readonly name = 'DocumentError';
  override readonly code = 'no_bench_document';
}
