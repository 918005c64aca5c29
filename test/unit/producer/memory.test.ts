/**
 * Frames that nothing has settled cost a program no memory once it has let go of their receipts: the
 * heap after a full collection doesn't grow with them. The bench has the same with ten million.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { ReceiptsFacts } from '#bench/source/receipts.ts';

const PROGRAM = fileURLToPath(new URL('../../../bench/source/receipts.ts', import.meta.url));
const FRAMES = 400_000;
/** Whatever is kept for each frame, even a bare reference, takes more. */
const BYTES_PER_FRAME_MAX = 4;

test('the heap does not grow with frames whose receipts nobody holds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-memory-'));
  try {
    const args = [PROGRAM, join(folder, 'queue'), String(FRAMES)];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    expect(stderr).toBe('');
    const { heapAtTenth, heapAtAll, frames } = JSON.parse(stdout) as ReceiptsFacts;
    expect((heapAtAll - heapAtTenth) / (frames * 0.9)).toBeLessThan(BYTES_PER_FRAME_MAX);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);
