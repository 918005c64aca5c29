/** How a run goes on when a part fails, ends when its time is over, and tells what it has so far. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { documentOf, type MeasuredRun } from '#bench/document.ts';
import { BenchError, NotHereError } from '#bench/errors.ts';
import type { Bench } from '#bench/pipeline.ts';
import { Programs } from '#bench/programs.ts';
import { measure, type PartToMeasure } from '#bench/run.ts';
import { Docker } from '#lab/docker.ts';
import { Programs as LabPrograms } from '#lab/process.ts';
import { figureOf } from './made-up.ts';

let directory = '';
let abort = new AbortController();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  abort = new AbortController();
});
afterEach(() => rmSync(directory, { recursive: true }));

function part(name: string, measureIt: PartToMeasure['measure'], seconds = 0): PartToMeasure {
  return { suite: 'suite', part: name, seconds, measure: measureIt };
}

const good = async () => ({ figures: [figureOf('a', [1, 2])], proofs: [] });

async function run(entries: readonly PartToMeasure[], limitS = Number.POSITIVE_INFINITY) {
  const { signal } = abort;
  const told: MeasuredRun[] = [];
  const bench: Bench = {
    programs: new Programs(signal, {}),
    toxiproxy: '',
    docker: new Docker(new LabPrograms(signal)),
    debianPackages: () => Promise.reject(new BenchError('none here')),
    directory,
    seed: 1,
    size: 'short',
    signal,
    progress: () => {},
  };
  const product = { version: '0.1.0', commit: null };
  const onPart = (soFar: MeasuredRun) => void told.push(structuredClone(soFar));
  const about = { bench, command: './holdfast bench', product, limitS, onPart };
  return { told, result: measure({ entries, ...about }) };
}

test('each part is told as soon as it is there, with what the machine could do before', async () => {
  const { told, result } = await run([part('first', good), part('second', good)]);
  const whole = documentOf(await result);
  expect(told.map(({ parts }) => parts.length)).toEqual([1, 2]);
  expect(told.map(({ endedAt }) => endedAt)).toEqual([null, null]);
  expect(whole.held).toBe(true);
  expect(whole.ended_at).not.toBeNull();
  for (const { probes } of whole.parts) {
    expect(probes.processor_per_s.median).toBeGreaterThan(0);
    expect(probes.fdatasync_ms.median).toBeGreaterThan(0);
  }
});

test('a part that fails is told, leaves nothing behind, and does not end the run', async () => {
  const fails = async () => {
    throw new BenchError('the server did not start');
  };
  const { result } = await run([part('bad', fails), part('good', good)]);
  const whole = documentOf(await result);
  expect(whole.parts.map(({ error }) => error)).toEqual(['the server did not start', null]);
  expect(whole.held).toBe(false);
  expect(readdirSync(directory)).toEqual([]);
});

test('a figure without a value is a failure, not a number', async () => {
  const nothing = async () => ({ figures: [figureOf('a ratio', [1, Number.NaN])], proofs: [] });
  const { result } = await run([part('bad', nothing)]);
  const whole = documentOf(await result);
  expect(whole.parts[0]).toMatchObject({ error: 'a ratio has no value: 1, NaN', figures: [] });
});

test('a mistake of our own is not taken for a failed measurement', async () => {
  const mistake = async () => {
    throw new TypeError('undefined is not a function');
  };
  const { result } = await run([part('bad', mistake)]);
  await expect(result).rejects.toThrow(TypeError);
});

test('a part that would not fit into the time is left out by name; a shorter one still runs', async () => {
  const { result } = await run([part('long', good, 90), part('brief', good, 10)], 60);
  const whole = documentOf(await result);
  expect(whole.parts.map(({ name }) => name)).toEqual(['brief']);
  expect(whole.left_out).toEqual([
    { suite: 'suite', part: 'long', reason: 'it takes about 90 s, and 1 min are all there is' },
  ]);
});

test('a part whose subject is not on this machine is left out by its reason, and nothing has failed', async () => {
  const absent = async () => {
    throw new NotHereError('no engine here has an image');
  };
  const { told, result } = await run([part('images', absent), part('good', good)]);
  const whole = documentOf(await result);
  expect(whole.held).toBe(true);
  expect(whole.parts.map(({ name }) => name)).toEqual(['good']);
  const leftOut = [{ suite: 'suite', part: 'images', reason: 'no engine here has an image' }];
  expect(whole.left_out).toEqual(leftOut);
  expect(told[0]?.leftOut).toEqual(leftOut);
  expect(readdirSync(directory)).toEqual([]);
});

test('interrupted, it ends at once, and what came before was told', async () => {
  const interrupted = async () => {
    abort.abort(new Error('interrupted'));
    throw new BenchError('a process of the benchmark ended');
  };
  const { told, result } = await run([part('first', good), part('second', interrupted)]);
  await expect(result).rejects.toThrow('interrupted');
  expect(told.at(-1)?.parts.map(({ name }) => name)).toEqual(['first']);
});
