/**
 * Crashes at every single call of the file port: what was confirmed is there or declared, nothing
 * comes back that was never appended, no number is used twice, and the queue opens without a hand.
 */
import { describe, expect, test } from 'vitest';
import type { CoreOptions, QueueCore } from '#collector/producer/queue/core.ts';
import { type Choose, ModelledFiles, type PortCall } from './modelled-files.ts';
import { chooser, epochMint, openCore, readAll, withoutIndexes } from './support.ts';
import { Witness } from './witness.ts';

class Crash extends Error {}

/** Lets the n-th call of the port crash, and every later one fail, as nothing runs after it. */
function crashAt(files: ModelledFiles, n: number): void {
  files.before = (_: PortCall, index: number) => {
    if (index >= n) throw new Crash(`at call ${n}`);
  };
}

/** Runs `work` until it ends (true) or the crash comes (false). */
function runs(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    if (!(cause instanceof Crash)) throw error;
    return false;
  }
}

type Story = (core: QueueCore, witness: Witness) => void;

const STORIES: ReadonlyArray<readonly [string, Partial<CoreOptions>, Story]> = [
  [
    'appends over several segments',
    { segmentBytes: 600 },
    (core, witness) => {
      for (const count of [1, 3, 5, 1, 4]) witness.append(core, count, 60);
    },
  ],
  [
    'settles, checkpoints and removes segments',
    { segmentBytes: 600 },
    (core, witness) => {
      for (const count of [4, 4, 4]) {
        witness.append(core, count, 60);
        witness.settle(core, 3);
        core.maintain();
      }
      witness.settle(core, 100);
      core.maintain();
      core.maintain();
      witness.append(core, 2, 60);
    },
  ],
  [
    'evicts',
    { segmentBytes: 600, limitBytes: 24_000 },
    (core, witness) => {
      for (let i = 0; i < 5; i += 1) {
        witness.append(core, 6, 100);
        if (i % 3 === 1) witness.settle(core, 2);
      }
    },
  ],
  [
    'settles and forgets whole epochs',
    { segmentBytes: 600 },
    (core, witness) => {
      witness.append(core, 1, 60);
      witness.settle(core, 100);
      for (let i = 0; i < 3; i += 1) core.maintain();
      witness.append(core, 12, 60);
    },
  ],
  [
    'learns that its store has lost what it had settled',
    { segmentBytes: 600, keepSettledBytes: 20_000, keepSettledMs: 1_000 },
    (core, witness) => {
      witness.append(core, 14, 60);
      witness.settle(core, 100);
      core.maintain();
      witness.append(core, 10, 60);
      witness.settle(core, 6);
      core.maintain();
      witness.lose((seq) => seq % 4 > 1);
      witness.reconcile(core);
      witness.settle(core, 3);
      witness.settleGaps(core);
      core.maintain();
      witness.append(core, 2, 60);
    },
  ],
  [
    'closes with something settled and something pending',
    {},
    (core, witness) => {
      witness.append(core, 5, 60);
      witness.settle(core, 3);
      core.close();
    },
  ],
];

/** A queue that crashed, and who knows what it had promised. */
interface Crashed {
  readonly files: ModelledFiles;
  readonly witness: Witness;
  readonly options: Partial<CoreOptions>;
}

/** Plays the story twice (two epochs); the n-th call of the second crashes. */
function playUntil(n: number, options: Partial<CoreOptions>, story: Story): Crashed | undefined {
  const complete = { ...options, mintEpoch: epochMint() };
  const witness = new Witness();
  const first = new ModelledFiles();
  story(openCore(first, complete), witness);
  const files = first.afterKill();
  crashAt(files, n);
  if (runs(() => story(openCore(files, complete), witness))) return undefined;
  return { files, witness, options: complete };
}

/** Opens what a crash left, checks it, appends, and opens it once more. */
function checkAndGoOn(left: ModelledFiles, { witness: before, options }: Crashed): void {
  const core = openCore(left, options);
  const witness = new Witness(before);
  witness.check(core);
  witness.append(core, 2, 60);
  witness.check(
    openCore(
      left.afterPowerLoss(() => 0),
      options,
    ),
  );
  core.maintain();
  witness.check(openCore(left.afterKill(), options));
}

/** What may survive a power failure: nothing unsynced, all of it, or by chance. */
const LUCK: ReadonlyArray<(n: number) => Choose> = [
  () => () => 0,
  () => (max) => max,
  ...[1, 2, 3, 4].map((seed) => (n: number) => chooser(n * 97 + seed)),
];

describe.each(STORIES)('a queue that %s', (_, options, story) => {
  test('loses nothing when the process is killed at any call', () => {
    let n = 0;
    for (let crashed = playUntil(n, options, story); crashed; n += 1) {
      checkAndGoOn(crashed.files.afterKill(), crashed);
      crashed = playUntil(n, options, story);
    }
    expect(n).toBeGreaterThan(10);
  });

  test.each(LUCK.map((luck, i) => [i, luck] as const))(
    'loses nothing when the power fails at any call, with luck %i',
    (i, luck) => {
      for (let n = 0; ; n += 1) {
        const crashed = playUntil(n, options, story);
        if (crashed === undefined) break;
        try {
          checkAndGoOn(crashed.files.afterPowerLoss(luck(n)), crashed);
        } catch (error) {
          throw new Error(`power failure at call ${n}, luck ${i}`, { cause: error });
        }
      }
    },
  );

  test('loses nothing when any call fails with an error', () => {
    for (let n = 0; ; n += 1) {
      const files = new ModelledFiles();
      let hasFailed = false;
      files.before = (_, index) => {
        hasFailed = index === n;
        if (hasFailed) {
          files.before = () => {};
          throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
        }
      };
      const complete = { ...options, mintEpoch: epochMint() };
      const witness = new Witness();
      try {
        story(openCore(files, complete), witness);
      } catch (error) {
        if (!String(error instanceof Error && error.message).includes('EIO')) throw error;
      }
      if (!hasFailed) break;
      const crashed = { files, witness, options: complete };
      checkAndGoOn(files.afterKill(), crashed);
      checkAndGoOn(
        files.afterPowerLoss(() => 0),
        crashed,
      );
    }
  });

  const cutOff = 'loses nothing when the opening after a power failure is cut off at any call, too';
  test(cutOff, { timeout: 60_000 }, () => {
    for (let n = 0; ; n += 17) {
      const crashed = playUntil(n, options, story);
      if (crashed === undefined) break;
      const files = crashed.files.afterPowerLoss(chooser(n));
      for (let m = 0, ended = false; !ended; m += 1) {
        const again = files.afterKill();
        crashAt(again, m);
        ended = runs(() => openCore(again, crashed.options).maintain());
        checkAndGoOn(again.afterPowerLoss(chooser(n * 31 + m)), crashed);
      }
    }
  });
});

test('a repair that is cut off at any call ends in the same queue', () => {
  const written = new ModelledFiles();
  const mint = epochMint();
  const core = openCore(written, { segmentBytes: 600, mintEpoch: mint });
  const witness = new Witness();
  witness.append(core, 20, 60);
  core.close();
  const original = withoutIndexes(written);
  const [, damaged = ''] = original.names('segment-');
  original.edit(damaged, (content) => content.fill(0x51, 150, 170));
  const whole = openCore(original.afterKill(), { mintEpoch: mint });
  const expected = { frames: readAll(whole), gaps: whole.pendingGaps() };
  expect(expected.gaps).toHaveLength(1);
  for (let n = 0; ; n += 1) {
    const files = original.afterKill();
    crashAt(files, n);
    const ended = runs(() => openCore(files, { mintEpoch: mint }));
    for (const after of [files.afterKill(), files.afterPowerLoss(chooser(n))]) {
      // A power loss in the middle of the move can take the file's name from both directories.
      const isKept = after.names(damaged).length + after.names('', 'set-aside').length > 0;
      const again = openCore(after, { mintEpoch: mint });
      expect({ frames: readAll(again), gaps: again.pendingGaps() }).toEqual(expected);
      expect(after.names('', 'set-aside').length).toBeGreaterThanOrEqual(isKept ? 1 : 0);
    }
    if (ended) break;
  }
});
