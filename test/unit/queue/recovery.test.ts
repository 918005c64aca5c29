/** What the opening makes of damage, truncation, foreign files, and lost or old checkpoints. */
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { QueueCore } from '#collector/producer/queue/core.ts';
import {
  EPOCH_RECORD_BYTES,
  frameRecordBytes,
  SEGMENT_HEADER_BYTES,
} from '#collector/producer/queue/segment.ts';
import { ModelledFiles } from './modelled-files.ts';
import { appendFrames, epochMint, openCore, readAll, STORE, seqsOf } from './support.ts';

const FIRST = 'segment-00000000000000000001.log';
const SECOND = 'segment-00000000000000000002.log';
const RECORD = frameRecordBytes(24);
/** Where the first frame's record begins. */
const FRAMES_AT = SEGMENT_HEADER_BYTES + EPOCH_RECORD_BYTES;

function stored(from: number, to: number) {
  return [{ from, to, state: 'stored' as const, code: 0 }];
}

function flip(content: Buffer, at: number): Buffer {
  content.writeUInt8(content.readUInt8(at) ^ 0x10, at);
  return content;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** A queue of one segment with frames 1 to `count`, as a killed process leaves it. */
function killedQueue(count: number): { files: ModelledFiles; epoch: string } {
  const files = new ModelledFiles();
  const core = openCore(files);
  const [first] = appendFrames(core, 1, count);
  return { files: files.afterKill(), epoch: first?.epoch ?? '' };
}

/** A queue of several segments with frames 1 to 30 in one epoch, closed. */
function longQueue(): { files: ModelledFiles; epoch: string } {
  const files = new ModelledFiles();
  const core = openCore(files, { segmentBytes: 700 });
  const [first] = appendFrames(core, 1, 30);
  core.close();
  return { files, epoch: first?.epoch ?? '' };
}

/** Pending frames and gaps together are all of 1 to `highest`, each once. */
function expectAccounted(core: QueueCore, highest: number): void {
  const read = seqsOf(readAll(core));
  const declared = core.pendingGaps().flatMap(({ from, to }) => range(from, to));
  const all = [...read, ...declared].sort((a, b) => a - b);
  expect(all).toEqual(range(1, highest));
}

describe('a torn tail', () => {
  test('of the last three records is cut at any offset, quietly', () => {
    const whole = FRAMES_AT + 10 * RECORD;
    for (let size = whole - 3 * RECORD; size <= whole; size += 1) {
      const { files } = killedQueue(10);
      files.edit(FIRST, (content) => content.subarray(0, size));
      const core = openCore(files);
      const left = Math.floor((size - FRAMES_AT) / RECORD);
      expect(seqsOf(readAll(core))).toEqual(range(1, left));
      expect(core.recovery).toEqual({
        segments: 1,
        frames: left,
        tornBytes: (size - FRAMES_AT) % RECORD,
        damage: [],
        gaps: [],
      });
      core.close();
      expect(openCore(files).recovery).toMatchObject({ tornBytes: 0, damage: [], frames: left });
    }
  });

  test('of zeros or garbage behind the last record is cut, too', () => {
    for (const tail of [
      Buffer.alloc(5_000),
      Buffer.alloc(5_000, 0xa5),
      Buffer.from('HFQ\u0017HFQ'),
    ]) {
      const { files } = killedQueue(5);
      files.edit(FIRST, (content) => Buffer.concat([content, tail]));
      const core = openCore(files);
      expect(core.recovery).toMatchObject({ frames: 5, tornBytes: tail.length, damage: [] });
    }
  });

  test('in the header of a new segment leaves nothing behind', () => {
    for (let size = 0; size <= SEGMENT_HEADER_BYTES; size += 1) {
      const { files } = killedQueue(3);
      files.put(SECOND, Buffer.alloc(size, 0x48));
      const core = openCore(files);
      expect(core.recovery).toMatchObject({ frames: 3, tornBytes: size, damage: [], gaps: [] });
      expect(files.names('segment-')).toEqual([FIRST]);
    }
  });

  test('deep into an outage is damage: upkeep notes how far the epoch went', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    const [first] = appendFrames(core, 1, 6);
    core.maintain();
    expect(core.maintenanceDue).toBe(false);
    appendFrames(core, 7, 10);
    expect(core.maintenanceDue).toBe(true);
    core.maintain();
    const left = files.afterKill();
    left.edit(FIRST, (content) => content.subarray(0, FRAMES_AT + 4 * RECORD + 7));
    const opened = openCore(left);
    expect(opened.recovery).toMatchObject({
      frames: 4,
      damage: [{ kind: 'damaged', file: FIRST }],
    });
    expect(opened.pendingGaps()).toEqual([
      { epoch: first?.epoch, from: 5, to: 10, reason: 'damaged' },
    ]);
  });

  test('that takes frames which the checkpoint knows as confirmed is damage, and declared', () => {
    const { files, epoch } = killedQueue(10);
    const core = openCore(files);
    core.settle(STORE, epoch, stored(1, 2));
    core.close();
    files.edit(FIRST, (content) => content.subarray(0, content.length - RECORD - 5));
    const again = openCore(files);
    expect(again.recovery.damage).toMatchObject([{ kind: 'damaged', framesSaved: 8 }]);
    expect(again.recovery.gaps).toEqual([{ epoch, from: 9, to: 10, reason: 'damaged' }]);
    expect(seqsOf(readAll(again))).toEqual(range(3, 8));
  });
});

describe('a flipped bit', () => {
  const fields: Array<[string, number]> = [
    ['kind', 3],
    ['magic', 0],
    ['length', 6],
    ['largest byte of the length', 4],
    ['position', 11],
    ['CRC', 14],
    ['epoch', 16],
    ['seq', 39],
    ['capture time', 47],
    ['payload', 48],
  ];

  test.each(fields)('in the %s of a frame costs that frame alone, and says so', (_, offset) => {
    const { files, epoch } = killedQueue(10);
    const damaged = flip(files.content(FIRST), FRAMES_AT + 4 * RECORD + offset);
    files.edit(FIRST, () => damaged);
    const core = openCore(files);
    expect(seqsOf(readAll(core))).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 10]);
    expect(core.pendingGaps()).toEqual([{ epoch, from: 5, to: 5, reason: 'damaged' }]);
    expect(core.recovery).toMatchObject({
      gaps: core.pendingGaps(),
      damage: [{ file: FIRST, kind: 'damaged', framesSaved: 9, setAsideAs: `set-aside/${FIRST}` }],
    });
    expect(files.content(`set-aside/${FIRST}`)).toEqual(damaged);
    core.close();
    expect(openCore(files).recovery).toMatchObject({ frames: 9, damage: [], gaps: [] });
  });

  test('anywhere in a segment never costs more than the record that it hits', () => {
    const { files: original } = longQueue();
    const size = original.content(SECOND).length;
    const found = { opening: 0, reading: 0 };
    for (let at = 0; at < size; at += 1) {
      const files = original.afterKill();
      files.edit(SECOND, (content) => flip(content, at));
      const damaged = files.content(SECOND);
      const core = openCore(files);
      expectAccounted(core, 30);
      expect(core.stats.damaged).toBeLessThanOrEqual(1);
      const byReading = core.takeNewDamage();
      expect([...core.recovery.damage, ...byReading]).toMatchObject([{ file: SECOND }]);
      found.opening += core.recovery.damage.length;
      found.reading += byReading.length;
      const again = openCore(files.afterKill());
      expect(again.pendingGaps()).toEqual(core.pendingGaps());
      expect(again.recovery.damage).toHaveLength(byReading.length);
      core.close();
      openCore(files);
      expect(files.content(`set-aside/${SECOND}`)).toEqual(damaged);
    }
    expect(found.opening).toBeGreaterThan(100);
    expect(found.reading).toBeGreaterThan(100);
  });

  test('in the epoch record loses neither the epoch nor its frames', () => {
    const { files, epoch } = killedQueue(4);
    files.edit(FIRST, (content) => flip(content, SEGMENT_HEADER_BYTES + 20));
    const core = openCore(files);
    expect(readAll(core).map((frame) => [frame.epoch, frame.seq])).toEqual(
      range(1, 4).map((seq) => [epoch, seq]),
    );
  });

  test('that comes while the queue is open is found by reading, declared and told', () => {
    const { files, epoch } = killedQueue(10);
    const core = openCore(files);
    files.edit(FIRST, (content) => flip(content, FRAMES_AT + 4 * RECORD + 50));
    files.edit(FIRST, (content) => flip(content, FRAMES_AT + 9 * RECORD + 2));
    expect(seqsOf(readAll(core))).toEqual([1, 2, 3, 4, 6, 7, 8, 9]);
    const gaps = [5, 10].map((seq) => ({ epoch, from: seq, to: seq, reason: 'damaged' }));
    expect(core.takeNewGaps()).toEqual(gaps);
    expect(core.takeNewDamage()).toEqual([
      {
        file: FIRST,
        kind: 'damaged',
        setAsideAs: undefined,
        framesSaved: 8,
        bytesLost: 2 * RECORD,
        message: expect.stringContaining('8 good frames are kept'),
      },
    ]);
    expect(core.pendingGaps()).toEqual(gaps);
    expect(core.stats).toMatchObject({ frames: 8, damaged: 2 });
    core.close();
    expect(openCore(files).pendingGaps()).toEqual(gaps);
  });
});

describe('larger damage', () => {
  test('a truncated middle segment is declared from the cut on', () => {
    const { files, epoch } = longQueue();
    files.edit(SECOND, (content) => content.subarray(0, content.length - RECORD - 10));
    const core = openCore(files);
    expectAccounted(core, 30);
    expect(core.pendingGaps()).toMatchObject([{ epoch, reason: 'damaged' }]);
    expect(core.stats.damaged).toBe(2);
  });

  test('a segment that is gone is declared', () => {
    const { files } = longQueue();
    files.unlink(SECOND);
    const core = openCore(files);
    expectAccounted(core, 30);
    expect(core.recovery.damage).toMatchObject([{ kind: 'missing' }]);
    expect(core.pendingGaps()).toHaveLength(1);
  });

  test('the last segments gone: what the checkpoint knows of is declared', () => {
    const { files } = longQueue();
    for (const name of files.names('segment-').slice(2)) files.unlink(name);
    expectAccounted(openCore(files), 30);
  });

  test('all segments gone: everything is declared, and numbers are not used again', () => {
    const { files, epoch } = longQueue();
    for (const name of files.names('segment-')) files.unlink(name);
    const core = openCore(files, { mintEpoch: () => '0192f6c4-0000-7000-8000-0000000000ff' });
    expect(core.pendingGaps()).toEqual([{ epoch, from: 1, to: 30, reason: 'damaged' }]);
    appendFrames(core, 1, 1);
    expect(core.held().at(-1)?.predecessor).toEqual({ epoch, lastSeq: 30 });
  });

  test('an epoch of which no file is left is known by its successor, and declared', () => {
    const files = new ModelledFiles();
    const mintEpoch = epochMint();
    for (const count of [2, 3, 4]) appendFrames(openCore(files, { mintEpoch }), 1, count);
    files.unlink(SECOND);
    const core = openCore(files, { mintEpoch });
    const held = core.held();
    expect(held.map(({ highest }) => highest)).toEqual([2, 3, 4]);
    expect(core.pendingGaps()).toEqual([
      { epoch: held[1]?.epoch, from: 1, to: 3, reason: 'damaged' },
    ]);
  });

  test('what came before an epoch is known as long as any segment of it is left', () => {
    const { files, epoch } = longQueue();
    const core = openCore(files, {
      mintEpoch: () => '0192f6c4-0000-7000-8000-0000000000ff',
      segmentBytes: 700,
    });
    const before = files.names('segment-').length;
    appendFrames(core, 1, 30);
    const mine = files.names('segment-').slice(before);
    for (const name of ['checkpoint', ...mine.slice(0, -1)]) files.unlink(name);
    const again = openCore(files);
    expect(again.held().at(-1)?.predecessor).toEqual({ epoch, lastSeq: 30 });
  });

  test('random bytes over a stretch leave the rest, in bounded memory', () => {
    const { files } = longQueue();
    files.edit(SECOND, (content) => content.fill(0x51, FRAMES_AT + 10, FRAMES_AT + 3 * RECORD));
    const core = openCore(files);
    expectAccounted(core, 30);
    expect(core.stats.damaged).toBe(3);
  });
});

describe('files that are not ours', () => {
  test('a foreign file by a segment name is set aside as it is', () => {
    const { files } = longQueue();
    const foreign = Buffer.from('GIF89a '.repeat(100));
    const name = 'segment-00000000000000000077.log';
    files.put(name, foreign);
    const core = openCore(files);
    expect(core.recovery.damage).toMatchObject([{ file: name, kind: 'foreign' }]);
    expect(files.content(`set-aside/${name}`)).toEqual(foreign);
    expect(seqsOf(readAll(core))).toEqual(range(1, 30));
    appendFrames(core, 31, 31);
    expect(files.names('segment-').at(-1)).toBe('segment-00000000000000000078.log');
  });

  test('a segment of a newer format version is set aside unharmed, and said', () => {
    const { files, epoch } = longQueue();
    const newer = files.content(SECOND);
    newer.writeUInt16BE(2, 6);
    newer.writeUInt32BE(crc32(newer.subarray(0, 16)), 16);
    files.edit(SECOND, () => newer);
    const core = openCore(files);
    expect(core.recovery.damage).toMatchObject([{ kind: 'newer', file: SECOND }]);
    expect(files.content(`set-aside/${SECOND}`)).toEqual(newer);
    expect(core.pendingGaps()).toMatchObject([{ epoch, reason: 'damaged' }]);
    expectAccounted(core, 30);
  });

  test('a copy of a segment under another name is set aside, and nothing is doubled', () => {
    const { files } = longQueue();
    files.put('segment-00000000000000000050.log', files.content(SECOND));
    const core = openCore(files);
    expect(core.recovery.damage).toMatchObject([{ kind: 'foreign' }]);
    expect(seqsOf(readAll(core))).toEqual(range(1, 30));
  });

  test('other files are left alone', () => {
    const { files } = longQueue();
    files.put('notes.txt', Buffer.from('mine'));
    openCore(files);
    expect(files.content('notes.txt').toString()).toBe('mine');
  });

  test('a payload that holds a copy of a segment is never taken for frames', () => {
    const inner = longQueue().files.content(FIRST);
    const files = new ModelledFiles();
    const core = openCore(files, { mintEpoch: () => '0192f6c4-0000-7000-8000-0000000000ff' });
    core.append(inner, 1);
    core.append(Buffer.from('next'), 2);
    core.commit();
    const killed = files.afterKill();
    killed.edit(FIRST, (content) => flip(content, FRAMES_AT + 5));
    const again = openCore(killed);
    expect(seqsOf(readAll(again))).toEqual([2]);
    expect(again.held()).toHaveLength(1);
  });
});

describe('the checkpoint', () => {
  function settledQueue(): { files: ModelledFiles; epoch: string } {
    const files = new ModelledFiles();
    const core = openCore(files, { segmentBytes: 700 });
    const [first] = appendFrames(core, 1, 30);
    const epoch = first?.epoch ?? '';
    core.settle(STORE, epoch, stored(1, 20));
    core.close();
    return { files, epoch };
  }

  test('missing: what is here is sent again, what is gone is declared', () => {
    const { files, epoch } = settledQueue();
    files.unlink('checkpoint');
    const core = openCore(files);
    const [gap] = core.pendingGaps();
    expect(gap).toMatchObject({ epoch, from: 1, reason: 'damaged' });
    expectAccounted(core, 30);
    core.settle(STORE, epoch, stored(1, 20));
    expect(core.pendingGaps()).toEqual([]);
    expect(seqsOf(readAll(core))).toEqual(range(21, 30));
  });

  test('missing before any frame was settled: nothing is declared', () => {
    const { files } = longQueue();
    files.unlink('checkpoint');
    const core = openCore(files);
    expect(core.recovery).toMatchObject({ frames: 30, damage: [], gaps: [] });
  });

  test('older: frames are sent again, and none is lost', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    const [first] = appendFrames(core, 1, 30);
    const epoch = first?.epoch ?? '';
    core.settle(STORE, epoch, stored(1, 5));
    core.maintain();
    const old = files.content('checkpoint');
    core.settle(STORE, epoch, stored(6, 20));
    core.close();
    files.edit('checkpoint', () => old);
    const again = openCore(files);
    expect(seqsOf(readAll(again))).toEqual(range(6, 30));
    expect(again.recovery).toMatchObject({ damage: [], gaps: [] });
  });

  test.each([
    ['empty', () => Buffer.alloc(0)],
    ['garbage', () => Buffer.alloc(300, 0x7b)],
    [
      'of a newer version',
      (content: Buffer) => Buffer.from(content.toString().replace(' 1 ', ' 2 ')),
    ],
    ['cut short', (content: Buffer) => content.subarray(0, -10)],
    ['flipped in one bit', (content: Buffer) => flip(content, 70)],
  ])('%s: is set aside and said; the queue starts without it', (_, change) => {
    const { files } = settledQueue();
    files.edit('checkpoint', change);
    const core = openCore(files);
    expect(core.recovery.damage).toMatchObject([
      { file: 'checkpoint', kind: 'unreadable', setAsideAs: 'set-aside/checkpoint' },
    ]);
    expectAccounted(core, 30);
    core.close();
    expect(openCore(files).recovery).toMatchObject({ damage: [], gaps: [] });
  });
});
