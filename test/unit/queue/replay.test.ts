/**
 * Frames of dead letters come back into the queue: in their place, under their own identity, durable
 * before their letters go, and whatever is in the way or crashes in between.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { QueueCore } from '#collector/producer/queue/core.ts';
import { letterName } from '#collector/producer/queue/letter-file.ts';
import type { Frame } from '#protocol/identity.ts';
import { seeded } from '../seed.ts';
import { ModelledFiles, noSpace } from './modelled-files.ts';
import { appendFrames, chooser, epochMint, openCore, readAll, STORE } from './support.ts';

class Crash extends Error {}

const OPTIONS = { segmentBytes: 1_200, keepSettledBytes: 0 };

function putLetter(files: ModelledFiles, frame: Frame): void {
  const { epoch, seq, capturedAt, crc, payload } = frame;
  files.makeDirectory('replay');
  const line = JSON.stringify({
    collector: 'c1',
    epoch,
    seq,
    captured_at_us: capturedAt,
    crc32: crc.toString(16).padStart(8, '0'),
    payload_base64: Buffer.from(payload).toString('base64'),
    code: 'too_large',
    text: '',
    rejected_at: '2026-11-26T00:00:00.000000Z',
  });
  files.put(`replay/${letterName(epoch, seq)}`, Buffer.from(`${line}\n`));
}

const named = (frames: readonly Frame[]): string[] =>
  frames.map(({ epoch, seq, crc }) => `${epoch}/${seq} ${crc}`);

function letters(files: ModelledFiles): string[] {
  return files.names('', 'replay');
}

/** Refuses these frames: keeps them as they were read, and settles them. */
function refuse(core: QueueCore, seqs: readonly number[], frames: readonly Frame[]): Frame[] {
  return seqs.flatMap((at) => {
    const frame = frames[at - 1];
    if (frame === undefined) return [];
    const { epoch, seq } = frame;
    core.settle(STORE, epoch, [{ from: seq, to: seq, state: 'rejected', code: 2 }]);
    return [frame];
  });
}

/** All that waits is stored. */
function storeAll(core: QueueCore): void {
  for (const { epoch, seq } of readAll(core)) {
    core.settle(STORE, epoch, [{ from: seq, to: seq, state: 'stored', code: 0 }]);
  }
}

/** Everything but the refused frames is stored, and gone from the disk but for its end. */
function storeOthers(core: QueueCore, refused: readonly Frame[]): void {
  for (const { epoch, highest } of core.held()) {
    const here = refused.filter((frame) => frame.epoch === epoch).map(({ seq }) => seq);
    for (let seq = 1; seq <= highest; seq += 1) {
      if (here.includes(seq)) continue;
      core.settle(STORE, epoch, [{ from: seq, to: seq, state: 'stored', code: 0 }]);
    }
  }
  core.maintain();
  core.maintain();
}

function replayAll(core: QueueCore): number {
  let count = 0;
  for (let round = 0; core.replayAsked && round < 50; round += 1) {
    count += core.replay();
    core.maintain();
  }
  return count;
}

interface Story {
  readonly files: ModelledFiles;
  readonly core: QueueCore;
  readonly refused: Frame[];
  readonly mintEpoch: () => string;
}

/** Two epochs of 60 frames; some are refused, all others stored and removed. */
function refusedAndGone(seqs: readonly number[], keepSettledBytes = 0): Story {
  const files = new ModelledFiles();
  const mintEpoch = epochMint();
  const options = { ...OPTIONS, keepSettledBytes, keepSettledMs: 1e9, mintEpoch };
  const first = openCore(files, options);
  appendFrames(first, 1, 60);
  first.close();
  const core = openCore(files, options);
  appendFrames(core, 61, 120);
  const refused = refuse(core, seqs, readAll(core));
  storeOthers(core, refused);
  return { files, core, refused, mintEpoch };
}

test.each([0, 100_000])(
  'refused frames wait again, whether their segments are gone or kept (%i bytes)',
  (kept) => {
    const { files, core, refused } = refusedAndGone([3, 4, 30, 59, 61, 62, 100], kept);
    expect(core.stats.frames).toBe(0);
    for (const frame of refused) putLetter(files, frame);
    expect(core.replayAsked).toBe(true);
    expect(replayAll(core)).toBe(refused.length);
    expect(letters(files)).toEqual([]);
    expect(core.stats.frames).toBe(refused.length);
    expect(core.stats.oldestCapturedAt).toBe(3_000);
    expect(named(readAll(core))).toEqual(named(refused));
    // New frames go on behind them, and an opening finds all of it as it is.
    const [next] = appendFrames(core, 121, 121);
    expect(next?.seq).toBe(61);
    const again = openCore(
      files.afterPowerLoss(() => 0),
      OPTIONS,
    );
    expect(again.recovery).toMatchObject({ damage: [], gaps: [], frames: refused.length + 1 });
    expect(named(readAll(again)).slice(0, -1)).toEqual(named(refused));
  },
);

test('what the server says while they wait: refused before is nothing new, stored is the end', () => {
  const { files, core, refused } = refusedAndGone([10]);
  for (const frame of refused) putLetter(files, frame);
  replayAll(core);
  const [{ epoch, seq } = { epoch: '', seq: 0 }] = refused;
  const range = { from: seq, to: seq };
  core.reconcile(STORE, epoch, range, [{ ...range, state: 'rejected', code: 2 }]);
  expect(core.stats.frames).toBe(1);
  core.settle(STORE, epoch, [{ ...range, state: 'stored', code: 0 }]);
  expect(core.stats.frames).toBe(0);
  expect(core.settled(epoch).every(({ state }) => state === 'stored')).toBe(true);
});

test('one that comes later finds its place before one that still waits, or waits for it', () => {
  const { files, core, refused } = refusedAndGone([3, 5, 30]);
  const [three, five, thirty] = refused as [Frame, Frame, Frame];
  for (const frame of [thirty, five, three]) {
    putLetter(files, frame);
    replayAll(core);
  }
  storeAll(core);
  core.maintain();
  replayAll(core);
  storeAll(core);
  expect(letters(files)).toEqual([]);
});

test('an epoch that was forgotten is known again, and no frame of it is taken for lost', () => {
  const files = new ModelledFiles();
  const mintEpoch = epochMint();
  let refused: Frame[] = [];
  for (let opening = 1; opening <= 70; opening += 1) {
    const core = openCore(files, { ...OPTIONS, mintEpoch });
    appendFrames(core, opening * 10, opening * 10 + 4);
    if (opening === 2) refused = refuse(core, [3], readAll(core));
    storeOthers(core, refused);
    core.close();
  }
  for (const frame of refused) putLetter(files, frame);
  const core = openCore(files, { ...OPTIONS, mintEpoch });
  expect(core.settled(refused[0]?.epoch ?? '')).toEqual([]);
  expect(replayAll(core)).toBe(1);
  expect(named(readAll(core))).toEqual(named(refused));
  expect(core.held()[0]).toMatchObject({ epoch: refused[0]?.epoch, highest: 3 });
  core.close();
  const again = openCore(files, { ...OPTIONS, mintEpoch });
  expect(again.recovery).toMatchObject({ damage: [], gaps: [], frames: 1 });
});

describe('nothing is lost', () => {
  test('by a crash at any call, and no frame comes twice', () => {
    const calls = (() => {
      const { files, core, refused } = refusedAndGone([3, 30, 61, 62]);
      for (const frame of refused) putLetter(files, frame);
      const before = files.calls.length;
      replayAll(core);
      return files.calls.length - before;
    })();
    expect(calls).toBeGreaterThan(30);
    for (let at = 0; at < calls; at += 1) {
      const { files, core, refused, mintEpoch } = refusedAndGone([3, 30, 61, 62]);
      for (const frame of refused) putLetter(files, frame);
      const start = files.calls.length;
      files.before = (_, index) => {
        if (index - start >= at) throw new Crash();
      };
      try {
        replayAll(core);
      } catch (error) {
        if (!(error instanceof Crash) && core.failure === undefined) throw error;
      }
      const left = at % 2 === 0 ? files.afterKill() : files.afterPowerLoss(chooser(at));
      const again = openCore(left, { ...OPTIONS, keepSettledMs: 1e9, mintEpoch });
      replayAll(again);
      expect(again.recovery.gaps).toEqual([]);
      expect(letters(left)).toEqual([]);
      expect(named(readAll(again))).toEqual(named(refused));
    }
  });

  test('on a full disk, nor to a full queue: letters stay until there is room', () => {
    const { files, core, refused } = refusedAndGone([3, 30]);
    for (const frame of refused) putLetter(files, frame);
    files.before = ({ operation, path }) => {
      files.roomBytes = 0;
      if (operation === 'rename') throw noSpace(path);
    };
    expect(core.replay()).toBe(0);
    expect(letters(files)).toHaveLength(2);
    expect(core.failure).toBeUndefined();
    files.before = () => {};
    files.roomBytes = Number.POSITIVE_INFINITY;
    expect(replayAll(core)).toBe(2);
  });

  test('by letters that can not be used: they stay, and the others pass', () => {
    const { files, core, refused } = refusedAndGone([3, 30]);
    for (const frame of refused) putLetter(files, frame);
    const [name = ''] = letters(files);
    files.edit(`replay/${name}`, (content) => content.fill(0x20, 60, 70));
    expect(replayAll(core)).toBe(1);
    expect(core.replayAsked).toBe(false);
    expect(letters(files)).toEqual([name]);
    expect(core.failure).toBeUndefined();
  });
});

test('whatever is refused and replayed in whatever order comes back once, and then is stored', () => {
  const rounds = fc.array(fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 12 }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(rounds, fc.constantFrom(0, 3_000, 100_000), fc.boolean(), (batches, kept, link) => {
      const all = [...new Set(batches.flat())].sort((a, b) => a - b);
      const { files, core, refused } = refusedAndGone(all, kept);
      const byNumber = new Map(all.map((number, i) => [number, refused[i]]));
      const replayed = new Set<string>();
      let restored = 0;
      for (const batch of batches) {
        for (const number of new Set(batch)) {
          const frame = byNumber.get(number);
          if (frame === undefined || replayed.has(`${number}`)) continue;
          replayed.add(`${number}`);
          putLetter(files, frame);
        }
        restored += replayAll(core);
        if (link) storeAll(core);
        core.maintain();
      }
      // Those that found no place wait until what is in their way is settled.
      for (let round = 0; round < 60 && letters(files).length > 0; round += 1) {
        storeAll(core);
        core.maintain();
        restored += replayAll(core);
      }
      expect(letters(files)).toEqual([]);
      expect(restored).toBe(replayed.size);
      const again = openCore(files.afterKill(), OPTIONS);
      expect(again.recovery).toMatchObject({ damage: [], gaps: [] });
    }),
    seeded({ numRuns: 60 }),
  );
});
