/**
 * A view of a queue says what the queue itself says once it is opened, whatever happened to it
 * before: crashes, damage, a full disk's leftovers. And it changes nothing.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { QueueCore } from '#collector/producer/queue/core.ts';
import type { FileReader } from '#collector/producer/queue/file-port.ts';
import { readFrames, type Selection } from '#collector/tools/frames.ts';
import { planRepair } from '#collector/tools/repair.ts';
import { statusOf } from '#collector/tools/status.ts';
import { verify } from '#collector/tools/verify.ts';
import { pendingCount, viewFiles } from '#collector/tools/view.ts';
import type { Frame } from '#protocol/identity.ts';
import { type Harm, harm } from '../../queue/damage.ts';
import { ModelledFiles } from '../../queue/modelled-files.ts';
import {
  appendFrames,
  chooser,
  epochMint,
  openCore,
  readAll,
  STORE,
  withoutIndexes,
} from '../../queue/support.ts';
import { seeded } from '../../seed.ts';

const MUTATING = new Set<string>([
  'makeDirectory',
  'create',
  'overwrite',
  'write',
  'sync',
  'truncate',
  'rename',
  'unlink',
  'syncDirectory',
]);

type Step =
  | { readonly do: 'append'; readonly count: number }
  | {
      readonly do: 'settle';
      readonly from: number;
      readonly count: number;
      readonly state: 'stored' | 'rejected';
    }
  | { readonly do: 'lose'; readonly count: number }
  | { readonly do: 'maintain' | 'reopen' | 'kill' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      from: fc.integer({ min: 1, max: 60 }),
      count: fc.integer({ min: 1, max: 60 }),
      state: fc.constantFrom('stored' as const, 'rejected' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('lose' as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('maintain' as const, 'reopen' as const, 'kill' as const),
    }),
  },
);

const damage: fc.Arbitrary<Harm> = fc.record({
  how: fc.constantFrom(
    'flip',
    'truncate',
    'zero stretch',
    'zero file',
    'delete',
    'foreign',
    'copy',
  ),
  file: fc.nat(20),
  at: fc.nat(4_000),
  bytes: fc.integer({ min: 1, max: 300 }),
});

const OPTIONS = {
  segmentBytes: 1_500,
  limitBytes: 200_000,
  keepSettledBytes: 5_000,
  keepSettledMs: 1e9,
};

const THIRD_EPOCH = '01938c5e-8a00-7000-8000-000000000fff';

/** Plays the steps; answers the files as a process left them that ended in the middle. */
function play(steps: readonly Step[]): ModelledFiles {
  let files = new ModelledFiles();
  const mintEpoch = epochMint();
  const open = (): QueueCore => openCore(files, { ...OPTIONS, mintEpoch });
  let core = open();
  let made = 0;
  for (const one of steps) {
    if (one.do === 'append') {
      appendFrames(core, made + 1, made + one.count);
      made += one.count;
    } else if (one.do === 'settle') {
      const { epoch } = core.stats.highest ?? { epoch: '' };
      const { from, count, state } = one;
      const code = state === 'rejected' ? 2 : 0;
      core.settle(STORE, epoch, [{ from, to: from + count - 1, state, code }]);
    } else if (one.do === 'lose') {
      core.declareLost(one.count);
    } else if (one.do === 'maintain') {
      core.maintain();
    } else {
      if (one.do === 'reopen') core.close();
      files = files.afterKill();
      core = open();
    }
  }
  return files.afterKill();
}

function all(files: FileReader, selection: Selection = {}): Frame[] {
  return [...readFrames(viewFiles('queue', files), selection, { framesMax: 7 })].flat();
}

const names = (frames: readonly Frame[]): string[] =>
  frames.map(({ epoch, seq, capturedAt, crc, payload }) =>
    [epoch, seq, capturedAt, crc, Buffer.from(payload).toString('base64')].join(' '),
  );

/** What a view says, and what the queue says that is opened on a copy of the same files. */
function expectAgreement(files: ModelledFiles): void {
  files.before = ({ operation, path }) => {
    if (MUTATING.has(operation)) throw new Error(`the view called ${operation} ${path}`);
  };
  const view = viewFiles('queue', files);
  const found = statusOf(view);
  const frames = all(files);
  files.before = () => {};
  const core = openCore(files.afterKill(), { ...OPTIONS, keepsSettled: true });
  const { stats, recovery } = core;
  const read = readAll(core);
  expect(names(frames)).toEqual(names(read));
  // Damage behind an index is met by reading; until then the view and the opening count it alike.
  expect(pendingCount(view)).toBe(recovery.frames);
  expect(found.tailBytes).toBe(recovery.tornBytes);
  if (recovery.damage.length === 0) expect(found.bytes).toBe(stats.bytes);
  expect(found.oldestCapturedAt).toBe(read[0]?.capturedAt);
  const verified = verify(viewFiles('queue', withoutIndexes(files), { whole: true }));
  const whole = verified.damages.length === 0 && verified.lost.length === 0;
  expect(planRepair(viewFiles('queue', files, { whole: true })).length === 0).toBe(whole);
  const met = recovery.damage.length + core.takeNewDamage().length;
  if (met > 0) expect(whole).toBe(false);
  if (read.length < recovery.frames) expect(met).toBeGreaterThan(0);
  // Behind an index damage of settled frames is met by nobody: they are not read. Without one, all is.
  const readWhole = openCore(withoutIndexes(files.afterKill()), { ...OPTIONS, keepsSettled: true });
  expect(readWhole.recovery.damage.length === 0).toBe(whole);
}

test('agrees with the queue itself, whatever was done to it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => expectAgreement(play(steps))),
    seeded({ numRuns: 60 }),
  );
});

test('agrees with the queue itself after damage of any kind', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 4, maxLength: 20 }),
      damage,
      fc.boolean(),
      (steps, hurt, indexed) => {
        const files = indexed ? play(steps) : withoutIndexes(play(steps));
        harm(files, hurt);
        expectAgreement(files);
      },
    ),
    seeded({ numRuns: 60 }),
  );
});

test('agrees with the queue itself after a power loss', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), fc.integer(), (steps, seed) => {
      expectAgreement(play(steps).afterPowerLoss(chooser(seed)));
    }),
    seeded({ numRuns: 60 }),
  );
});

describe('of a queue of two epochs', () => {
  function twoEpochs(): { files: ModelledFiles; epochs: string[] } {
    const files = new ModelledFiles();
    const mintEpoch = epochMint();
    const epochs = [1, 2].map((round) => {
      const core = openCore(files, { ...OPTIONS, mintEpoch });
      const [first] = appendFrames(core, round * 100, round * 100 + 49);
      core.close();
      return first?.epoch ?? '';
    });
    return { files, epochs };
  }

  test('frames are chosen by epoch, seqs and time', () => {
    const { files, epochs } = twoEpochs();
    const seqs = (selection: Selection) =>
      all(files, selection).map(({ epoch, seq }) => [epochs.indexOf(epoch), seq]);
    expect(seqs({ epoch: epochs[1] })).toHaveLength(50);
    expect(seqs({ epoch: epochs[0], seqs: { from: 10, to: 12 } })).toEqual([
      [0, 10],
      [0, 11],
      [0, 12],
    ]);
    expect(seqs({ seqs: { from: 50, to: 60 } })).toEqual([
      [0, 50],
      [1, 50],
    ]);
    expect(seqs({ since: 149_000, until: 201_000 })).toEqual([
      [0, 50],
      [1, 1],
    ]);
    expect(seqs({ epoch: 'ffff' })).toEqual([]);
  });

  test('a segment that goes while it is read was settled, and is no error', () => {
    const { files } = twoEpochs();
    const view = viewFiles('queue', files);
    const batches = readFrames(view, {}, { framesMax: 1 });
    batches.next();
    for (const name of files.names('segment-').slice(1, -1)) files.unlink(name);
    expect([...batches].flat().length).toBeGreaterThan(10);
  });

  test('a look is taken again when a segment went during it, and agrees with what is left', () => {
    const { files, epochs } = twoEpochs();
    const core = openCore(files, { ...OPTIONS, keepSettledBytes: 0 });
    let looks = 0;
    files.before = ({ operation, path }) => {
      if (operation !== 'size' || path !== files.names('segment-').at(-1) || looks > 0) return;
      looks += 1;
      files.before = () => {};
      core.settle(STORE, epochs[0] ?? '', [{ from: 1, to: 50, state: 'stored', code: 0 }]);
      core.maintain();
    };
    const view = viewFiles('queue', files);
    expect(looks).toBe(1);
    expect(view.missing).toEqual([]);
    expect(pendingCount(view)).toBe(50);
  });

  test('frames that were settled and removed are not shown together with later ones', () => {
    const { files, epochs } = twoEpochs();
    const core = openCore(files, { ...OPTIONS, mintEpoch: () => THIRD_EPOCH, keepSettledBytes: 0 });
    appendFrames(core, 300, 300);
    const last = files.names('segment-').at(-1);
    let settled = false;
    // All others were read by then, and nothing has been read of this one.
    files.before = ({ operation, path }) => {
      if (operation !== 'open' || path !== last || settled) return;
      settled = true;
      files.before = () => {};
      for (const epoch of epochs) {
        core.settle(STORE, epoch, [{ from: 1, to: 50, state: 'stored', code: 0 }]);
      }
      core.maintain();
      appendFrames(core, 301, 303);
    };
    const view = viewFiles('queue', files);
    expect(settled).toBe(true);
    expect(view.found.filter(({ name }) => files.size(name) === undefined)).toEqual([]);
    expect(pendingCount(view)).toBe(4);
  });
});
