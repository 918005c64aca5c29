/** What a run comes to: whether it held, what the table and the page say of aims, defects and failures. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { benchSchema, documentOf, type MeasuredRun, readDocument } from '#bench/document.ts';
import { documentPath, makeFolder, writeRun } from '#bench/folder.ts';
import { benchPage } from '#bench/page/page.ts';
import { compare } from '#bench/regression.ts';
import { lines } from '#bench/report.ts';
import type { Proof } from '#bench/result.ts';
import { figureOf, partOf, runOf } from './made-up.ts';

const proof: Proof = {
  of: 'drain-1',
  sent: 3,
  stored: 3,
  lost: 0,
  duplicated: 0,
  altered: 0,
  unexpected: 0,
  resent: 0,
  resentMax: 0,
};

const drain = figureOf('drain', [50, 70, 90], {
  unit: 'frames/s',
  aims: [
    { of: 'median', at: 'least', value: 60 },
    { of: 'max', at: 'most', value: 80 },
  ],
});

function run(changed: Partial<Proof>): MeasuredRun {
  return runOf([partOf([drain], { proofs: [proof, { ...proof, ...changed }] })]);
}

test('a run holds although an aim is missed, and the table says by how much', () => {
  const document = documentOf(run({}));
  expect(document.held).toBe(true);
  const text = lines(document).join('\n');
  expect(text).toContain('median ≥ 60: met; missed: max 90 is over 80');
  expect(text).toContain('✓ drain-1: 3 sent, 3 stored; 0 lost');
});

test.each<Partial<Proof>>([
  { lost: 1 },
  { duplicated: 1 },
  { altered: 1 },
  { unexpected: 1 },
  { resent: 1 },
])('a run with %o in one of its proofs does not hold', (changed) => {
  const document = documentOf(run(changed));
  expect(document.held).toBe(false);
  expect(lines(document).join('\n')).toContain('✗ drain-1');
  expect(benchPage(document)).toContain('Did not hold');
});

test('frames that were sent again count only where nothing allows it', () => {
  expect(documentOf(run({ resent: 1, resentMax: undefined })).held).toBe(true);
});

test('a part that failed is told with its reason, and the run does not hold', () => {
  const failed = partOf([], { error: 'the server did not start' });
  const leftOut = [{ suite: 'fleet', part: 'fleet', reason: 'no time was left' }];
  const document = documentOf({ ...runOf([partOf([drain]), failed]), leftOut });
  expect(document.held).toBe(false);
  const text = lines(document).join('\n');
  expect(text).toContain('✗ suite part: the server did not start');
  expect(text).toContain('fleet fleet was not measured: no time was left');
  expect(benchPage(document)).toContain('No figures: the server did not start');
});

test('a run in which no part could be measured says so, and is no reason to fail', () => {
  const leftOut = [{ suite: 'footprint', part: 'images', reason: 'no engine here has an image' }];
  const document = documentOf({ ...runOf([]), leftOut });
  expect(lines(document).join('\n')).toContain('footprint images was not measured: no engine here');
  expect(benchPage(document)).toContain('Not all was measured');
  expect(compare(document, documentOf(runOf([partOf([drain])]))).worse).toEqual([]);
});

test('the page draws growth where one figure has several sizes, and dots elsewhere', () => {
  const sized = [10_000, 1_000_000].map((value) =>
    figureOf('memory', [170, 172], { unit: 'MB', at: { value, unit: 'frames queued' } }),
  );
  const alone = figureOf('opening', [2], { unit: 's', at: { value: 5, unit: 'frames queued' } });
  const page = benchPage(documentOf(runOf([partOf([drain, alone, ...sized])])));
  expect(page.match(/<figure class="growth">/g)).toHaveLength(1);
  expect(page.match(/<figure class="rows">/g)).toHaveLength(2);
  expect(page).toContain('memory: 171 at 10,000, 171 at 1,000,000');
  // Three samples, one, and twice two.
  expect(page.match(/<circle class="dot"/g)).toHaveLength(8);
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
});

test('the page opens on the aims that were missed; those that were met are folded where they are many', () => {
  const aims = [{ of: 'median', at: 'least', value: 10 }] as const;
  const figures = (count: number) =>
    Array.from({ length: count }, (_, i) => figureOf(`figure ${i}`, [i === 0 ? 1 : 20], { aims }));
  const verdicts = (count: number) => {
    const page = benchPage(documentOf(runOf([partOf(figures(count))])));
    const [glance = ''] = page.slice(page.indexOf('Aims at a glance')).split('Part by part');
    return glance.match(/figure \d+|<details>/g)?.slice(0, 3);
  };
  expect(verdicts(40)).toEqual(['figure 0', 'figure 1', 'figure 2']);
  expect(verdicts(41)).toEqual(['figure 0', '<details>', 'figure 1']);
});

test('the page needs nothing from elsewhere, and lets nothing be markup', () => {
  const name = '<script>alert(1)</script>';
  const page = benchPage(documentOf(runOf([partOf([figureOf(name, [1])])])));
  expect(page).not.toContain(name);
  expect(page).toContain('&lt;script&gt;');
  expect(page).not.toMatch(/https?:\/\//);
});

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a run lies in a folder by its time, and the newest is found without a name', () => {
  const document = documentOf(run({}));
  const older = makeFolder(folder, new Date('2026-11-25T10:00:00Z'));
  const newer = makeFolder(folder, new Date('2026-11-26T10:00:00Z'));
  writeRun(older, { ...document, seed: 1 });
  writeRun(newer, { ...document, seed: 2 });
  expect(newer).toBe(join(folder, 'bench-2026-11-26T10-00-00Z'));
  expect(readDocument(documentPath(folder, undefined)).seed).toBe(2);
  expect(readDocument(documentPath(folder, older)).seed).toBe(1);
  expect(readFileSync(join(newer, 'bench.html'), 'utf8')).toBe(benchPage({ ...document, seed: 2 }));
});

test('what was written is read again as it was; anything else is refused by name', () => {
  const document = documentOf(run({}));
  const path = join(folder, 'bench.json');
  writeFileSync(path, JSON.stringify(document));
  expect(readDocument(path)).toEqual(document);
  expect(benchSchema.parse(document)).toEqual(document);
  writeFileSync(path, JSON.stringify({ ...document, version: 2 }));
  expect(() => readDocument(path)).toThrow(/no run of benchmarks that this version knows/);
  writeFileSync(path, '{');
  expect(() => readDocument(path)).toThrow(/can't be read as a run of benchmarks/);
  expect(() => readDocument(join(folder, 'nothing.json'))).toThrow(/ENOENT/);
});
