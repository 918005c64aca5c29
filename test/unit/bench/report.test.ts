/** What a run comes to: whether it held, and what the table says of aims and defects. */
import { expect, test } from 'vitest';
import { lines, nothingLost, type Run } from '#bench/report.ts';
import type { Proof } from '#bench/result.ts';

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

function run(changed: Partial<Proof>): Run {
  const figure = {
    name: 'drain',
    unit: 'frames/s' as const,
    samples: [50, 70, 90],
    aims: [
      { of: 'median', at: 'least', value: 60 },
      { of: 'max', at: 'most', value: 80 },
    ] as const,
    method: 'by hand',
  };
  return {
    command: './holdfast bench smoke --seed 1',
    startedAt: '2026-11-21T10:00:00.000Z',
    seed: 1,
    machine: {
      cores: 2,
      cpu: 'a CPU',
      memory_gb: 4,
      node: 'v26.10.0',
      kernel: 'linux 6',
      load: 0.1,
      fdatasync_ms: 0.2,
    },
    results: [{ figures: [figure], proofs: [proof, { ...proof, ...changed }] }],
  };
}

test('a run holds although an aim is missed, and the table says by how much', () => {
  expect(nothingLost(run({}))).toBe(true);
  const text = lines(run({})).join('\n');
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
  expect(nothingLost(run(changed))).toBe(false);
  expect(lines(run(changed)).join('\n')).toContain('✗ drain-1');
});

test('frames that were sent again count only where nothing allows it', () => {
  expect(nothingLost(run({ resent: 1, resentMax: undefined }))).toBe(true);
});
