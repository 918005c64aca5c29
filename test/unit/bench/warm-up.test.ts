/** A run goes on where warming up fails, and ends where it is interrupted meanwhile. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BenchError } from '#bench/errors.ts';
import type { Bench } from '#bench/pipeline.ts';
import { Programs } from '#bench/programs.ts';
import { warmUp } from '#bench/warm-up.ts';
import { Docker } from '#lab/docker.ts';
import { Programs as LabPrograms } from '#lab/process.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Programs of which none starts. */
class NoPrograms extends Programs {
  readonly #failure: () => Error;

  constructor(signal: AbortSignal, failure: () => Error) {
    super(signal, {});
    this.#failure = failure;
  }

  override server(): Promise<never> {
    return Promise.reject(this.#failure());
  }
}

function warmUpWhere(failure: () => Error, signal = new AbortController().signal) {
  const told: string[] = [];
  const bench: Bench = {
    programs: new NoPrograms(signal, failure),
    toxiproxy: '',
    docker: new Docker(new LabPrograms(signal)),
    debianPackages: () => Promise.reject(new BenchError('none here')),
    directory,
    seed: 1,
    size: 'short',
    signal,
    progress: (text) => told.push(text),
  };
  return { told, result: warmUp(bench) };
}

test('a warm-up that fails is told and leaves nothing behind', async () => {
  const { told, result } = warmUpWhere(() => new BenchError('a collector had no ack within 60 s'));
  await result;
  expect(told.at(-1)).toMatch(/^✗ warm-up: a collector had no ack within 60 s;/);
  expect(readdirSync(directory)).toEqual([]);
});

test('a mistake of our own ends the run', async () => {
  const { result } = warmUpWhere(() => new TypeError('undefined is not a function'));
  await expect(result).rejects.toThrow(TypeError);
});

test('interrupted, it ends', async () => {
  const abort = new AbortController();
  const { result } = warmUpWhere(() => {
    abort.abort(new Error('interrupted'));
    return new BenchError('a process of the benchmark ended');
  }, abort.signal);
  await expect(result).rejects.toThrow('interrupted');
});
