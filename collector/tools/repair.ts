/**
 * Repairs a queue that nobody has open: the very opening that a collector's start does, after the
 * indexes of damaged segments are out of its way, so that damage behind them is met now. Before
 * that, what it will do, from a look at every byte.
 *
 * Nothing that reads is thrown away: good records are kept under their own identity, files that
 * don't read as a whole are moved to `set-aside/` as they are, and what is settled stays.
 */
import { randomUUIDv7 } from 'node:crypto';
import { QueueCore } from '#collector/producer/queue/core.ts';
import { Disk } from '#collector/producer/queue/disk.ts';
import { removeIndex } from '#collector/producer/queue/index-file.ts';
import { SEGMENT_BYTES_DEFAULT } from '#collector/producer/queue/segment.ts';
import { damagedBytes } from '#collector/producer/queue/segment-facts.ts';
import type { RecoveryReport } from '#collector/producer/queue/types.ts';
import { assertNever } from '#protocol/errors.ts';
import { countSeqs } from '#protocol/settlement.ts';
import type { QueueView } from './view.ts';

export interface RepairStep {
  readonly file: string;
  /** One sentence for people. */
  readonly what: string;
}

/** What a repair would do, in its order; [] for a queue that is whole. */
export function planRepair({ checkpoint, found, missing }: QueueView): RepairStep[] {
  const steps: RepairStep[] = [];
  if (checkpoint.state === 'unreadable') {
    const what = `move to set-aside/: it can't be used (${checkpoint.why})`;
    steps.push({ file: 'checkpoint', what });
  }
  for (const one of found) {
    const what = stepFor(one);
    if (what !== undefined) steps.push({ file: one.name, what });
  }
  if (missing.length > 0) {
    const frames = countSeqs(missing);
    const what =
      `declare damaged what nothing here holds any more, by number (${frames} in all); what the ` +
      'server has of them stays stored';
    steps.push({ file: '', what });
  }
  return steps;
}

function stepFor({ facts, verdict }: QueueView['found'][number]): string | undefined {
  switch (verdict.kind) {
    case 'set-aside':
      return `move to set-aside/ as it is: it ${verdict.what}`;
    case 'repair':
      return (
        `write what reads of it (frames: ${facts.frames}) to a new file in its place, and move the ` +
        `damaged one, of which ${damagedBytes(facts)} bytes don't read, to set-aside/`
      );
    // Every start does these, and nothing that was confirmed is in what goes.
    case 'keep':
    case 'cut':
    case 'remove':
      return undefined;
    default:
      return assertNever(verdict);
  }
}

/**
 * Does it. To be called with the queue's lock held.
 * @throws The errors of an opening.
 */
export function repairQueue(view: QueueView): RecoveryReport {
  const files = new Disk(view.path);
  for (const { facts, verdict } of view.found) {
    if (verdict.kind !== 'keep') removeIndex(files, facts.number);
  }
  const core = new QueueCore(files, {
    path: view.path,
    limitBytes: Number.POSITIVE_INFINITY,
    whenFull: 'refuse',
    segmentBytes: SEGMENT_BYTES_DEFAULT,
    keepsSettled: true,
    mintEpoch: randomUUIDv7,
  });
  core.close();
  return core.recovery;
}
