/** The comparison that judges the integration tests can itself fail: one forged run per defect. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { compare } from '#test/integration/support/compare.ts';
import type { Captured, Exported } from '#test/integration/support/stack.ts';

const EPOCH = '01938c5e-8a00-7000-8000-000000000001';

function run(count: number): { captured: Captured[]; exported: Exported[] } {
  const seqs = Array.from({ length: count }, (_, i) => i + 1);
  const payload = (seq: number) => Buffer.from(`sample ${seq}`);
  const time = (seq: number) => `2026-01-01T00:00:0${seq}.000001Z`;
  return {
    captured: seqs.map((seq) => ({
      epoch: EPOCH,
      seq,
      captured_at: time(seq),
      payload_sha256: createHash('sha256').update(payload(seq)).digest('hex'),
    })),
    exported: seqs.map((seq) => ({
      collector: 'c',
      epoch: EPOCH,
      seq,
      captured_at: time(seq),
      received_at: time(seq),
      crc32: '00000000',
      payload_base64: payload(seq).toString('base64'),
    })),
  };
}

function change(rows: Exported[], at: number, changes: Partial<Exported>): Exported[] {
  return rows.map((row, i) => (i === at ? { ...row, ...changes } : row));
}

test('a whole run has no defect', () => {
  const { captured, exported } = run(5);
  expect(compare(captured, exported)).toEqual({
    captured: 5,
    stored: 5,
    lost: [],
    doubled: [],
    unexpected: [],
    altered: [],
  });
});

test('every defect is found and named', () => {
  const { captured, exported } = run(5);
  const third = `${EPOCH}/3`;
  expect(compare(captured, exported.toSpliced(2, 1)).lost).toEqual([third]);
  expect(compare(captured, exported.concat(exported.slice(2, 3))).doubled).toEqual([third]);
  expect(compare(captured.toSpliced(2, 1), exported).unexpected).toEqual([third]);
  const later = change(exported, 2, { captured_at: '2026-01-01T00:00:03.000002Z' });
  expect(compare(captured, later).altered).toEqual([third]);
  const flipped = change(exported, 2, {
    payload_base64: Buffer.from('sample 4').toString('base64'),
  });
  expect(compare(captured, flipped).altered).toEqual([third]);
  const elsewhere = change(exported, 2, { epoch: EPOCH.replace('1', '2') });
  expect(compare(captured, elsewhere)).toMatchObject({ lost: [third], unexpected: { length: 1 } });
});
