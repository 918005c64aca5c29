/**
 * The codec beyond the vectors: every right message survives, compressed or not, and no wrong body
 * is taken for a right one.
 */
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteWriter } from '#protocol/bytes.ts';
import { decodeBody, encodeBody } from '#protocol/codec.ts';
import { ProtocolError, type ProtocolErrorCode } from '#protocol/errors.ts';
import { CAPTURED_AT_MAX, PAYLOAD_BYTES_MAX, SEQ_MAX } from '#protocol/identity.ts';
import { KINDS, type Message } from '#protocol/messages.ts';
import { seeded } from '../seed.ts';
import { messages, wireFrames } from './arbitraries.ts';

const NO_EPOCH = '00000000-0000-0000-0000-000000000000';
const EPOCH = '01938c5e-8a00-7000-8000-000000000001';

function recode(message: Message, compress = false): Message {
  const { kind, flags, body } = encodeBody(message, compress);
  return decodeBody(KINDS[kind], flags, body);
}

function codeOf(decode: () => unknown): ProtocolErrorCode {
  try {
    decode();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  throw new Error('the body was taken');
}

test('every message survives encoding and decoding', () => {
  fc.assert(
    fc.property(messages, (message) => {
      expect(recode(message)).toEqual(message);
    }),
    seeded(),
  );
});

test('compressed frames come out bit for bit', () => {
  fc.assert(
    fc.property(wireFrames, (frames) => {
      const message: Message = { kind: 'frames', epochIndex: 3, frames };
      expect(recode(message, true)).toEqual(message);
    }),
    seeded(),
  );
});

test('compression is used where it helps and left out where it does not', () => {
  const frame = { seq: 1, capturedAt: 0, crc: 0 };
  const zeros = { ...frame, payload: Buffer.alloc(1000) };
  const short = { ...frame, payload: Buffer.from('x') };
  expect(encodeBody({ kind: 'frames', epochIndex: 0, frames: [zeros] }, true).flags).toBe(1);
  expect(encodeBody({ kind: 'frames', epochIndex: 0, frames: [short] }, true).flags).toBe(0);
});

test('a body that is cut anywhere, or has a byte too many, is refused', () => {
  fc.assert(
    fc.property(messages, fc.nat(), (message, at) => {
      const { kind, flags, body } = encodeBody(message);
      const cut = body.subarray(0, at % body.length);
      expect(() => decodeBody(KINDS[kind], flags, cut)).toThrow(ProtocolError);
      const longer = Buffer.concat([body, Buffer.alloc(1)]);
      expect(() => decodeBody(KINDS[kind], flags, longer)).toThrow(ProtocolError);
    }),
    seeded(),
  );
});

test('random bytes never do worse than a ProtocolError', () => {
  const bodies = fc.uint8Array({ maxLength: 200 });
  const number = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(number, number, bodies, (kind, flags, body) => {
      try {
        decodeBody(kind, flags, Buffer.from(body));
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    seeded({ numRuns: 5_000 }),
  );
});

describe('at the edges', () => {
  test('the largest payload, seq and capture time pass', () => {
    const payload = Buffer.alloc(PAYLOAD_BYTES_MAX, 7);
    const frames = [{ seq: SEQ_MAX, capturedAt: CAPTURED_AT_MAX, crc: 0xffff_ffff, payload }];
    const message: Message = { kind: 'frames', epochIndex: 0xffff_ffff, frames };
    expect(recode(message)).toEqual(message);
  });

  test('a text over its limit is cut at a character', () => {
    const text = 'ß'.repeat(400);
    const cut = recode({ kind: 'bye', reason: 'shutdown', retryAfterMs: 0, text });
    expect(cut).toMatchObject({ text: 'ß'.repeat(256) });
  });
});

/** A FRAMES body with any head and any data. */
function framesBody(count: number, decodedLength: number, data: Uint8Array): Buffer {
  const writer = new ByteWriter().uint32(0).uint32(count).uint32(decodedLength);
  return writer.bytes(data).finish();
}

/** One frame as it stands in FRAMES. */
function frameData(seq: number, capturedAt: number, length: number): Buffer {
  return new ByteWriter().varint(seq).zigzag(capturedAt).varint(length).uint32(0).finish();
}

function announcement(epoch: string, lowest: number, highest: number): Buffer {
  const writer = new ByteWriter().flag(false).uint8(1).uuid(epoch);
  return writer.uint64(lowest).uint64(highest).uuid(NO_EPOCH).uint64(0).finish();
}

const frame = frameData(1, 0, 0);

/** `frame` as one raw block behind a frame header that asks for a window of 2^log bytes. */
function zstdWithWindow(log: number): Buffer {
  const block = Buffer.alloc(3);
  block.writeUIntLE((frame.length << 3) | 1, 0, 3);
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3]), block, frame]);
}

test('a compressed body may ask for the window that every decoder has to have', () => {
  const decoded = decodeBody(KINDS.frames, 1, framesBody(1, 7, zstdWithWindow(23)));
  expect(decoded).toMatchObject({ kind: 'frames', frames: [{ seq: 1 }] });
});

const bomb = zstdCompressSync(Buffer.alloc(100 * 1024 * 1024));

describe('a body that lies is refused', () => {
  test.each<[string, ProtocolErrorCode, number, number, Buffer]>([
    ['a kind that does not exist', 'kind', 0, 0, Buffer.alloc(0)],
    ['the kind behind the last', 'kind', 13, 0, Buffer.alloc(0)],
    ['a flag on a kind without flags', 'flags', KINDS.ack, 1, Buffer.from([0])],
    ['an unknown flag on FRAMES', 'flags', KINDS.frames, 2, framesBody(1, 7, frame)],
    ['no frames', 'decode', KINDS.frames, 0, framesBody(0, 0, Buffer.alloc(0))],
    ['more frames than allowed', 'decode', KINDS.frames, 0, framesBody(4_097, 7, frame)],
    ['more frames than there are', 'decode', KINDS.frames, 0, framesBody(2, 7, frame)],
    ['fewer frames than there are', 'decode', KINDS.frames, 0, framesBody(1, 7, frame).fill(0, 8)],
    ['a decoded length over the limit', 'size', KINDS.frames, 1, framesBody(1, 0xffff_ffff, frame)],
    ['a decoded length that is not so', 'decode', KINDS.frames, 0, framesBody(1, 8, frame)],
    ['seq 0', 'decode', KINDS.frames, 0, framesBody(1, 7, frameData(0, 0, 0))],
    ['a negative capture time', 'decode', KINDS.frames, 0, framesBody(1, 7, frameData(1, -1, 0))],
    [
      'a payload over the limit',
      'size',
      KINDS.frames,
      0,
      framesBody(1, 9, frameData(1, 0, PAYLOAD_BYTES_MAX + 1)),
    ],
    ['a bomb', 'compression', KINDS.frames, 1, framesBody(1, 1_000_000, bomb)],
    ['bytes that are not zstd', 'compression', KINDS.frames, 1, framesBody(1, 7, frame)],
    [
      'compressed data that is shorter than said',
      'decode',
      KINDS.frames,
      1,
      framesBody(1, 9, zstdCompressSync(frame)),
    ],
    ...[Buffer.from('j'), Buffer.from('junk'), zstdCompressSync(Buffer.alloc(0))].map(
      (more): [string, ProtocolErrorCode, number, number, Buffer] => [
        `${more.length} bytes behind the compressed data`,
        'compression',
        KINDS.frames,
        1,
        framesBody(1, 7, Buffer.concat([zstdCompressSync(frame), more])),
      ],
    ),
    [
      'a compressed body without its end',
      'compression',
      KINDS.frames,
      1,
      framesBody(1, 7, zstdCompressSync(frame).subarray(0, -1)),
    ],
    ['a window of 16 MiB', 'compression', KINDS.frames, 1, framesBody(1, 7, zstdWithWindow(24))],
    ['a varint not in its shortest form', 'decode', KINDS.ping, 0, Buffer.from([0x80, 0, 0, 0])],
    ['a varint without an end', 'decode', KINDS.ping, 0, Buffer.alloc(12, 0xff)],
    ['a flag of 2', 'decode', KINDS.ping, 0, Buffer.from([0, 0, 2])],
    ['65 settled ranges', 'decode', KINDS.ack, 0, Buffer.from([65])],
    ['settled state 0', 'decode', KINDS.ack, 0, Buffer.from([1, 0, 1, 0, 0, 0])],
    ['settled state 5', 'decode', KINDS.ack, 0, Buffer.from([1, 0, 1, 0, 5, 0])],
    ['a settled range from 0', 'decode', KINDS.ack, 0, Buffer.from([1, 0, 0, 0, 3, 0])],
    ['a gap reason that does not exist', 'decode', KINDS.gap, 0, Buffer.from([1, 0, 1, 0, 99])],
    ['an epoch of zeros', 'decode', KINDS.epochs, 0, announcement(NO_EPOCH, 1, 0)],
    ['lowest above highest', 'decode', KINDS.epochs, 0, announcement(EPOCH, 3, 1)],
    ['a text that is not UTF-8', 'decode', KINDS.bye, 0, Buffer.from([1, 0, 0, 0, 0, 0, 1, 0xff])],
    ['a text over its limit', 'decode', KINDS.bye, 0, Buffer.from([1, 0, 0, 0, 0, 2, 1])],
  ])('%s', (_name, code, kind, flags, body) => {
    expect(codeOf(() => decodeBody(kind, flags, body))).toBe(code);
  });

  test.each(['', '../../x', 'a\0b', 'Upper', '-first', 'a'.repeat(65), 'a\u202eb', '__proto__'])(
    'the collector id %j',
    (collector) => {
      const hello = {
        kind: 'hello',
        version: 2,
        collector,
        instance: EPOCH,
        nonce: Buffer.alloc(32),
        more: false,
        epochs: [],
        mac: Buffer.alloc(32),
      } as const;
      const { body } = encodeBody(hello);
      expect(codeOf(() => decodeBody(KINDS.hello, 0, body))).toBe('decode');
    },
  );
});
