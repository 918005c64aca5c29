/**
 * What ten million frames that nothing has settled cost a program in memory, when it holds none of
 * their receipts; and what a receipt costs that it holds or waits for.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Figure } from './figures.ts';
import type { Bench } from './pipeline.ts';
import type { Result } from './result.ts';
import type { ReceiptsFacts } from './source/receipts.ts';

const FRAMES = 10_000_000;
const PROGRAM = fileURLToPath(new URL('source/receipts.ts', import.meta.url));
const AIM_BYTES_PER_FRAME = 0.1;

export async function measureReceipts(bench: Bench): Promise<Result> {
  bench.progress(`receipts: ${FRAMES} frames without a server`);
  const path = join(bench.directory, 'receipts');
  const args = [PROGRAM, path, String(FRAMES)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { signal: bench.signal });
  await rm(path, { recursive: true });
  return { figures: figuresOf(JSON.parse(stdout) as ReceiptsFacts), proofs: [] };
}

function figuresOf(facts: ReceiptsFacts): Figure[] {
  const { frames, heapAtTenth, heapAtAll, residentAtTenth, residentAtAll } = facts;
  const more = frames - frames / 10;
  const heap = `heap of the program's main thread after a full collection; no receipt is held`;
  return [
    {
      name: `heap, ${frames / 10} unsettled`,
      unit: 'MB',
      samples: [heapAtTenth / 1e6],
      method: heap,
    },
    { name: `heap, ${frames} unsettled`, unit: 'MB', samples: [heapAtAll / 1e6], method: heap },
    {
      name: 'heap, for each further frame',
      unit: 'bytes',
      samples: [(heapAtAll - heapAtTenth) / more],
      aims: [{ of: 'max', at: 'most', value: AIM_BYTES_PER_FRAME }],
      method: 'the difference of the two over the frames between them',
    },
    {
      name: 'resident, for each further frame',
      unit: 'bytes',
      samples: [(residentAtAll - residentAtTenth) / more],
      method:
        "the same of the whole process, the queue's thread and what it read and wrote included",
    },
    {
      name: 'heap, for each receipt held',
      unit: 'bytes',
      samples: [facts.perReceiptHeld],
      method: 'of 65,536 that nobody has asked for what became of them',
    },
    {
      name: 'heap, for each receipt waited for',
      unit: 'bytes',
      samples: [facts.perReceiptAsked],
      method: 'beside that; until it is settled',
    },
  ];
}
