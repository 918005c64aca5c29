/** What the core does with settlements: remembering, removing, forgetting, changing stores. */
import { describe, expect, test } from 'vitest';
import type { CoreOptions, QueueCore } from '#collector/producer/queue/core.ts';
import { ModelledFiles } from './modelled-files.ts';
import {
  appendFrames,
  epochMint,
  OTHER_STORE,
  openCore,
  payloadOf,
  readAll,
  STORE,
  seqsOf,
} from './support.ts';

function epochOf(core: QueueCore): string {
  const newest = core.held().at(-1);
  if (newest === undefined) throw new Error('no epoch yet');
  return newest.epoch;
}

function stored(from: number, to: number) {
  return [{ from, to, state: 'stored' as const, code: 0 }];
}

/** Opens a queue so many times, with two frames each time, all settled. Answers the epochs. */
function settleEpochs(files: ModelledFiles, options: Partial<CoreOptions>, count: number) {
  return Array.from({ length: count }, () => {
    const core = openCore(files, options);
    appendFrames(core, 1, 2);
    const epoch = epochOf(core);
    core.settle(STORE, epoch, stored(1, 2));
    core.maintain();
    core.close();
    return epoch;
  });
}

describe('settlement', () => {
  test('is remembered over a reopening', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    appendFrames(core, 1, 10);
    const epoch = epochOf(core);
    core.settle(STORE, epoch, stored(1, 4));
    core.settle(STORE, epoch, [{ from: 6, to: 6, state: 'rejected', code: 2 }]);
    core.close();
    const again = openCore(files);
    expect(seqsOf(readAll(again))).toEqual([5, 7, 8, 9, 10]);
    expect(again.settled(epoch)).toEqual([
      ...stored(1, 4),
      { from: 6, to: 6, state: 'rejected', code: 2 },
    ]);
    expect(again.held()).toMatchObject([{ epoch, lowest: 1, highest: 10 }]);
    expect(again.stats).toMatchObject({ frames: 5, storeId: STORE });
  });

  test('removes segments of which all is settled, and only after the checkpoint', () => {
    const files = new ModelledFiles();
    const core = openCore(files, { segmentBytes: 500 });
    appendFrames(core, 1, 30);
    const segments = files.names('segment-').length;
    expect(segments).toBeGreaterThan(3);
    core.settle(STORE, epochOf(core), stored(1, 25));
    const before = files.calls.length;
    core.maintain();
    expect(files.names('segment-').length).toBeLessThan(segments);
    const calls = files.calls.slice(before).map(({ operation }) => operation);
    expect(calls.lastIndexOf('rename')).toBeLessThan(calls.indexOf('unlink'));
    core.close();
    expect(seqsOf(readAll(openCore(files)))).toEqual([26, 27, 28, 29, 30]);
  });

  test('an active segment of some size goes, too, once all in it is settled', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    appendFrames(core, 1, 100, 100);
    core.settle(STORE, epochOf(core), stored(1, 100));
    core.maintain();
    expect(files.names('segment-')).toEqual([]);
    appendFrames(core, 101, 102);
    core.close();
    const again = openCore(files);
    expect(seqsOf(readAll(again))).toEqual([101, 102]);
    expect(again.recovery).toMatchObject({ damage: [], gaps: [] });
  });

  test('the 64 newest epochs are remembered once settled, older ones are forgotten', () => {
    const files = new ModelledFiles();
    const options = { mintEpoch: epochMint() };
    const epochs = settleEpochs(files, options, 66);
    const again = openCore(files, options);
    again.maintain();
    expect(again.recovery).toMatchObject({ frames: 0, damage: [], gaps: [] });
    expect(again.held().map(({ epoch }) => epoch)).toEqual(epochs.slice(2));
    expect(again.held().map(({ onlyRemembered }) => onlyRemembered)).toEqual([
      ...Array.from({ length: 63 }, () => true),
      false,
    ]);
    again.close();
    expect(files.content('checkpoint').toString()).not.toContain(`"epoch":"${epochs[0]}","highest`);
    const last = openCore(files, options);
    appendFrames(last, 1, 1);
    expect(last.held().at(-1)?.predecessor).toEqual({ epoch: epochs.at(-1), lastSeq: 2 });
  });

  test('of what was settled the last ranges are told, of the epoch settled last', () => {
    const core = openCore(new ModelledFiles());
    appendFrames(core, 1, 200);
    const epoch = epochOf(core);
    core.settle(STORE, epoch, stored(1, 9));
    expect(core.held()).toMatchObject([{ lowest: 1 }]);
    for (let seq = 10; seq <= 100; seq += 1) {
      const fate = seq % 2 === 0 ? { state: 'rejected' as const, code: 2 } : stored(seq, seq)[0];
      core.settle(STORE, epoch, [{ state: 'stored', code: 0, ...fate, from: seq, to: seq }]);
    }
    expect(core.held()).toMatchObject([{ lowest: 85, highest: 200 }]);
  });

  test('what was settled last is told with what is pending', () => {
    const files = new ModelledFiles();
    const options = { mintEpoch: epochMint() };
    settleEpochs(files, options, 3);
    const first = openCore(files, options);
    appendFrames(first, 1, 2);
    const epoch = epochOf(first);
    first.close();
    const core = openCore(files, options);
    appendFrames(core, 1, 1);
    core.settle(STORE, epoch, stored(1, 2));
    expect(core.held().filter(({ onlyRemembered }) => !onlyRemembered)).toMatchObject([
      { epoch },
      { epoch: epochOf(core), highest: 1 },
    ]);
  });

  test('of more than was given out counts for nothing that comes later', () => {
    const core = openCore(new ModelledFiles());
    appendFrames(core, 1, 5);
    core.settle(STORE, epochOf(core), stored(1, 100));
    appendFrames(core, 6, 7);
    expect(seqsOf(readAll(core))).toEqual([6, 7]);
    expect(core.stats.frames).toBe(2);
  });

  test('of an unknown epoch is left alone', () => {
    const core = openCore(new ModelledFiles());
    appendFrames(core, 1, 2);
    core.settle(STORE, OTHER_STORE, stored(1, 2));
    expect(seqsOf(readAll(core))).toEqual([1, 2]);
    expect(core.settled(OTHER_STORE)).toEqual([]);
  });

  test('forgets no epoch as long as a file speaks of it', () => {
    const files = new ModelledFiles();
    const options = { limitBytes: 65_536, segmentBytes: 8_192, mintEpoch: epochMint() };
    const first = openCore(files, options);
    appendFrames(first, 1, 300, 100);
    const epoch = epochOf(first);
    first.close();
    const second = openCore(files, options);
    appendFrames(second, 1, 100, 100);
    const [gap] = second.pendingGaps();
    expect(gap).toMatchObject({ epoch, from: 1, reason: 'evicted' });
    second.settle(STORE, epoch, [
      { from: 1, to: gap?.to ?? 0, state: 'declared', code: 1 },
      ...stored((gap?.to ?? 0) + 1, 300),
    ]);
    second.close();
    settleEpochs(files, options, 70);
    const again = openCore(files, options);
    expect(again.recovery).toMatchObject({ damage: [], gaps: [], frames: 100 });
    const isTold = again.held().some((held) => held.epoch === epoch);
    expect(isTold).toBe(false);
    expect(again.settled(epoch)).not.toEqual([]);
  });

  test('forgets no epoch before its successor is durable', () => {
    const files = new ModelledFiles();
    const options = { mintEpoch: epochMint() };
    const first = openCore(files, options);
    appendFrames(first, 1, 100, 100);
    first.settle(STORE, epochOf(first), stored(1, 100));
    first.close();
    const second = openCore(files, options);
    second.append(payloadOf(1), 1);
    second.maintain();
    second.settle(STORE, OTHER_STORE, []);
    second.maintain();
    second.commit();
    expect(openCore(files.afterKill(), options).recovery).toMatchObject({ frames: 1, damage: [] });
  });

  test('by another store: what is still here is pending again, what is gone is declared', () => {
    const files = new ModelledFiles();
    const core = openCore(files, { segmentBytes: 500 });
    appendFrames(core, 1, 30);
    const epoch = epochOf(core);
    core.settle(STORE, epoch, stored(1, 25));
    core.maintain();
    const onDisk = 30 - 25;
    core.settle(OTHER_STORE, epoch, []);
    const frames = seqsOf(readAll(core));
    const gaps = core.pendingGaps();
    expect(frames.length).toBeGreaterThanOrEqual(onDisk);
    expect(gaps).toEqual([
      { epoch, from: 1, to: (frames[0] ?? 0) - 1, reason: 'settled_elsewhere' },
    ]);
    expect(core.settled(epoch)).toEqual([]);
    expect(core.takeNewGaps()).toEqual(gaps);
    core.close();
    const again = openCore(files);
    expect(again.pendingGaps()).toEqual(gaps);
    expect(again.stats.storeId).toBe(OTHER_STORE);
  });

  test('by another store: the epoch that was forgotten last is declared, too', () => {
    const files = new ModelledFiles();
    const options = { mintEpoch: epochMint() };
    const epochs = settleEpochs(files, options, 65);
    const core = openCore(files, options);
    core.maintain();
    expect(core.held().map(({ epoch }) => epoch)).toEqual(epochs.slice(1));
    appendFrames(core, 1, 2);
    core.settle(OTHER_STORE, epochOf(core), []);
    const gaps = epochs.map((epoch) => ({ epoch, from: 1, to: 2, reason: 'settled_elsewhere' }));
    expect(core.pendingGaps()).toMatchObject(gaps);
    core.close();
    const again = openCore(files, options);
    expect(again.pendingGaps()).toMatchObject(gaps);
    expect(seqsOf(readAll(again))).toEqual([1, 2]);
  });
});
