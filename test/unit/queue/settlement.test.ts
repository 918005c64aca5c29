/** What the core does with settlements: remembering, removing, forgetting, changing stores. */
import { describe, expect, test } from 'vitest';
import type { QueueCore } from '#collector/producer/queue/core.ts';
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
    expect(again.held()).toMatchObject([{ epoch, lowest: 5, highest: 10 }]);
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

  test('epochs are forgotten once settled, but the newest is always told', () => {
    const files = new ModelledFiles();
    const mintEpoch = epochMint();
    for (let opening = 1; opening <= 3; opening += 1) {
      const core = openCore(files, { mintEpoch });
      appendFrames(core, 1, opening);
      core.close();
    }
    const core = openCore(files, { mintEpoch });
    const held = core.held();
    for (const { epoch, highest } of held) core.settle(STORE, epoch, stored(1, highest));
    core.maintain();
    core.maintain();
    expect(core.held()).toEqual([{ ...held[2], lowest: 4 }]);
    core.close();
    expect(files.content('checkpoint').toString()).not.toContain(held[0]?.epoch);
    const again = openCore(files, { mintEpoch });
    expect(again.recovery).toMatchObject({ frames: 0, damage: [], gaps: [] });
    expect(again.held()).toEqual([{ ...held[2], lowest: 4 }]);
    appendFrames(again, 1, 1);
    expect(again.held().at(-1)?.predecessor).toEqual({ epoch: held[2]?.epoch, lastSeq: 3 });
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
    const before = first.pendingGaps();
    first.close();
    const second = openCore(files, options);
    appendFrames(second, 1, 100, 100);
    const [gap] = second.pendingGaps();
    expect(gap).toMatchObject({ epoch, from: 1, reason: 'evicted' });
    expect(before).not.toContainEqual(gap);
    second.settle(STORE, epoch, [
      { from: 1, to: gap?.to ?? 0, state: 'declared', code: 1 },
      ...stored((gap?.to ?? 0) + 1, 300),
    ]);
    second.maintain();
    second.maintain();
    second.close();
    for (let opening = 3; opening <= 4; opening += 1) {
      const again = openCore(files, options);
      expect(again.recovery).toMatchObject({ damage: [], gaps: [] });
      expect(again.held()).toHaveLength(1);
      again.settle(STORE, again.held()[0]?.epoch ?? '', stored(opening, opening));
      again.maintain();
      again.maintain();
      again.close();
    }
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

  test('by another store: an epoch that was forgotten as settled is declared, too', () => {
    const files = new ModelledFiles();
    const mintEpoch = epochMint();
    const first = openCore(files, { mintEpoch });
    appendFrames(first, 1, 5);
    const forgotten = epochOf(first);
    first.settle(STORE, forgotten, stored(1, 5));
    first.close();
    const second = openCore(files, { mintEpoch });
    appendFrames(second, 6, 7);
    const epoch = epochOf(second);
    for (let i = 0; i < 3; i += 1) {
      second.settle(STORE, epoch, stored(1, 1));
      second.maintain();
    }
    second.close();
    const third = openCore(files, { mintEpoch });
    expect(third.held()).toMatchObject([{ epoch, predecessor: { epoch: forgotten, lastSeq: 5 } }]);
    third.settle(OTHER_STORE, epoch, []);
    const gaps = [{ epoch: forgotten, from: 1, to: 5, reason: 'settled_elsewhere' }];
    expect(third.pendingGaps()).toMatchObject(gaps);
    expect(third.held().map((held) => held.epoch)).toEqual([forgotten, epoch]);
    third.close();
    const fourth = openCore(files, { mintEpoch });
    expect(fourth.pendingGaps()).toMatchObject(gaps);
    expect(seqsOf(readAll(fourth))).toEqual([1, 2]);
  });
});
