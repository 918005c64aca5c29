/** The bytes on disk: golden records, the scan over any chunking, the checkpoint, the id file. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
} from '#collector/producer/queue/checkpoint.ts';
import { loadCollectorId, makeCollectorId } from '#collector/producer/queue/identity-file.ts';
import { type Scanned, Scanner } from '#collector/producer/queue/scan.ts';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  RECORD_MAGIC,
  SEGMENT_HEADER_BYTES,
  segmentName,
  segmentNumber,
} from '#collector/producer/queue/segment.ts';
import { SegmentWriter, Staging } from '#collector/producer/queue/segment-writer.ts';
import { frameCrc, isCollectorId, uuidToBytes } from '#protocol/identity.ts';
import { ModelledFiles } from './modelled-files.ts';
import { STORE } from './support.ts';

const EPOCH = '01890a5d-ac96-774b-bcce-b302099a8057';
const BEFORE = '01890a5d-0000-7000-8000-000000000001';
const NAME = 'segment-00000000000000000007.log';

/** A segment with a record of each kind, written by the product's writer. */
function sampleSegment(): ModelledFiles {
  const files = new ModelledFiles();
  const writer = new SegmentWriter(files, 7, new Staging());
  writer.stageEpoch({ epoch: EPOCH, nextSeq: 5, predecessor: { epoch: BEFORE, lastSeq: 258 } });
  writer.stageFrame(uuidToBytes(EPOCH), 5, 1_700_000_000_123_456, Buffer.from('hello'));
  writer.stageGap({ epoch: BEFORE, from: 3, to: 9, reason: 'damaged' });
  writer.sync();
  writer.close();
  return files;
}

function scan(files: ModelledFiles, chunkBytes: number, keepPayloads = false): Scanned[] {
  const handle = files.open(NAME);
  const to = files.size(NAME) ?? 0;
  const scanner = new Scanner(files, handle, {
    from: SEGMENT_HEADER_BYTES,
    to,
    chunkBytes,
    keepPayloads,
  });
  const found: Scanned[] = [];
  for (let next = scanner.next(); next !== undefined; next = scanner.next()) found.push(next);
  return found;
}

describe('a segment', () => {
  test('has the bytes that the format says', () => {
    // Header; epoch record; frame record; gap record. The CRCs were computed by another program.
    const golden = [
      '484651534547 0001 0000000000000007 893fb157',
      '4846512b 00000030 00000014 f6aa9d31',
      '01890a5dac96774bbcceb302099a8057 0000000000000005',
      '01890a5d000070008000000000000001 0000000000000102',
      '48465117 00000025 00000054 fb2d2885',
      '01890a5dac96774bbcceb302099a8057 0000000000000005 00060a2418202240 68656c6c6f',
      '484651e8 00000021 00000089 e27940c8',
      '01890a5d000070008000000000000001 0000000000000003 0000000000000009 03',
    ];
    expect(sampleSegment().content(NAME).toString('hex')).toBe(golden.join('').replaceAll(' ', ''));
  });

  test('carries the CRC of the frame itself', () => {
    const frame = scan(sampleSegment(), 1_000).find(({ kind }) => kind === 'frame');
    const capturedAt = 1_700_000_000_123_456;
    const crc = frameCrc({ epoch: EPOCH, seq: 5, capturedAt, payload: Buffer.from('hello') });
    expect(frame).toMatchObject({ epoch: EPOCH, seq: 5, capturedAt, crc, payloadBytes: 5 });
  });

  test('reads the same in chunks of any size', () => {
    const files = sampleSegment();
    const whole = scan(files, 1_000_000);
    expect(whole.map(({ kind }) => kind)).toEqual(['epoch', 'frame', 'gap']);
    expect(whole[0]).toMatchObject({
      record: { epoch: EPOCH, nextSeq: 5, predecessor: { epoch: BEFORE, lastSeq: 258 } },
    });
    expect(whole[2]).toMatchObject({ gap: { epoch: BEFORE, from: 3, to: 9, reason: 'damaged' } });
    for (let bytes = 1; bytes < 250; bytes += 1) {
      expect(scan(files, bytes, bytes % 2 === 0)).toEqual(whole);
    }
  });

  test('whose bytes are changed anywhere gives the other records, and a stretch of damage', () => {
    const whole = scan(sampleSegment(), 1_000);
    const size = sampleSegment().content(NAME).length;
    fc.assert(
      fc.property(
        fc.integer({ min: SEGMENT_HEADER_BYTES, max: size - 1 }),
        fc.integer({ min: 1, max: 255 }),
        fc.integer({ min: 1, max: 300 }),
        (at, mask, chunkBytes) => {
          const files = sampleSegment();
          files.edit(NAME, (content) => {
            content.writeUInt8(content.readUInt8(at) ^ mask, at);
            return content;
          });
          const found = scan(files, chunkBytes);
          const hit = whole.findIndex(({ offset, end }) => offset <= at && at < end);
          const { offset = 0, end = 0 } = whole[hit] ?? {};
          expect(found).toEqual(whole.with(hit, { kind: 'damage', offset, end, refused: false }));
        },
      ),
    );
  });

  test('has a header that tells damage, a newer version and its number apart', () => {
    const header = encodeSegmentHeader(7);
    expect(decodeSegmentHeader(header)).toEqual({ state: 'good', number: 7 });
    expect(decodeSegmentHeader(header.subarray(0, 19))).toEqual({ state: 'bad' });
    for (let at = 0; at < header.length; at += 1) {
      const flipped = Buffer.from(header);
      flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
      expect(decodeSegmentHeader(flipped)).toEqual({ state: 'bad' });
    }
  });

  test('is named by its number', () => {
    expect(segmentName(7)).toBe(NAME);
    expect(segmentNumber(NAME)).toBe(7);
    for (const name of [
      'segment-7.log',
      `${NAME}.2`,
      `x${NAME}`,
      'segment-99999999999999999999.log',
    ]) {
      expect(segmentNumber(name)).toBeUndefined();
    }
  });

  test('has kinds that differ in four bits or more', () => {
    const magics = Object.values(RECORD_MAGIC);
    for (const a of magics) {
      for (const b of magics.filter((other) => other !== a)) {
        const bits = (a ^ b).toString(2).replaceAll(/[^1]/g, '').length;
        expect(bits).toBeGreaterThanOrEqual(4);
      }
    }
  });
});

describe('the checkpoint file', () => {
  const sample: Checkpoint = {
    storeId: STORE,
    nextSegment: 7,
    epochs: [
      {
        epoch: EPOCH,
        predecessor: { epoch: BEFORE, lastSeq: 4 },
        highest: 100,
        settled: [
          { from: 1, to: 10, state: 'stored', code: 0 },
          { from: 11, to: 11, state: 'rejected', code: 2 },
          { from: 13, to: 20, state: 'declared', code: 3 },
        ],
      },
      { epoch: STORE, predecessor: undefined, highest: 1, settled: [] },
    ],
  };

  test('comes back as it was', () => {
    for (const checkpoint of [sample, { storeId: undefined, nextSegment: 0, epochs: [] }]) {
      expect(decodeCheckpoint(encodeCheckpoint(checkpoint))).toEqual({
        state: 'loaded',
        checkpoint,
      });
    }
  });

  test('is unreadable, never wrong, when any byte is changed or any tail is gone', () => {
    const bytes = encodeCheckpoint(sample);
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(at) ^ 4, at);
      expect(decodeCheckpoint(flipped).state).toBe('unreadable');
      expect(decodeCheckpoint(bytes.subarray(0, at)).state).toBe('unreadable');
    }
  });

  test('with values that no queue writes is unreadable, and says which', () => {
    const wrong: Array<[unknown, RegExp]> = [
      [{ ...sample, storeId: 'x' }, /a UUID is "x"/],
      [{ ...sample, epochs: [{ ...sample.epochs[0], highest: 0 }] }, /a seq is 0/],
      [
        {
          ...sample,
          epochs: [
            { ...sample.epochs[1], settled: [{ from: 3, to: 2, state: 'stored', code: 0 }] },
          ],
        },
        /a range is/,
      ],
    ];
    for (const [checkpoint, why] of wrong) {
      expect(decodeCheckpoint(encodeCheckpoint(checkpoint as Checkpoint))).toEqual({
        state: 'unreadable',
        why: expect.stringMatching(why),
      });
    }
  });
});

describe('the collector id', () => {
  test.each([
    ['web-1', 'web-1-0123abcd'],
    ['Web.Example_1', 'web.example_1-0123abcd'],
    ['-.host', 'host-0123abcd'],
    ['Größe des Hauses', 'gr-e-des-hauses-0123abcd'],
    ['', 'collector-0123abcd'],
    ['.-_', 'collector-0123abcd'],
    ['h'.repeat(300), `${'h'.repeat(48)}-0123abcd`],
  ])('made from the host name %j is %s', (hostName, id) => {
    expect(makeCollectorId(hostName, '0123abcd')).toBe(id);
    expect(isCollectorId(id)).toBe(true);
  });

  test('is durable under its name before it is used', () => {
    const files = new ModelledFiles();
    const source = { path: 'queue', hostName: 'web', randomHex: '0123abcd' };
    expect(loadCollectorId(files, source)).toBe('web-0123abcd');
    const after = files.afterPowerLoss(() => 0);
    expect(loadCollectorId(after, { ...source, randomHex: 'ffffffff' })).toBe('web-0123abcd');
  });

  test('that was put there by hand is taken', () => {
    const files = new ModelledFiles();
    files.put('collector-id', Buffer.from('my-own\n'));
    const source = { path: 'queue', hostName: 'web', randomHex: '0123abcd' };
    expect(loadCollectorId(files, source)).toBe('my-own');
  });
});
