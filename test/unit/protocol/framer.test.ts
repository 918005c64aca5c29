/**
 * The framer: any chunking gives the same messages; nothing damaged is ever handed on.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBody } from '#protocol/codec.ts';
import { MessageWriter, sealEnvelope } from '#protocol/envelope.ts';
import { ProtocolError } from '#protocol/errors.ts';
import { Framer, type RawMessage } from '#protocol/framer.ts';
import {
  BODY_BYTES_MAX,
  BODY_BYTES_MAX_BEFORE_PROOF,
  HEADER_BYTES,
  TRAILER_BYTES,
} from '#protocol/limits.ts';
import { KINDS, type Message } from '#protocol/messages.ts';
import { seeded } from '../seed.ts';
import { messages } from './arbitraries.ts';

function take(framer: Framer): RawMessage[] {
  const taken: RawMessage[] = [];
  for (let raw = framer.next(); raw !== undefined; raw = framer.next()) taken.push(raw);
  return taken;
}

function streamOf(list: readonly Message[]): Buffer {
  const writer = new MessageWriter();
  return Buffer.concat(list.map((message) => writer.write(message).bytes));
}

function decoded(raws: readonly RawMessage[]): Message[] {
  return raws.map(({ kind, flags, body }) => decodeBody(kind, flags, body));
}

function openFramer(): Framer {
  const framer = new Framer();
  framer.liftLimit();
  return framer;
}

const ping: Message = { kind: 'ping', id: 7, bytesReceived: 300, highest: undefined };
const bye: Message = { kind: 'bye', reason: 'timeout', retryAfterMs: 5, text: 'bye' };

describe('the same messages come out', () => {
  test('of one chunk', () => {
    const framer = openFramer();
    framer.push(streamOf([ping, bye, ping]));
    expect(decoded(take(framer))).toEqual([ping, bye, ping]);
    expect(framer.midMessage).toBe(false);
  });

  test('byte by byte', () => {
    const framer = openFramer();
    const taken: RawMessage[] = [];
    for (const byte of streamOf([ping, bye])) {
      framer.push(Buffer.from([byte]));
      taken.push(...take(framer));
    }
    expect(decoded(taken)).toEqual([ping, bye]);
  });

  test('with trailing bytes of the next', () => {
    const framer = openFramer();
    const stream = streamOf([ping, bye]);
    framer.push(stream.subarray(0, -3));
    expect(decoded(take(framer))).toEqual([ping]);
    expect(framer.midMessage).toBe(true);
    framer.push(stream.subarray(-3));
    expect(decoded(take(framer))).toEqual([bye]);
  });

  test('of any chunking of any messages', () => {
    const cuts = fc.array(fc.nat(), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(messages, { maxLength: 6 }), cuts, (list, places) => {
        const stream = streamOf(list);
        const sorted = [...places.map((at) => at % (stream.length + 1)), stream.length];
        sorted.sort((a, b) => a - b);
        const framer = openFramer();
        const taken: RawMessage[] = [];
        let from = 0;
        for (const to of sorted) {
          framer.push(stream.subarray(from, to));
          taken.push(...take(framer));
          from = to;
        }
        expect(decoded(taken)).toEqual(list);
      }),
      seeded(),
    );
  });
});

test('every truncation waits for more, and gives nothing', () => {
  const { bytes } = new MessageWriter().write(bye);
  for (let length = 0; length < bytes.length; length += 1) {
    const framer = openFramer();
    framer.push(bytes.subarray(0, length));
    expect(framer.next()).toBeUndefined();
  }
});

test('no message with a flipped bit is ever handed on', () => {
  const { bytes } = new MessageWriter().write(bye);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const framer = openFramer();
    framer.push(flipped);
    let taken: RawMessage | undefined;
    try {
      taken = framer.next();
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
    expect(taken, `bit ${bit}`).toBeUndefined();
  }
});

function errorOf(framer: Framer, bytes: Buffer): ProtocolError {
  framer.push(bytes);
  try {
    take(framer);
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('the bytes were taken');
}

describe('the stream is given up', () => {
  const stream = streamOf([ping, bye, ping]);
  const second = new MessageWriter().write(ping).bytes.length;
  const third = stream.length - second;

  test('when a message is missing in the middle', () => {
    const hole = Buffer.concat([stream.subarray(0, second), stream.subarray(third)]);
    expect(errorOf(openFramer(), hole).code).toBe('counter');
  });

  test('when a message comes twice', () => {
    const twice = Buffer.concat([stream.subarray(0, second), stream.subarray(0, second)]);
    expect(errorOf(openFramer(), twice).code).toBe('counter');
  });

  test.each([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a TLS ClientHello', Buffer.from('1603010200010001fc0303'.padEnd(64, '0'), 'hex')],
    ['an SSH banner', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  ])('at once for %s, whatever length it seems to claim', (_name, bytes) => {
    expect(errorOf(new Framer(), bytes).code).toBe('magic');
  });

  test('for another version', () => {
    const { bytes } = new MessageWriter().write(ping);
    bytes.writeUInt16BE(3, 2);
    expect(errorOf(new Framer(), bytes).code).toBe('version');
  });

  test('and stays given up', () => {
    const framer = openFramer();
    const first = errorOf(framer, Buffer.from('GET / HTTP/1.1\r\n'));
    framer.push(stream);
    expect(() => framer.next()).toThrow(first);
  });
});

describe('lengths', () => {
  function header(bodyLength: number): Buffer {
    const bytes = Buffer.from(sealEnvelope(KINDS.ping, 0, 0, Buffer.alloc(0)));
    bytes.writeUInt32BE(bodyLength, 6);
    return bytes.subarray(0, HEADER_BYTES);
  }

  test.each([BODY_BYTES_MAX_BEFORE_PROOF + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])(
    'of %d are refused before proof by the header alone',
    (length) => {
      expect(errorOf(new Framer(), header(length)).code).toBe('size');
    },
  );

  test('of one over the limit are refused after proof too', () => {
    expect(errorOf(openFramer(), header(BODY_BYTES_MAX + 1)).code).toBe('size');
  });

  test('of exactly the limit are taken', () => {
    const framer = openFramer();
    framer.push(sealEnvelope(KINDS.ping, 0, 0, Buffer.alloc(BODY_BYTES_MAX)));
    expect(framer.next()?.body.length).toBe(BODY_BYTES_MAX);
  });

  test('of zero are taken', () => {
    const framer = new Framer();
    framer.push(sealEnvelope(KINDS.ping, 0, 0, Buffer.alloc(0)));
    expect(framer.next()?.body.length).toBe(0);
    expect(framer.midMessage).toBe(false);
  });

  test('count nothing but header, body and trailer', () => {
    const { bytes, body } = new MessageWriter().write(ping);
    expect(bytes.length).toBe(HEADER_BYTES + body.length + TRAILER_BYTES);
  });
});
