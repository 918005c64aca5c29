/** Frames that wait for too long: given up by monotonic time, and by nothing else. */
import { describe, expect, test } from 'vitest';
import { Ages } from '#collector/producer/queue/ages.ts';
import { ModelledFiles } from './modelled-files.ts';
import { appendFrames, epochMint, openCore, payloadOf, readAll, STORE, seqsOf } from './support.ts';

const TWO_DAYS_US = 172_800_000_000;
const OPTIONS = { segmentBytes: 600, maxAgeMs: 10_000 };

describe('a queue whose frames age', () => {
  test('gives up what was appended too long ago, and declares it as expired', () => {
    const core = openCore(new ModelledFiles(), OPTIONS);
    appendFrames(core, 1, 8);
    core.maintain(1_000);
    appendFrames(core, 9, 12);
    core.maintain(2_000);
    core.maintain(10_999);
    expect(core.stats.frames).toBe(12);
    core.maintain(11_000);
    expect(core.pendingGaps()).toMatchObject([{ from: 1, to: 8, reason: 'expired' }]);
    expect(core.takeNewGaps()).toMatchObject([{ from: 1, to: 8, reason: 'expired' }]);
    expect(seqsOf(readAll(core))).toEqual([9, 10, 11, 12]);
    core.maintain(12_000);
    expect(core.pendingGaps()).toMatchObject([{ from: 1, to: 12, reason: 'expired' }]);
    expect(core.stats.frames).toBe(0);
    expect(core.recovery.damage).toEqual([]);
  });

  test('is not moved by wall times, before or behind the present', () => {
    const core = openCore(new ModelledFiles(), OPTIONS);
    for (const capturedAt of [0, TWO_DAYS_US, 20_000 * TWO_DAYS_US, 1]) {
      core.append(payloadOf(1), capturedAt);
    }
    core.commit();
    core.maintain(0);
    core.maintain(9_999);
    expect(core.stats.frames).toBe(4);
    core.maintain(10_000);
    expect(core.stats.frames).toBe(0);
  });

  test('counts anew from its opening, over all epochs that it finds', () => {
    const files = new ModelledFiles();
    const options = { ...OPTIONS, mintEpoch: epochMint() };
    const first = openCore(files, options);
    appendFrames(first, 1, 3);
    first.maintain(1_000);
    first.maintain(9_000);
    first.close();
    const second = openCore(files, options);
    appendFrames(second, 4, 5);
    second.maintain(5_000);
    second.maintain(9_999);
    expect(second.stats.frames).toBe(5);
    second.maintain(10_000);
    expect(second.stats.frames).toBe(2);
    second.maintain(15_000);
    expect(second.stats.frames).toBe(0);
    const again = openCore(
      files.afterPowerLoss(() => 0),
      options,
    );
    expect(again.recovery.damage).toEqual([]);
    // What is still in the last file is here, so it is sent after all, and ages anew.
    expect(again.pendingGaps()).toMatchObject([{ to: 3, reason: 'expired' }]);
    expect(seqsOf(readAll(again))).toEqual([1, 2]);
  });

  test('leaves out what is settled, and gives the room back', () => {
    const files = new ModelledFiles();
    const core = openCore(files, OPTIONS);
    const [first] = appendFrames(core, 1, 30);
    const epoch = first?.epoch ?? '';
    core.settle(STORE, epoch, [{ from: 1, to: 10, state: 'stored', code: 0 }]);
    core.maintain(0);
    core.maintain(10_000);
    expect(core.pendingGaps()).toMatchObject([{ from: 11, to: 30 }]);
    expect(files.names('segment-').length).toBeLessThan(3);
    core.settle(STORE, epoch, [{ from: 11, to: 30, state: 'declared', code: 2 }]);
    core.maintain(11_000);
    expect(core.pendingGaps()).toEqual([]);
    expect(core.maintenanceDue).toBe(false);
  });

  test('has no work for its upkeep when nothing ages', () => {
    const core = openCore(new ModelledFiles());
    appendFrames(core, 1, 3);
    core.maintain(0);
    expect(core.maintenanceDue).toBe(false);
    core.maintain(1e12);
    expect(core.stats.frames).toBe(3);
  });
});

test('however long a queue runs, its marks are few, and no frame is too young by more than 1/64', () => {
  const ages = new Ages(64_000);
  let expired = 0;
  for (let now = 0; now <= 640_000; now += 10) {
    ages.note({ epoch: 'e', seq: now + 1 }, now);
    const taken = ages.takeExpired(now);
    if (taken === undefined) continue;
    const ageMs = now - (taken.seq - 1);
    expect(ageMs).toBeGreaterThanOrEqual(64_000);
    expect(now - expired - 64_000).toBeLessThanOrEqual(1_010 + 10);
    expired = taken.seq - 1;
  }
  expect(expired).toBeGreaterThan(570_000);
});
