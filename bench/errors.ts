/**
 * What keeps a benchmark from giving a figure. A figure that misses its aim is none, and neither is
 * a loss: both are results (`figures.ts`).
 */
export class BenchError extends Error {
  override readonly name = 'BenchError';
  readonly code = 'bench_failed';
}
