/** Segments' indexes: what they spare the opening, when they are not believed, and damage behind them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CoreOptions, QueueCore } from '#collector/producer/queue/core.ts';
import { DiskFullError } from '#collector/producer/queue/errors.ts';
import { EPOCH_RECORD_BYTES, SEGMENT_HEADER_BYTES } from '#collector/producer/queue/segment.ts';
import { seeded } from '../seed.ts';
import { ModelledFiles } from './modelled-files.ts';
import {
  appendFrames,
  epochMint,
  openCore,
  readAll,
  STORE,
  seqsOf,
  withoutIndexes,
} from './support.ts';

const FRAMES = 400;
/** Some twenty segments of twenty frames. */
const OPTIONS = { segmentBytes: 2_000 };
const SECOND = 'segment-00000000000000000002.log';
const SECOND_INDEX = 'index-00000000000000000002';
/** In the third frame of a segment: behind what its index is tied to. */
const MIDDLE = SEGMENT_HEADER_BYTES + EPOCH_RECORD_BYTES + 250;

function backlog(options: Partial<CoreOptions> = {}): { files: ModelledFiles; core: QueueCore } {
  const files = new ModelledFiles();
  const core = openCore(files, { ...OPTIONS, ...options });
  for (let n = 1; n <= FRAMES; n += 20) appendFrames(core, n, n + 19);
  return { files, core };
}

/** The same, closed and opened once: every segment has its index. */
function indexedBacklog(): ModelledFiles {
  const { files, core } = backlog();
  core.close();
  openCore(files, OPTIONS).close();
  expect(files.names('index-')).toHaveLength(files.names('segment-').length);
  return files;
}

function flip(files: ModelledFiles, path: string, at: number): Buffer {
  files.edit(path, (content) => {
    content.writeUInt8(content.readUInt8(at) ^ 0x10, at);
    return content;
  });
  return files.content(path);
}

function between(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** How many bytes of each segment an opening reads. */
function bytesRead(files: ModelledFiles): Map<string, number> {
  const read = new Map<string, number>();
  const before = files.calls.length;
  openCore(files, OPTIONS);
  for (const { operation, path, bytes } of files.calls.slice(before)) {
    const isRead = operation === 'read' && path.startsWith('segment-');
    if (isRead) read.set(path, (read.get(path) ?? 0) + bytes);
  }
  return read;
}

/** Everything that a queue says and gives, damage that is met by reading included. */
function wholeOf(core: QueueCore) {
  const frames = readAll(core);
  const gaps = core
    .pendingGaps()
    .flatMap(({ epoch, from, to }) => between(from, to).map((seq) => `${epoch}/${seq}`));
  const damage = [...core.recovery.damage, ...core.takeNewDamage()];
  return { frames, gaps: gaps.sort(), damaged: damage.map(({ file, kind }) => `${kind} ${file}`) };
}

/** Damaged files; that frames are missing is told beside them only where the opening found none. */
function filesOf({ damaged }: { readonly damaged: readonly string[] }): string[] {
  return damaged.filter((what) => !what.startsWith('missing')).sort();
}

describe('an opening', () => {
  test('reads the edges of segments that have an index, and the first frame to be sent', () => {
    const files = indexedBacklog();
    const [first, ...others] = [...bytesRead(files).values()];
    expect(others).toHaveLength(files.names('segment-').length - 1);
    expect(Math.max(...others)).toBeLessThanOrEqual(256);
    expect(first).toBeGreaterThan(256);
  });

  test('after a crash reads the last segment whole, once', () => {
    const files = backlog().files.afterKill();
    const last = files.names('segment-').at(-1) ?? '';
    const size = files.size(last) ?? 0;
    expect(bytesRead(files).get(last)).toBeGreaterThan(size);
    expect(bytesRead(files).get(last)).toBeLessThanOrEqual(256);
  });

  test('of files without indexes reads them whole, and gives them theirs', () => {
    const files = withoutIndexes(indexedBacklog());
    expect(bytesRead(files).get(SECOND)).toBeGreaterThan(1_000);
    expect(bytesRead(files).get(SECOND)).toBeLessThanOrEqual(256);
  });

  test('leaves no index without its segment', () => {
    const files = indexedBacklog();
    files.unlink(SECOND);
    openCore(files, OPTIONS).close();
    expect(files.names('index-')).not.toContain(SECOND_INDEX);
  });
});

test('an index that a queue writes is the one that reading its segment gives, on a full disk too', () => {
  const files = new ModelledFiles();
  const core = openCore(files, OPTIONS);
  let refused = 0;
  for (let room = 0; room < 3_000; room += 50) {
    appendFrames(core, 1, 3);
    const [{ epoch } = { epoch: '' }] = core.held();
    const from = 3 * (room / 50) + 1;
    core.settle(STORE, epoch, [{ from, to: from, state: 'stored', code: 0 }]);
    files.roomBytes = room;
    try {
      core.reconcile(STORE, epoch, { from, to: from }, []);
      appendFrames(core, 1, 25);
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      refused += 1;
    }
    files.roomBytes = Number.POSITIVE_INFINITY;
  }
  expect(refused).toBeGreaterThan(10);
  const written = files.names('index-');
  expect(written.length).toBeGreaterThan(10);
  const read = withoutIndexes(files);
  openCore(read, OPTIONS);
  for (const name of written) {
    expect(read.content(name).toString()).toBe(files.content(name).toString());
  }
});

test('a segment is removed with its index', () => {
  const { files, core } = backlog();
  const [{ epoch } = { epoch: '' }] = core.held();
  core.settle(STORE, epoch, [{ from: 1, to: FRAMES, state: 'stored', code: 0 }]);
  core.maintain();
  expect([...files.names('segment-'), ...files.names('index-')]).toEqual([]);
});

test.each(['create', 'write', 'sync', 'read', 'open'] as const)(
  'an index that can not be written costs nothing (%s)',
  (operation) => {
    const files = new ModelledFiles();
    files.before = (call) => {
      const isIndexing =
        call.path.startsWith('index-') || operation === 'read' || operation === 'open';
      if (isIndexing && call.operation === operation) {
        throw Object.assign(new Error('EIO'), { code: 'EIO' });
      }
    };
    const core = openCore(files, OPTIONS);
    appendFrames(core, 1, 100);
    expect(core.failure).toBeUndefined();
    files.before = () => {};
    core.close();
    expect(seqsOf(readAll(openCore(files, OPTIONS)))).toEqual(between(1, 100));
    expect(files.openHandles).toBeLessThanOrEqual(2);
  },
);

describe('an index is not believed', () => {
  const original = indexedBacklog();
  const expected = wholeOf(openCore(withoutIndexes(original), OPTIONS));

  function expectReadWhole(files: ModelledFiles): void {
    const before = files.calls.length;
    const core = openCore(files, OPTIONS);
    const reads = files.calls
      .slice(before)
      .filter(
        ({ operation, path, bytes }) => operation === 'read' && path === SECOND && bytes > 500,
      );
    expect(reads.length).toBeGreaterThan(0);
    expect(wholeOf(core)).toEqual(expected);
    expect(files.content(SECOND_INDEX)).toEqual(original.content(SECOND_INDEX));
  }

  test('when any of its bytes is changed, or any tail is gone', () => {
    const size = original.content(SECOND_INDEX).length;
    for (let at = 0; at < size; at += 3) {
      const flipped = original.afterKill();
      flip(flipped, SECOND_INDEX, at);
      expectReadWhole(flipped);
      const cut = original.afterKill();
      cut.edit(SECOND_INDEX, (content) => content.subarray(0, at));
      expectReadWhole(cut);
    }
  });

  test('when it is that of another segment, or of a copy of the queue that went on by itself', () => {
    const swapped = original.afterKill();
    swapped.edit(SECOND_INDEX, () => original.content('index-00000000000000000003'));
    expectReadWhole(swapped);
    const { files: clone } = backlog({
      mintEpoch: () => '0192f6c4-0000-7000-8000-0000000000ff',
    });
    expect(clone.size(SECOND)).toBe(original.size(SECOND));
    const mixed = original.afterKill();
    mixed.edit(SECOND_INDEX, () => clone.content(SECOND_INDEX));
    expectReadWhole(mixed);
  });

  test('when bytes were added to its segment', () => {
    const files = original.afterKill();
    files.edit(SECOND, (content) => Buffer.concat([content, Buffer.alloc(100, 7)]));
    const core = openCore(files, OPTIONS);
    expect(core.recovery.damage).toMatchObject([{ file: SECOND, bytesLost: 100 }]);
    expect(readAll(core)).toEqual(expected.frames);
  });

  test('when its segment has another size, as one that an older version repaired', () => {
    const damaged = original.afterKill();
    flip(damaged, SECOND, MIDDLE);
    const repaired = withoutIndexes(damaged);
    openCore(repaired, OPTIONS).close();
    const files = repaired.afterKill();
    files.edit(SECOND_INDEX, () => original.content(SECOND_INDEX));
    expect(files.size(SECOND)).not.toBe(original.size(SECOND));
    expect(wholeOf(openCore(files, OPTIONS))).toEqual(
      wholeOf(openCore(withoutIndexes(repaired), OPTIONS)),
    );
  });
});

describe('damage behind an index', () => {
  test('is met by reading, told once, and the file set aside when it is not needed any more', () => {
    const files = indexedBacklog();
    const damaged = flip(files, SECOND, MIDDLE);
    const core = openCore(files, OPTIONS);
    expect(core.recovery.damage).toEqual([]);
    const { gaps, damaged: told } = wholeOf(core);
    expect(told).toEqual([`damaged ${SECOND}`]);
    expect(gaps).toHaveLength(1);
    expect(wholeOf(core).damaged).toEqual([]);
    expect(files.names(SECOND_INDEX)).toEqual([]);
    const [{ epoch } = { epoch: '' }] = core.held();
    core.settle(STORE, epoch, [{ from: 1, to: FRAMES, state: 'stored', code: 0 }]);
    core.maintain();
    expect(files.names(SECOND)).toEqual([]);
    expect(files.content(`set-aside/${SECOND}`)).toEqual(damaged);
    core.close();
    expect(openCore(files, OPTIONS).recovery).toMatchObject({ damage: [], gaps: [] });
  });

  test('does not take a gap with it, nor its reason', () => {
    const { files, core } = backlog();
    const [{ epoch } = { epoch: '' }] = core.held();
    core.settle(STORE, epoch, [{ from: 1, to: 100, state: 'stored', code: 0 }]);
    core.maintain();
    appendFrames(core, FRAMES + 1, FRAMES + 5);
    core.reconcile(STORE, epoch, { from: 1, to: 100 }, []);
    const home = files.names('segment-').at(-1) ?? '';
    const at = files.content(home).lastIndexOf(Buffer.from('484651e8', 'hex'));
    expect(at).toBeGreaterThan(128);
    appendFrames(core, FRAMES + 6, FRAMES + 40);
    core.close();
    const gaps = core.pendingGaps();
    expect(gaps).toMatchObject([{ from: 1, reason: 'lost_after_ack' }]);
    flip(files, home, at + 20);
    const opened = openCore(files, OPTIONS);
    expect(opened.pendingGaps()).toEqual(gaps);
    readAll(opened);
    expect(opened.takeNewDamage()).toMatchObject([{ file: home }]);
    expect(opened.pendingGaps()).toEqual(gaps);
    for (const left of [files.afterKill(), files.afterPowerLoss(() => 0)]) {
      const again = openCore(left, OPTIONS);
      expect(again.recovery.damage).toMatchObject([{ file: home }]);
      expect(again.pendingGaps()).toEqual(gaps);
    }
  });

  test('is met again, or dealt with, after a crash at any call', () => {
    const original = indexedBacklog();
    const damaged = flip(original, SECOND, MIDDLE);
    const expected = wholeOf(openCore(original.afterKill(), OPTIONS));
    for (let n = 0, ended = false; !ended; n += 1) {
      const files = original.afterKill();
      const core = openCore(files, OPTIONS);
      const start = files.calls.length;
      files.before = (_, index) => {
        if (index >= start + n) throw new Error('crash');
      };
      try {
        wholeOf(core);
        core.close();
        ended = true;
      } catch {
        // The crash.
      }
      for (const left of [files.afterKill(), files.afterPowerLoss(() => 0)]) {
        const again = openCore(left, OPTIONS);
        const { frames, gaps } = wholeOf(again);
        expect({ frames, gaps }).toEqual({ frames: expected.frames, gaps: expected.gaps });
        again.close();
        openCore(left, OPTIONS);
        expect(left.content(`set-aside/${SECOND}`)).toEqual(damaged);
      }
    }
  });

  test('anywhere and of any kind comes to what reading everything comes to', () => {
    const original = indexedBacklog();
    const names = original.names('segment-');
    const injury = fc.record({
      segment: fc.nat({ max: names.length - 1 }),
      at: fc.nat({ max: 1_900 }),
      bytes: fc.integer({ min: 1, max: 400 }),
      cut: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(injury, { minLength: 1, maxLength: 4 }), (injuries) => {
        const files = original.afterKill();
        for (const { segment, at, bytes, cut } of injuries) {
          files.edit(names[segment] ?? '', (content) =>
            cut && bytes < 100
              ? content.subarray(0, at)
              : content.fill(
                  0x51,
                  Math.min(at, content.length),
                  Math.min(at + bytes, content.length),
                ),
          );
        }
        const whole = wholeOf(openCore(withoutIndexes(files), OPTIONS));
        const indexed = wholeOf(openCore(files, { ...OPTIONS, mintEpoch: epochMint() }));
        expect({ ...indexed, damaged: filesOf(indexed) }).toEqual({
          ...whole,
          damaged: filesOf(whole),
        });
      }),
      seeded({ numRuns: 150 }),
    );
  });
});
