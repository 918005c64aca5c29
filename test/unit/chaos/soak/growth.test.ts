/** The judge of long runs: it has to catch leaks, and to let alone what only goes up and down. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { Result } from '#chaos/oracle/judge.ts';
import { type UsageSample, usageSampleSchema } from '#chaos/run/records.ts';
import { type Growth, growthOf } from '#chaos/soak/growth.ts';
import { judgeGrowth, withGrowth } from '#chaos/soak/judge.ts';
import { floorsOf, slopeOf } from '#chaos/soak/slope.ts';
import { seeded } from '../../seed.ts';

const MIB = 1_048_576;
const MINUTE_MS = 60_000;
const EVERY_MS = 5_000;

interface Course {
  readonly service?: string;
  readonly minutes?: number;
  /** Of memory, in bytes, by the process's age in milliseconds. */
  readonly memory?: (ageMs: number) => number;
  readonly files?: (ageMs: number) => number;
  /** By the run's time. */
  readonly disk?: (atMs: number) => number;
  /** When it is started anew, in minutes. */
  readonly restarts?: readonly number[];
}

function samplesOf(course: Course): UsageSample[] {
  const { service = 'source', minutes = 60, restarts = [] } = course;
  const { memory = () => 100 * MIB, files = () => 30, disk = () => 0 } = course;
  return Array.from({ length: (minutes * MINUTE_MS) / EVERY_MS }, (_, index) => {
    const atMs = index * EVERY_MS;
    const begun = restarts.filter((one) => one * MINUTE_MS <= atMs);
    const ageMs = atMs - (begun.at(-1) ?? 0) * MINUTE_MS;
    return {
      at: { wall_us: atMs * 1_000, monotonic_ms: atMs },
      service,
      generation: String(begun.length),
      resident_bytes: memory(ageMs),
      open_files: Math.round(files(ageMs)),
      disk_bytes: disk(atMs),
    };
  });
}

function judged(course: Course, rowsPerSecond = 200): Growth {
  const samples = samplesOf(course);
  const stored = samples.map(({ at: { monotonic_ms } }) => ({
    monotonic_ms,
    rows: (monotonic_ms / 1_000) * rowsPerSecond,
  }));
  return growthOf({ samples, stored, payloadBytes: 600 });
}

function verdictOf(growth: Growth, what: string) {
  return growth.lines.find((line) => line.what === what)?.verdict;
}

const perHour = (value: number) => (ms: number) => (value * ms) / (60 * MINUTE_MS);
/** From 0 to under 1, again and again. */
const tooth = (ms: number, periodMs: number) => (ms % periodMs) / periodMs;

describe('memory', () => {
  test('a slow leak is caught through a heap that is swept again and again', () => {
    const leaks = fc.property(
      fc.integer({ min: 120, max: 1_000 }),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 20, max: 300 }),
      (leak, amplitude, periodSeconds) => {
        const memory = (ms: number) =>
          100 * MIB + perHour(leak * MIB)(ms) + amplitude * MIB * tooth(ms, periodSeconds * 1_000);
        const growth = judged({ memory });
        expect(verdictOf(growth, 'memory')).toBe('grows');
        expect(growth.verdict).toBe('grows');
        const rate = growth.lines[0]?.rate?.value ?? 0;
        expect(Math.abs(rate / MIB - leak)).toBeLessThan(10 + 0.25 * leak);
      },
    );
    fc.assert(leaks, seeded({ numRuns: 30 }));
  });

  test('a sawtooth without growth passes, and so does noise', () => {
    const sawteeth = fc.property(
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 10, max: 300 }),
      fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 720, maxLength: 720 }),
      (amplitude, periodSeconds, noise) => {
        const memory = (ms: number) =>
          100 * MIB +
          amplitude * MIB * tooth(ms, periodSeconds * 1_000) +
          (noise[ms / EVERY_MS] ?? 0) * MIB;
        expect(verdictOf(judged({ memory }), 'memory')).toBe('steady');
      },
    );
    fc.assert(sawteeth, seeded({ numRuns: 30 }));
  });

  test('a young process may grow, and one peak is no growth', () => {
    const young = (ms: number) => MIB * (100 + 100 * Math.min(1, ms / (4 * MINUTE_MS)));
    expect(verdictOf(judged({ memory: young }), 'memory')).toBe('steady');
    const peak = (ms: number) => MIB * (ms > 50 * MINUTE_MS && ms < 54 * MINUTE_MS ? 900 : 100);
    expect(verdictOf(judged({ memory: peak }), 'memory')).toBe('steady');
  });

  test('each process is compared with itself: one that starts lower or higher is no change', () => {
    const restarts = [20, 40];
    const memory = (ms: number) => 100 * MIB + perHour(150 * MIB)(ms);
    expect(verdictOf(judged({ memory, restarts, minutes: 90 }), 'memory')).toBe('grows');
    const levels = [100, 300, 500];
    const samples = samplesOf({ restarts, minutes: 60 }).map((sample) => ({
      ...sample,
      resident_bytes: (levels[Number(sample.generation)] ?? 0) * MIB,
    }));
    const growth = growthOf({ samples, stored: [], payloadBytes: 600 });
    expect(verdictOf(growth, 'memory')).toBe('steady');
  });

  test('without a process that ran for long enough it is not judged', () => {
    const restarts = [10, 20, 30, 40, 50];
    const growth = judged({ restarts });
    expect(verdictOf(growth, 'memory')).toBe('not_judged');
    expect(growth.verdict).toBe('not_judged');
    expect(growth.lines[0]?.text).toContain('no process of it ran for 15 minutes');
    expect(growthOf({ samples: [], stored: [], payloadBytes: 0 }).verdict).toBe('not_judged');
  });
});

test('file handles that are never closed are caught, connections that come and go are not', () => {
  expect(verdictOf(judged({ files: (ms) => 30 + perHour(30)(ms) }), 'files')).toBe('grows');
  const busy = (ms: number) => 30 + 50 * tooth(ms, 4 * MINUTE_MS);
  expect(verdictOf(judged({ files: busy }), 'files')).toBe('steady');
});

describe('disk', () => {
  test('a queue that fills in outages and comes back is steady, one that keeps some is not', () => {
    const outages = (ms: number) => 70 * MIB + 400 * MIB * tooth(ms, 4 * MINUTE_MS);
    expect(verdictOf(judged({ disk: outages }), 'disk')).toBe('steady');
    const keeps = (ms: number) => outages(ms) + perHour(80 * MIB)(ms);
    expect(verdictOf(judged({ disk: keeps }), 'disk')).toBe('grows');
  });

  test('settled frames may fill up to what is kept of them', () => {
    const filling = (ms: number) => Math.min(75 * MIB, perHour(300 * MIB)(ms));
    expect(verdictOf(judged({ disk: filling }), 'disk')).toBe('steady');
  });

  test('a store may grow with its rows, and no faster', () => {
    const rows = (ms: number) => (ms / 1_000) * 200;
    const store = (bytes: number) => ({
      service: 'server',
      disk: (ms: number) => bytes * rows(ms),
    });
    expect(verdictOf(judged(store(900)), 'disk')).toBe('steady');
    expect(verdictOf(judged(store(3_000)), 'disk')).toBe('grows');
    expect(judged(store(900)).lines[2]?.rate).toMatchObject({ unit: 'bytes/row', bound: 1_712 });
    expect(verdictOf(judged(store(900), 1), 'disk')).toBe('not_judged');
  });
});

test('what a fault launches for a while is told, and leaves the verdict to those that stay', () => {
  const leak = { service: 'mangler', memory: (ms: number) => 50 * MIB + perHour(500 * MIB)(ms) };
  const samples = [...samplesOf(leak), ...samplesOf({})];
  expect(growthOf({ samples, stored: [], payloadBytes: 600 }).verdict).toBe('steady');
});

test("Toxiproxy's growth is told, and not held against the pipeline", () => {
  const leak = { service: 'toxiproxy', memory: (ms: number) => 50 * MIB + perHour(500 * MIB)(ms) };
  const samples = [...samplesOf(leak), ...samplesOf({})];
  const growth = growthOf({ samples, stored: [], payloadBytes: 600 });
  expect(growth.lines.find(({ verdict }) => verdict === 'grows')).toMatchObject({ ours: false });
  expect(growth.verdict).toBe('steady');
});

test('the slope of a line is its slope, whatever a quarter of its points do', () => {
  const lines = fc.property(
    fc.double({ min: -100, max: 100, noNaN: true }),
    fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { maxLength: 25 }),
    (slope, outliers) => {
      const points = Array.from({ length: 100 }, (_, x) => ({ x, y: slope * x }));
      outliers.forEach((y, index) => {
        points[(index * 37) % 100] = { x: (index * 37) % 100, y };
      });
      const robust = slopeOf([points]) ?? Number.NaN;
      // Of all pairs, more than half are of two points on the line.
      expect(robust).toBeCloseTo(slope, 6);
    },
  );
  fc.assert(lines, seeded());
  expect(slopeOf([])).toBeUndefined();
  expect(slopeOf([[{ x: 1, y: 1 }]])).toBeUndefined();
});

test('floors are the lowest points of stretches, and never too many', () => {
  const points = [9, 3, 7, 5, 8, 2].map((y, x) => ({ x, y }));
  expect(floorsOf(points, 2).map(({ y }) => y)).toEqual([3, 5, 2]);
  const many = Array.from({ length: 10_000 }, (_, x) => ({ x, y: 0 }));
  expect(floorsOf(many, 1).length).toBeLessThanOrEqual(301);
  expect(floorsOf([], 1)).toEqual([]);
});

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folderOf(courses: readonly Course[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-soak-'));
  folders.push(folder);
  const samples = courses.flatMap(samplesOf).map((sample) => usageSampleSchema.parse(sample));
  const lines = samples.map((sample) => `${JSON.stringify(sample)}\n`).join('');
  writeFileSync(join(folder, 'usage.ndjson'), `${lines}{"cut`);
  const audits = Array.from({ length: 61 }, (_, minute) => ({
    at: { wall_us: 0, monotonic_ms: minute * MINUTE_MS },
    document: { collectors: [{ totals: { stored: minute * 12_000 } }] },
  }));
  writeFileSync(join(folder, 'observations.json'), JSON.stringify({ audits }));
  mkdirSync(join(folder, 'ledger'));
  const attempts = [500, 700].map((bytes) => JSON.stringify({ type: 'attempt', n: 1, bytes }));
  writeFileSync(
    join(folder, 'ledger', 'source.jsonl'),
    `{"type":"start"}\n${attempts.join('\n')}\n`,
  );
  return folder;
}

const HELD = { verdict: 'pass', reasons: [] } as unknown as Result;

test('a folder of samples is judged into growth.json, and into the verdict', async () => {
  const store = { service: 'server', disk: (ms: number) => (ms / 1_000) * 200 * 900 };
  const steady = folderOf([{}, store]);
  const growth = await judgeGrowth(steady);
  expect(growth?.verdict).toBe('steady');
  expect(growth?.lines.find(({ rate }) => rate?.unit === 'bytes/row')?.rate?.bound).toBe(1_712);
  expect(JSON.parse(readFileSync(join(steady, 'growth.json'), 'utf8'))).toEqual(growth);
  expect(withGrowth(HELD, growth)).toBe(HELD);

  const leaking = await judgeGrowth(folderOf([{ files: (ms) => 30 + perHour(90)(ms) }]));
  expect(withGrowth(HELD, leaking)).toMatchObject({
    verdict: 'fail',
    reasons: [
      {
        code: 'growth',
        verdict: 'fail',
        text: expect.stringMatching(/^it grows: source, file handles: \+/),
      },
    ],
  });

  const brief = await judgeGrowth(folderOf([{ minutes: 8 }]));
  expect(withGrowth(HELD, brief)).toMatchObject({ verdict: 'inconclusive' });
  expect(withGrowth(HELD, undefined)).toBe(HELD);
  expect(await judgeGrowth(tmpdir())).toBeUndefined();
});
