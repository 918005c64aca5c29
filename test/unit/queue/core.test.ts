/** The core's everyday behaviour: identity, durability, reading, limits, failures. */
import { describe, expect, test } from 'vitest';
import type { QueueCore } from '#collector/producer/queue/core.ts';
import { QueueFailedError } from '#collector/producer/queue/errors.ts';
import { ModelledFiles } from './modelled-files.ts';
import { appendFrames, epochMint, openCore, payloadOf, readAll, STORE, seqsOf } from './support.ts';

function epochOf(core: QueueCore): string {
  const newest = core.held().at(-1);
  if (newest === undefined) throw new Error('no epoch yet');
  return newest.epoch;
}

function stored(from: number, to: number) {
  return [{ from, to, state: 'stored' as const, code: 0 }];
}

describe('appending', () => {
  test('a frame comes back with its identity, time and bytes, also after a reopening', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    const [first] = appendFrames(core, 1, 3);
    const before = readAll(core);
    core.close();
    const after = readAll(openCore(files));
    expect(after).toEqual(before);
    expect(
      after.map(({ epoch, seq, capturedAt, payload }) => [
        epoch,
        seq,
        capturedAt,
        Buffer.from(payload),
      ]),
    ).toEqual([1, 2, 3].map((n) => [first?.epoch, n, n * 1_000, payloadOf(n)]));
  });

  test('empty payloads and payloads of the largest size are kept', () => {
    const files = new ModelledFiles();
    const core = openCore(files, { limitBytes: 16_777_216, segmentBytes: 65_536 });
    const sizes = [0, 1_048_576, 1, 1_048_576];
    sizes.forEach((bytes, i) => {
      expect(core.append(Buffer.alloc(bytes, i), 5)).toBeDefined();
    });
    core.commit();
    core.close();
    expect(readAll(openCore(files)).map(({ payload }) => payload.length)).toEqual(sizes);
  });

  test('a frame that is not committed is not answered for', () => {
    const core = openCore(new ModelledFiles());
    core.append(payloadOf(1), 1);
    expect(readAll(core)).toEqual([]);
    expect(core.held()).toEqual([]);
    expect(core.stats).toMatchObject({ frames: 0, highest: undefined });
    core.commit();
    expect(core.stats.frames).toBe(1);
  });

  test('frames staged together share one write and one sync', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    appendFrames(core, 1, 1);
    const before = files.calls.length;
    appendFrames(core, 2, 100);
    expect(files.calls.slice(before).map(({ operation }) => operation)).toEqual(['write', 'sync']);
  });

  test('a new segment is durable under its name before the first frame in it', () => {
    const files = new ModelledFiles();
    openCore(files).append(payloadOf(1), 1);
    const made = files.calls.findIndex(({ operation }) => operation === 'create');
    expect(files.calls.slice(made).map(({ operation }) => operation)).toEqual([
      'create',
      'write',
      'sync',
      'syncDirectory',
    ]);
  });

  test('each opening that appends makes a new epoch, which names the one before', () => {
    const files = new ModelledFiles();
    const mintEpoch = epochMint();
    for (const count of [3, 0, 2]) {
      const core = openCore(files, { mintEpoch });
      if (count > 0) appendFrames(core, 1, count);
      core.close();
    }
    const held = openCore(files, { mintEpoch }).held();
    expect(held.map(({ epoch, highest }) => [epoch.at(-1), highest])).toEqual([
      ['1', 3],
      ['2', 2],
    ]);
    expect(held.map(({ predecessor }) => predecessor)).toEqual([
      undefined,
      { epoch: held[0]?.epoch, lastSeq: 3 },
    ]);
  });
});

describe('reading', () => {
  test('goes on behind any position, over segments and epochs', () => {
    const files = new ModelledFiles();
    const mintEpoch = epochMint();
    for (let opening = 0; opening < 2; opening += 1) {
      const core = openCore(files, { mintEpoch, segmentBytes: 500 });
      appendFrames(core, 1, 20);
      core.close();
    }
    const core = openCore(files);
    const all = readAll(core);
    expect(all).toHaveLength(40);
    all.forEach((position, i) => {
      expect(core.readPending(position, { frames: 3, bytes: 1_000 })).toEqual(
        all.slice(i + 1, i + 4),
      );
    });
  });

  test('keeps to the limits, and gives one frame that is over the byte limit', () => {
    const core = openCore(new ModelledFiles());
    appendFrames(core, 1, 9, 100);
    expect(seqsOf(core.readPending(undefined, { frames: 4, bytes: 10_000 }))).toEqual([1, 2, 3, 4]);
    expect(seqsOf(core.readPending(undefined, { frames: 9, bytes: 250 }))).toEqual([1, 2]);
    expect(seqsOf(core.readPending(undefined, { frames: 9, bytes: 10 }))).toEqual([1]);
  });

  test('a byte limit met at the end of a segment does not skip a frame', () => {
    const core = openCore(new ModelledFiles(), { segmentBytes: 500 });
    appendFrames(core, 1, 4, 100);
    core.append(payloadOf(5, 3_000), 1);
    core.append(payloadOf(6, 10), 1);
    core.commit();
    const frames = readAll(core, { frames: 100, bytes: 450 });
    expect(seqsOf(frames)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('finds new frames where it ended, without reading what it has read', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    appendFrames(core, 1, 50);
    const last = readAll(core).at(-1);
    appendFrames(core, 51, 51);
    const before = files.calls.length;
    expect(seqsOf(core.readPending(last, { frames: 100, bytes: 1_000_000 }))).toEqual([51]);
    const reads = files.calls.slice(before).filter(({ operation }) => operation === 'read');
    expect(reads).toHaveLength(1);
    expect(reads[0]?.bytes).toBeLessThan(200);
  });

  test('leaves out what is settled', () => {
    const core = openCore(new ModelledFiles());
    appendFrames(core, 1, 10);
    core.settle(STORE, epochOf(core), [...stored(1, 2), ...stored(5, 7)]);
    expect(seqsOf(readAll(core))).toEqual([3, 4, 8, 9, 10]);
  });
});

describe('at the limit', () => {
  const small = { limitBytes: 98_304, segmentBytes: 8_192 };

  test('the oldest frames go and are declared; the disk use stays within the limit', () => {
    const files = new ModelledFiles();
    const core = openCore(files, small);
    for (let n = 1; n <= 2_000; n += 1) {
      appendFrames(core, n, n, 100);
      expect(core.stats.bytes).toBeLessThanOrEqual(small.limitBytes);
    }
    const epoch = epochOf(core);
    const frames = seqsOf(readAll(core));
    const lowest = frames[0] ?? 0;
    expect(frames).toEqual(Array.from({ length: 2_001 - lowest }, (_, i) => lowest + i));
    expect(core.pendingGaps()).toEqual([{ epoch, from: 1, to: lowest - 1, reason: 'evicted' }]);
    expect(core.stats).toMatchObject({ frames: frames.length, evicted: lowest - 1 });
    core.close();
    const again = openCore(files, small);
    expect(seqsOf(readAll(again))).toEqual(frames);
    expect(again.pendingGaps()).toEqual([{ epoch, from: 1, to: lowest - 1, reason: 'evicted' }]);
    expect(again.recovery.gaps).toEqual([]);
  });

  test('only what is unsettled is declared, and a settled gap is not told again', () => {
    const files = new ModelledFiles();
    const core = openCore(files, small);
    appendFrames(core, 1, 300, 100);
    const epoch = epochOf(core);
    core.settle(STORE, epoch, stored(3, 10));
    appendFrames(core, 301, 500, 100);
    const last = core.pendingGaps().at(-1)?.to ?? 0;
    expect(core.pendingGaps()).toMatchObject([
      { from: 1, to: 2 },
      { from: 11, to: last },
    ]);
    core.settle(STORE, epoch, [{ from: 1, to: last, state: 'declared', code: 1 }]);
    expect(core.pendingGaps()).toEqual([]);
    core.close();
    expect(openCore(files, small).pendingGaps()).toEqual([]);
  });

  test('settled segments go before any frame is given up', () => {
    const core = openCore(new ModelledFiles(), small);
    appendFrames(core, 1, 300, 100);
    core.settle(STORE, epochOf(core), stored(1, 290));
    appendFrames(core, 301, 500, 100);
    expect(core.pendingGaps()).toEqual([]);
  });

  test('a queue that refuses keeps what it has, and accepts again once frames are settled', () => {
    const core = openCore(new ModelledFiles(), { ...small, whenFull: 'refuse' });
    let accepted = 0;
    while (core.append(payloadOf(accepted + 1, 100), 1) !== undefined) accepted += 1;
    core.commit();
    expect(readAll(core)).toHaveLength(accepted);
    expect(core.append(payloadOf(1, 100), 1)).toBeUndefined();
    core.settle(STORE, epochOf(core), stored(1, accepted - 1));
    expect(core.append(payloadOf(1, 100), 1)).toMatchObject({ seq: accepted + 1 });
    core.commit();
    expect(seqsOf(readAll(core))).toEqual([accepted, accepted + 1]);
    expect(core.pendingGaps()).toEqual([]);
  });

  test('a frame larger than the whole limit is refused, and nothing is given up for it', () => {
    const core = openCore(new ModelledFiles(), small);
    appendFrames(core, 1, 10);
    expect(core.append(Buffer.alloc(100_000), 1)).toBeUndefined();
    expect(readAll(core)).toHaveLength(10);
  });

  test('a gap moves on when its segment has to go', () => {
    const files = new ModelledFiles();
    const core = openCore(files, small);
    appendFrames(core, 1, 5_000, 100);
    const [gap] = core.pendingGaps();
    core.close();
    expect(openCore(files, small).pendingGaps()).toEqual([gap]);
  });
});

describe('a failing disk', () => {
  test.each(['write', 'sync', 'create', 'syncDirectory'] as const)(
    'a failed %s is final: nothing more is accepted, nothing more is written',
    (operation) => {
      const files = new ModelledFiles();
      const core = openCore(files, { segmentBytes: 500 });
      appendFrames(core, 1, 3);
      files.before = (call) => {
        if (call.operation !== operation || call.path.startsWith('index-')) return;
        files.before = () => {};
        throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      };
      expect(() => appendFrames(core, 4, 30)).toThrow(QueueFailedError);
      const written = files.calls.length;
      expect(() => core.append(payloadOf(1), 1)).toThrow(QueueFailedError);
      expect(() => core.commit()).toThrow(QueueFailedError);
      expect(() => core.maintain()).toThrow(QueueFailedError);
      expect(core.failure?.message).toContain('EIO');
      expect(core.stats.failed).toBe(true);
      expect(seqsOf(readAll(core)).slice(0, 3)).toEqual([1, 2, 3]);
      core.close();
      const changes = ['write', 'sync', 'create', 'rename', 'unlink', 'truncate'];
      expect(files.calls.slice(written).map((call) => call.operation)).not.toEqual(
        expect.arrayContaining([expect.toSatisfy((name: string) => changes.includes(name))]),
      );
      expect(seqsOf(readAll(openCore(files))).slice(0, 3)).toEqual([1, 2, 3]);
    },
  );

  test('a read that fails gives nothing up and can be repeated', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    appendFrames(core, 1, 3);
    files.before = (call) => {
      if (call.operation === 'read') throw Object.assign(new Error('EBADF'), { code: 'EBADF' });
    };
    expect(() => readAll(core)).toThrow(expect.objectContaining({ code: 'queue_read_failed' }));
    files.before = () => {};
    expect(seqsOf(readAll(core))).toEqual([1, 2, 3]);
    expect(core.pendingGaps()).toEqual([]);
  });

  test('closing leaves no file open', () => {
    const files = new ModelledFiles();
    const core = openCore(files, { segmentBytes: 500 });
    appendFrames(core, 1, 30);
    readAll(core);
    core.close();
    expect(files.openHandles).toBe(0);
  });
});
