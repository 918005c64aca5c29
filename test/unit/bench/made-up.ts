/** Runs of benchmarks that nobody measured. */
import type { MeasuredPart, MeasuredRun } from '#bench/document.ts';
import { type Figure, summaryOf } from '#bench/figures.ts';

export function figureOf(
  name: string,
  samples: readonly number[],
  about: Partial<Figure> = {},
): Figure {
  return { name, unit: 'ratio', samples, method: 'by hand', ...about };
}

export function partOf(
  figures: readonly Figure[],
  about: Partial<MeasuredPart> = {},
): MeasuredPart {
  const probes = {
    processorPerS: summaryOf({ samples: [1_000, 1_000, 1_000] }),
    fdatasyncMs: summaryOf({ samples: [0.2, 0.2, 0.2] }),
  };
  const rest = { suite: 'suite', name: 'part', elapsedS: 10, load: 0.1, error: null, proofs: [] };
  return { ...rest, probes, figures, ...about };
}

export function runOf(
  parts: readonly MeasuredPart[],
  about: Partial<MeasuredRun> = {},
): MeasuredRun {
  return {
    size: 'short',
    command: './holdfast bench suite --seed 1',
    startedAt: new Date('2026-11-21T10:00:00Z'),
    endedAt: new Date('2026-11-21T10:01:00Z'),
    elapsedS: 60,
    seed: 1,
    product: { version: '0.1.0', commit: null },
    machine: {
      cores: 2,
      cpu: 'a CPU',
      memory_gb: 4,
      node: 'v26.10.0',
      kernel: 'linux 6',
      load: 0.1,
    },
    parts,
    leftOut: [],
    ...about,
  };
}
