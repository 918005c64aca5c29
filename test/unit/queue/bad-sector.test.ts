/**
 * Sectors of the disk that give nothing back any more (EIO): what is in them is lost like damaged
 * bytes, and all else goes on.
 */
import { describe, expect, test } from 'vitest';
import type { QueueCore } from '#collector/producer/queue/core.ts';
import { QueueFailedError } from '#collector/producer/queue/errors.ts';
import { frameRecordBytes } from '#collector/producer/queue/segment.ts';
import { ModelledFiles, type PortCall } from './modelled-files.ts';
import { appendFrames, openCore, readAll, seqsOf } from './support.ts';

const SECTOR_BYTES = 4_096;
/** Small enough for several sectors per segment and several segments per queue. */
const OPTIONS = { segmentBytes: 20_000 };
const FRAMES = 660;
const RECORD = frameRecordBytes(100);
/** How many frames' records one sector touches at most. */
const TOUCHED = Math.ceil(SECTOR_BYTES / RECORD) + 1;

function errorOf(code: string): Error {
  return Object.assign(new Error(`${code}: read`), { code });
}

/** Throws when a call reads from the sector of the file that holds `offset`, wherever it is moved. */
function failIn(path: string, offset: number, code = 'EIO'): (call: PortCall) => void {
  const start = offset - (offset % SECTOR_BYTES);
  let file = path;
  return (call) => {
    const [from, to] = call.path.split(' -> ');
    if (call.operation === 'rename' && from === file && to !== undefined) file = to;
    const meets = call.position < start + SECTOR_BYTES && call.position + call.bytes > start;
    if (call.operation === 'read' && call.path === file && meets) throw errorOf(code);
  };
}

/** A queue with FRAMES frames of one epoch in several segments; `name` counts segments from 0. */
function filled(): { files: ModelledFiles; core: QueueCore; name: (index: number) => string } {
  const files = new ModelledFiles();
  const core = openCore(files, OPTIONS);
  appendFrames(core, 1, FRAMES, 100);
  return { files, core, name: (index) => files.names('segment-').at(index) ?? '' };
}

/** The frames that were declared damaged: a sector's, and with those that read, all there are. */
function expectFewLost(core: QueueCore, highest = FRAMES): number[] {
  const read = seqsOf(readAll(core));
  const lost = core.pendingGaps().flatMap(({ from, to, reason }) => {
    expect(reason).toBe('damaged');
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  const all = [...read, ...lost].sort((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: highest }, (_, i) => i + 1));
  expect(lost.length).toBeGreaterThan(0);
  expect(lost.length).toBeLessThanOrEqual(TOUCHED);
  return lost;
}

/** A segment's first sector, one in its middle, and its last, which it fills in part. */
const OFFSETS = [100, 9_000, 18_000];
/** A closed segment, and the one that is written to. */
const SEGMENTS = [1, -1];
const PLACES = SEGMENTS.flatMap((segment) => OFFSETS.map((offset) => ({ segment, offset })));

describe('a sector that can not be read', () => {
  test.each(PLACES)(
    'costs a running queue what is in it, and no more: $segment, $offset',
    ({ segment, offset }) => {
      const { files, core, name } = filled();
      const path = name(segment);
      const at = Math.min(offset, files.content(path).length - 1);
      files.before = failIn(path, at);
      expectFewLost(core);
      appendFrames(core, FRAMES + 1, FRAMES + 60, 100);
      expectFewLost(core, FRAMES + 60);
      expect(core.failure).toBeUndefined();
    },
  );

  test.each(PLACES)(
    'costs an opening what is in it, and no more: $segment, $offset',
    ({ segment, offset }) => {
      const { files, core, name } = filled();
      core.close();
      const path = name(segment);
      const at = Math.min(offset, files.content(path).length - 1);
      // Where an index is believed the sector is met at reading; here the opening reads it.
      for (const index of files.names('index-')) files.unlink(index);
      files.before = failIn(path, at);
      const again = openCore(files, OPTIONS);
      const lost = expectFewLost(again);
      const [damage] = again.recovery.damage;
      expect(again.recovery.damage).toHaveLength(1);
      const setAsideAs = `set-aside/${path}`;
      expect(damage).toMatchObject({ file: path, kind: 'damaged', setAsideAs });
      expect(damage?.bytesLost).toBeGreaterThanOrEqual((lost.length - 2) * RECORD);
      expect(damage?.bytesLost).toBeLessThanOrEqual(SECTOR_BYTES + 2 * RECORD);
      again.close();
      files.before = () => {};
      expect(openCore(files, OPTIONS).recovery).toMatchObject({ damage: [], tornBytes: 0 });
    },
  );

  test('at the end of what a killed process wrote is damage, no torn tail', () => {
    const { files, name } = filled();
    const left = files.afterKill();
    const path = name(-1);
    left.before = failIn(path, files.content(path).length - 1);
    const core = openCore(left, OPTIONS);
    expect(core.recovery).toMatchObject({ tornBytes: 0, damage: [{ file: path }] });
    expect(left.names(path, 'set-aside')).toEqual([path]);
    expect(left.content(`set-aside/${path}`)).toEqual(files.content(path));
  });

  test('that is all of a segment costs that segment', () => {
    const files = new ModelledFiles();
    const core = openCore(files, { segmentBytes: 500 });
    appendFrames(core, 1, 40);
    core.close();
    const path = files.names('segment-').at(2) ?? '';
    files.before = failIn(path, 0);
    const again = openCore(files, { segmentBytes: 500 });
    const bytesLost = files.content(`set-aside/${path}`).length;
    expect(again.recovery.damage).toMatchObject([{ file: path, bytesLost }]);
    const declared = again.pendingGaps().reduce((sum, { from, to }) => sum + to - from + 1, 0);
    expect(readAll(again).length + declared).toBe(40);
    expect(declared).toBeLessThan(10);
  });
});

describe('an error that passes', () => {
  test.each([1, 2])('after %i reads costs nothing', (times) => {
    const { files, core, name } = filled();
    const fail = failIn(name(-1), 9_000);
    let left = times;
    const failSometimes = (call: PortCall): void => {
      if (left === 0) return;
      try {
        fail(call);
      } catch (error) {
        left -= 1;
        throw error;
      }
    };
    files.before = failSometimes;
    expect(readAll(core)).toHaveLength(FRAMES);
    expect(left).toBe(0);
    expect(core.pendingGaps()).toEqual([]);
    core.close();
    left = times;
    const again = openCore(files, OPTIONS);
    expect(left).toBe(0);
    expect(again.recovery).toMatchObject({ frames: FRAMES, damage: [], gaps: [] });
  });
});

describe('no damage', () => {
  test('is an error other than EIO: it gives nothing up', () => {
    const { files, core, name } = filled();
    files.before = failIn(name(-1), 9_000, 'EBADF');
    expect(() => readAll(core)).toThrow(expect.objectContaining({ code: 'queue_read_failed' }));
    core.close();
    expect(() => openCore(files, OPTIONS)).toThrow('EBADF');
    files.before = () => {};
    const again = openCore(files, OPTIONS);
    expect(again.recovery).toMatchObject({ frames: FRAMES, damage: [], gaps: [] });
  });

  test('is a disk that is gone: what it can not write down it does not give up', () => {
    const { files, core } = filled();
    const cached = ['list', 'size', 'open', 'close'];
    files.before = ({ operation }) => {
      if (!cached.includes(operation)) throw errorOf('EIO');
    };
    expect(() => readAll(core)).toThrow(QueueFailedError);
    core.close();
    expect(() => openCore(files, OPTIONS)).toThrow('EIO');
    files.before = () => {};
    const again = openCore(files, OPTIONS);
    expect(again.recovery).toMatchObject({ frames: FRAMES, damage: [], gaps: [] });
  });
});
