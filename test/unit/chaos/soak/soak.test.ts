/** The schedule of a long run, and sampling what programs take. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { waitUntil } from '#chaos/observe/wait.ts';
import { usageSampleSchema } from '#chaos/run/records.ts';
import { soakScenario } from '#chaos/soak/soak.ts';
import { sampleUsage } from '#chaos/soak/usage.ts';
import { leastSeconds, timelineOf } from '#chaos/swarm/timeline.ts';
import type { Service } from '#lab/ground/ground.ts';
import { KINDS } from '../swarm/kinds.ts';

const ABLE = { kind: 'process', cannot: () => null } as const;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

test('an hour has every kind of fault, restarts in its first third alone, and calm between', () => {
  const { method, tags } = soakScenario({ seed: 11, minutes: 60, kinds: KINDS, ground: ABLE });
  const { windows, seconds } = timelineOf(method);
  expect(tags).toEqual(['soak']);
  // However soon what it waits for is there: the rest is a calm, so the sum is exact.
  expect(leastSeconds(method)).toBeCloseTo(3_600, 0);
  expect(new Set(windows.map(({ action }) => action.fault)).size).toBe(KINDS.length);
  const kills = windows.filter(({ action }) => action.fault.startsWith('kill'));
  expect(Math.max(...kills.map(({ from }) => from))).toBeLessThan(1_200 * 1.4 + 60);
  const trouble = windows.reduce((sum, { from, to }) => sum + to - from, 0);
  expect(trouble / seconds).toBeGreaterThan(0.25);
  expect(trouble / seconds).toBeLessThan(0.75);
});

test('a short one restarts nothing, so that there is something to judge', () => {
  const { method } = soakScenario({ seed: 11, minutes: 18, kinds: KINDS, ground: ABLE });
  const { windows } = timelineOf(method);
  expect(windows.filter(({ action }) => action.fault.startsWith('kill'))).toEqual([]);
  expect(windows.length).toBeGreaterThan(10);
});

interface Faked {
  readonly usage?: () => Promise<unknown>;
  readonly generations?: readonly string[];
  readonly running?: boolean;
}

function service(
  name: string,
  { usage, generations = ['1'], running = true }: Faked = {},
): Service {
  let asked = 0;
  const usual = { resident_bytes: 1, open_files: 2, disk_bytes: 3 };
  return {
    name,
    state: async () => {
      asked += 1;
      return { running, frozen: false, generation: generations[asked % generations.length] };
    },
    usage: usage ?? (async () => usual),
  } as unknown as Service;
}

test('every program that answers is sampled until it is told to stop', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-usage-'));
  folders.push(folder);
  const path = join(folder, 'usage.ndjson');
  const over = new AbortController();
  const services = [
    service('server'),
    service('away', { usage: () => Promise.reject(new Error('no such process')) }),
    service('down', { running: false }),
    service('restarting', { generations: ['1', '2'] }),
  ];
  const sampling = sampleUsage({ ground: { services }, path, signal: over.signal, everyMs: 1 });
  const lines = () => readFileSync(path, 'utf8').trim().split('\n');
  await waitUntil('there are three samples', () => lines().length >= 3);
  over.abort();
  await sampling;
  const samples = lines().map((line) => usageSampleSchema.parse(JSON.parse(line)));
  expect(new Set(samples.map((sample) => sample.service))).toEqual(new Set(['server']));
  expect(samples[0]).toMatchObject({ generation: '1', resident_bytes: 1, open_files: 2 });
});
