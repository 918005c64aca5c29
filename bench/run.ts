/**
 * A run: parts one after the other, the machine probed before each. A part that fails is told, one whose
 * subject isn't on this machine is left out, and the others go on; what is known so far is written after each, so that a run that is ended before
 * its time leaves what it had.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from '#lab/errors.ts';
import type { MeasuredPart, MeasuredRun } from './document.ts';
import { BenchError, NotHereError } from './errors.ts';
import { titleOf } from './figures.ts';
import { loadNow, machine } from './machine.ts';
import type { Bench } from './pipeline.ts';
import { probe } from './probes.ts';
import type { Result } from './result.ts';

export interface PartToMeasure {
  readonly suite: string;
  readonly part: string;
  /** About how long it takes; 0 where there is no end to keep to. */
  readonly seconds: number;
  readonly measure: (bench: Bench) => Promise<Result>;
}

type LeftOut = MeasuredRun['leftOut'][number];

export interface RunOptions {
  readonly entries: readonly PartToMeasure[];
  /** Its directory is where each part gets one of its own. */
  readonly bench: Bench;
  readonly command: string;
  readonly product: MeasuredRun['product'];
  /** From its beginning on; a part that would go past it is left out. Infinite where it is none. */
  readonly limitS: number;
  /** Told of the run as it is known after each part. */
  readonly onPart: (run: MeasuredRun) => void;
}

/** Rejects with the reason of the signal when it is aborted; `onPart` has what came before. */
export async function measure(options: RunOptions): Promise<MeasuredRun> {
  const { entries, bench, command, product, limitS, onPart } = options;
  const startedAt = new Date();
  const beganMs = performance.now();
  const elapsedS = () => (performance.now() - beganMs) / 1_000;
  const about = { size: bench.size, command, startedAt, seed: bench.seed, product };
  const parts: MeasuredPart[] = [];
  const leftOut: LeftOut[] = [];
  const host = machine();
  const soFar = (endedAt: Date | null): MeasuredRun => {
    return { ...about, endedAt, elapsedS: elapsedS(), machine: host, parts, leftOut };
  };
  for (const entry of entries) {
    const { suite, part, seconds } = entry;
    if (elapsedS() + seconds > limitS) {
      const reason = `it takes about ${seconds} s, and ${Math.round(limitS / 60)} min are all there is`;
      leftOut.push({ suite, part, reason });
      continue;
    }
    const measured = await measurePart(bench, entry);
    if ('reason' in measured) leftOut.push(measured);
    else parts.push(measured);
    onPart(soFar(null));
  }
  return soFar(new Date());
}

async function measurePart(
  bench: Bench,
  { suite, part: name, measure: measureIt }: PartToMeasure,
): Promise<MeasuredPart | LeftOut> {
  const directory = mkdtempSync(join(bench.directory, `${name}-`));
  const load = loadNow();
  const probes = probe(directory);
  const beganMs = performance.now();
  let result: Result = { figures: [], proofs: [] };
  let error: string | null = null;
  try {
    result = checked(await measureIt({ ...bench, directory }));
  } catch (failure) {
    bench.signal.throwIfAborted();
    if (!(failure instanceof BenchError || failure instanceof LabError)) throw failure;
    if (failure instanceof NotHereError) return { suite, part: name, reason: failure.message };
    error = failure.message;
    bench.progress(`✗ ${suite} ${name}: ${error}`);
  } finally {
    // Of a part that failed, programs may be left.
    await bench.programs.end();
    rmSync(directory, { recursive: true, force: true });
  }
  const elapsedS = (performance.now() - beganMs) / 1_000;
  return { suite, name, elapsedS, load, probes, error, ...result };
}

/** @throws BenchError for a figure that is no number: something was divided by what wasn't measured. */
function checked(result: Result): Result {
  for (const figure of result.figures) {
    if (figure.samples.length > 0 && figure.samples.every(Number.isFinite)) continue;
    throw new BenchError(`${titleOf(figure)} has no value: ${figure.samples.join(', ')}`);
  }
  return result;
}
