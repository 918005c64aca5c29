/**
 * The catalogue of hostile input on the wire, as far as it is over at once: T03 to T38. What waits
 * for a deadline is in `slow-cases.ts`, what is about masses in `bounded.test.ts`.
 */
import { crc32, zstdCompressSync } from 'node:zlib';
import { encodeBody } from '#protocol/codec.ts';
import { OFFSETS, sealEnvelope } from '#protocol/envelope.ts';
import { type Epoch, frameCrc, PAYLOAD_BYTES_MAX, SEQ_MAX } from '#protocol/identity.ts';
import { BODY_BYTES_MAX, TRAILER_BYTES } from '#protocol/limits.ts';
import { KINDS, type Message, type WireFrame } from '#protocol/messages.ts';
import { EPOCH_A, epochOf, frameOf, framesOf } from '../unit/server/store-contract.ts';
import { bye, refused, STAYS, type WireCase } from './case.ts';
import { Peer } from './peer.ts';
import type { Stage } from './stage.ts';

const PROTOCOL_ERROR = (code: string) => bye('protocol_error', `${code}:`);
const STRANGER = (code: string) => refused('protocol', code);

export function messageOf(frames: readonly WireFrame[], epochIndex = 0): Message {
  return { kind: 'frames', epochIndex, frames };
}

/** A collector that is welcome, with one epoch. */
export function joined(stage: Stage, collector: string): Promise<Peer> {
  return Peer.joined(stage.server, collector, [epochOf(EPOCH_A, 1, 3)]);
}

function frameWith(payload: Buffer | string, more: Partial<WireFrame> = {}): WireFrame {
  const frame = {
    seq: 1,
    capturedAt: 1_700_000_000_000_000,
    payload: Buffer.from(payload),
    ...more,
  };
  return { ...frame, crc: frameCrc({ epoch: EPOCH_A, ...frame }) };
}

/** Says bytes instead of HELLO. */
const stranger =
  (bytes: Buffer) =>
  async ({ server }: Stage): Promise<Peer> => {
    const peer = await Peer.greeted(server);
    peer.raw(bytes);
    return peer;
  };

/** Sends one right FRAMES with three frames, has them acknowledged, then does something. */
const afterThree =
  (then: (peer: Peer) => void | Promise<void>) =>
  async (stage: Stage, collector: string): Promise<Peer> => {
    const peer = await joined(stage, collector);
    peer.send(messageOf(stage.vouch(collector, EPOCH_A, framesOf(EPOCH_A, 1, 3))));
    await peer.acked(3);
    await then(peer);
    return peer;
  };

/** Right frames that have to be stored and come out as they are. */
const storesAll =
  (frames: readonly WireFrame[]) =>
  async (stage: Stage, collector: string): Promise<Peer> => {
    const peer = await joined(stage, collector);
    peer.send(messageOf(stage.vouch(collector, EPOCH_A, frames)));
    await peer.acked(frames.length);
    return peer;
  };

/** FRAMES with a body made by hand. */
function framesBody(count: number, decodedLength: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32BE(count, 4);
  head.writeUInt32BE(decodedLength, 8);
  return Buffer.concat([head, data]);
}

function header(bodyLength: number): Buffer {
  const bytes = sealEnvelope(KINDS.frames, 0, 1, Buffer.alloc(0)).subarray(0, 14);
  bytes.writeUInt32BE(bodyLength, OFFSETS.bodyLength);
  return bytes;
}

const ONE = encodeBody(messageOf(framesOf(EPOCH_A, 9, 9))).body;
const ONE_DATA = ONE.subarray(12);
/** The beginning of a zstd frame with a window of 2^27 bytes. */
const WINDOW_128_MIB = Buffer.from('28b52ffd0088', 'hex');
const GREAT_BOMB = zstdCompressSync(Buffer.alloc(104_857_600));

/** Collector ids that aren't any. */
const BAD_IDS = ['../../x', 'a\0b', 'a\u202eb\u200b', 'a'.repeat(300), '__proto__', ''];

const POISON = [
  `{"deep":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
  `[${'0,'.repeat(500_000)}0]`,
  '{"a":NaN,"b":Infinity,"c":-0,"d":1e308,"e":1e999,"":1}',
  JSON.stringify({ ['x'.repeat(4_096)]: 1, __proto__: 1 }),
  '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toJSON":1}',
  "'; DROP TABLE frames; --",
  '<script>alert(1)</script><img src=x onerror=alert(1)>',
  '\u001b[2J\u001b]0;owned\u0007\r\n{"event":"forged"}\n\u202e\ufeff',
  '{"lone":"\\ud800"}',
  '',
].map((text, i) => frameWith(text, { seq: i + 1 }));

export const WIRE_CASES: readonly WireCase[] = [
  {
    id: 'T04',
    name: 'an HTTP request',
    expected: 'closed at its first bytes, nothing allocated for the length that they would mean',
    end: STRANGER('magic'),
    within: 'at once',
    play: stranger(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')),
  },
  {
    id: 'T05',
    name: 'a TLS ClientHello',
    expected: 'closed at its first bytes',
    end: STRANGER('magic'),
    within: 'at once',
    play: stranger(Buffer.from(`16030100a5010000a10303${'00'.repeat(40)}`, 'hex')),
  },
  {
    id: 'T06',
    name: 'an SSH banner',
    expected: 'closed at its first bytes',
    end: STRANGER('magic'),
    within: 'at once',
    play: stranger(Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian\r\n')),
  },
  {
    id: 'T06',
    name: '64 KiB of noise',
    expected: 'closed at its first bytes',
    end: STRANGER('magic'),
    within: 'at once',
    play: stranger(Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 167 + 13) % 251))),
  },
  {
    id: 'T07',
    name: 'another version in the envelope',
    expected: 'closed; GREETING has said which versions there are',
    end: STRANGER('version'),
    within: 'at once',
    play: stranger(Buffer.from('04d2000302000000000000000000000000', 'hex')),
  },
  {
    id: 'T07',
    name: 'HELLO with another version',
    expected: 'BYE{version}',
    end: { by: 'bye without text', log: 'version' },
    within: 'at once',
    play: async ({ server }, collector) => {
      const peer = await Peer.greeted(server);
      peer.raw(peer.wire.hello([], { collector, version: 3 }));
      return peer;
    },
  },
  {
    id: 'T08',
    name: 'a kind that does not exist',
    expected: 'BYE{protocol_error}; what came before is stored',
    end: PROTOCOL_ERROR('kind'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.raw(peer.wire.sealed(13, 0, Buffer.alloc(3)))),
  },
  {
    id: 'T08',
    name: 'a reserved flag',
    expected: 'BYE{protocol_error}; what came before is stored',
    end: PROTOCOL_ERROR('flags'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.seal('frames', 2, ONE)),
  },
  {
    id: 'T09',
    name: 'a body of no bytes, for a kind that has some',
    expected: 'BYE{protocol_error}; what came before is stored',
    end: PROTOCOL_ERROR('decode'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.seal('frames', 0, Buffer.alloc(0))),
  },
  {
    id: 'T10',
    name: 'a payload of exactly 1 MiB',
    expected: 'stored',
    end: STAYS,
    within: 'at once',
    stored: 1,
    play: storesAll([frameWith(Buffer.alloc(PAYLOAD_BYTES_MAX, 'full '))]),
  },
  {
    id: 'T11',
    name: 'the header of a body one byte over the limit, and no more',
    expected: 'BYE{protocol_error} before a byte of the body',
    end: PROTOCOL_ERROR('size'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.raw(header(BODY_BYTES_MAX + 1))),
  },
  {
    id: 'T11',
    name: 'before the proof, the header of a body of 8,193 bytes',
    expected: 'closed before a byte of the body',
    end: STRANGER('size'),
    within: 'at once',
    play: stranger(header(8_193)),
  },
  ...[0xffff_ffff, 0x8000_0000].map(
    (length): WireCase => ({
      id: 'T12',
      name: `a length of 0x${length.toString(16)}`,
      expected: 'BYE{protocol_error}; read as unsigned, nothing allocated',
      end: PROTOCOL_ERROR('size'),
      within: 'at once',
      stored: 3,
      play: afterThree((peer) => peer.raw(header(length))),
    }),
  ),
  {
    id: 'T13',
    name: 'half of a message, then the end of the stream',
    expected: 'the half is dropped, nothing of it is stored',
    end: { by: 'close', log: 'disconnected' },
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => {
      const bytes = peer.wire.bytesOf(messageOf(framesOf(EPOCH_A, 4, 9)));
      peer.socket.end(bytes.subarray(0, bytes.length - 9));
    }),
  },
  {
    id: 'T15',
    name: 'a length that is smaller than the content, under a right CRC',
    expected: 'BYE{protocol_error}; inner and outer length have to agree',
    end: PROTOCOL_ERROR('decode'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.seal('frames', 0, ONE.subarray(0, -1))),
  },
  {
    id: 'T16',
    name: 'a right conversation, byte by byte',
    expected: 'stored',
    end: STAYS,
    within: 'at once',
    stored: 3,
    play: async (stage, collector) => {
      const peer = await Peer.greeted(stage.server);
      const single = async (bytes: Buffer) => {
        for (const byte of bytes) {
          peer.raw(Buffer.from([byte]));
          await new Promise(setImmediate);
        }
      };
      await single(peer.wire.hello([epochOf(EPOCH_A, 1, 3)], { collector }));
      await peer.next('welcome');
      const frames = stage.vouch(collector, EPOCH_A, framesOf(EPOCH_A, 1, 3));
      await single(peer.wire.bytesOf(messageOf(frames)));
      await peer.acked(3);
      return peer;
    },
  },
  {
    id: 'T17',
    name: '1,000 messages in one piece',
    expected: 'all stored',
    end: STAYS,
    within: 'at once',
    stored: 1_000,
    play: async (stage, collector) => {
      const peer = await joined(stage, collector);
      const frames = stage.vouch(collector, EPOCH_A, framesOf(EPOCH_A, 1, 1_000));
      peer.send(...frames.map((frame) => messageOf([frame])));
      await peer.acked(1_000);
      return peer;
    },
  },
  ...[14, 6].map(
    (at): WireCase => ({
      id: 'T18',
      name: `a bit changed in the ${at === 14 ? 'body' : 'header'}`,
      expected: 'BYE{protocol_error}; nothing of that message is stored',
      end: PROTOCOL_ERROR('crc'),
      within: 'at once',
      stored: 3,
      play: afterThree((peer) => {
        const bytes = peer.wire.bytesOf(messageOf(framesOf(EPOCH_A, 4, 4)));
        // In the header the counter's highest bit: its length would only be waited for.
        const place = at === 14 ? at + 20 : OFFSETS.counter;
        bytes[place] = (bytes[place] ?? 0) ^ 0x80;
        peer.raw(bytes);
      }),
    }),
  ),
  {
    id: 'T18',
    name: 'a frame whose own CRC is wrong, in a message whose CRC is right',
    expected: 'REJECT{crc} for that frame alone; the others are stored',
    end: STAYS,
    within: 'at once',
    stored: 2,
    rejected: 1,
    play: async (stage, collector) => {
      const peer = await joined(stage, collector);
      const [first, second, third] = framesOf(EPOCH_A, 1, 3) as [WireFrame, WireFrame, WireFrame];
      stage.vouch(collector, EPOCH_A, [first, third]);
      peer.send(messageOf([first, { ...second, crc: (second.crc ^ 1) >>> 0 }, third]));
      await peer.acked(2);
      await peer.next('reject');
      return peer;
    },
  },
  {
    id: 'T19',
    name: 'a text that is not UTF-8, under a right CRC',
    expected: 'BYE{protocol_error}',
    end: PROTOCOL_ERROR('decode'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.seal('bye', 0, Buffer.from([1, 0, 0, 0, 0, 0, 2, 0xff, 0xfe]))),
  },
  {
    id: 'T19',
    name: 'bytes behind the fields, under a right CRC',
    expected: 'BYE{protocol_error}; a body has no byte more than its fields',
    end: PROTOCOL_ERROR('decode'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.seal('frames', 0, Buffer.concat([ONE, Buffer.alloc(1)]))),
  },
  {
    id: 'T20',
    name: 'payloads that harm who reads them: JSON 10,000 deep, half a million elements, keys of the language, SQL, markup, escape sequences (T31 and T32 too)',
    expected:
      'stored and exported bit for bit, for a payload is opaque; every path of the API goes on answering',
    end: STAYS,
    within: 'at once',
    stored: POISON.length,
    isHeavy: true,
    play: async (stage, collector) => {
      const peer = await storesAll(POISON)(stage, collector);
      await stage.apiMustAnswer(collector);
      return peer;
    },
  },
  {
    id: 'T21',
    name: '100 MiB of zeros in 3,219 bytes of zstd',
    expected: 'BYE{protocol_error} by the limit, not by the bytes',
    end: PROTOCOL_ERROR('compression'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.seal('frames', 1, framesBody(1, BODY_BYTES_MAX, GREAT_BOMB))),
  },
  {
    id: 'T21',
    name: 'a decoded length over the limit',
    expected: 'BYE{protocol_error} before anything is inflated',
    end: PROTOCOL_ERROR('size'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.seal('frames', 1, framesBody(1, 0xffff_ffff, GREAT_BOMB))),
  },
  ...(
    [
      ['cut short', (packed) => packed.subarray(0, -1)],
      ['with a second one behind', (packed) => Buffer.concat([packed, packed])],
      ['with bytes behind', (packed) => Buffer.concat([packed, Buffer.from('more')])],
      ['that asks for 128 MiB', (packed) => Buffer.concat([WINDOW_128_MIB, packed.subarray(6)])],
      ['of gzip', () => Buffer.from('1f8b0800000000000003', 'hex')],
    ] satisfies [string, (packed: Buffer) => Buffer][]
  ).map(
    ([what, spoil]): WireCase => ({
      id: 'T22',
      name: `a compressed body ${what}`,
      expected: 'BYE{protocol_error}; nothing of it is stored',
      end: PROTOCOL_ERROR('compression'),
      within: 'at once',
      stored: 3,
      play: afterThree((peer) => {
        const packed = spoil(zstdCompressSync(ONE_DATA));
        peer.seal('frames', 1, framesBody(1, ONE_DATA.length, packed));
      }),
    }),
  ),
  {
    id: 'T23',
    name: 'FRAMES before HELLO',
    expected: 'closed',
    end: STRANGER('state'),
    within: 'at once',
    play: async ({ server }) => {
      const peer = await Peer.greeted(server);
      peer.send(messageOf(framesOf(EPOCH_A, 1, 1)));
      return peer;
    },
  },
  {
    id: 'T23',
    name: 'FRAMES right behind HELLO, before WELCOME',
    expected: 'BYE{protocol_error}; nothing is stored',
    end: PROTOCOL_ERROR('state'),
    within: 'at once',
    stored: 0,
    play: async ({ server }, collector) => {
      const peer = await Peer.greeted(server);
      const hello = peer.wire.hello([epochOf(EPOCH_A, 1, 3)], { collector });
      const frames = peer.wire.bytesOf(messageOf(framesOf(EPOCH_A, 1, 1)));
      peer.raw(Buffer.concat([hello, frames]));
      return peer;
    },
  },
  {
    id: 'T23',
    name: 'HELLO twice',
    expected: 'BYE{protocol_error}',
    end: PROTOCOL_ERROR('state'),
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => peer.raw(peer.wire.hello([], { collector: 'other' }))),
  },
  ...(
    [
      { kind: 'ack', settled: [{ epochIndex: 0, from: 1, to: 9, state: 'pruned', code: 0 }] },
      { kind: 'settled', firstEpochIndex: 0, settled: [] },
    ] satisfies Message[]
  ).map(
    (message): WireCase => ({
      id: 'T23',
      name: `${message.kind.toUpperCase()} from a collector`,
      expected: 'BYE{protocol_error}; nothing is settled by it',
      end: PROTOCOL_ERROR('state'),
      within: 'at once',
      stored: 3,
      play: afterThree((peer) => peer.send(message)),
    }),
  ),
  {
    id: 'T24',
    name: 'a wrong token',
    expected:
      'BYE{unauthorized} without a text; compared in constant time, which no test here can show',
    end: { by: 'bye without text', log: 'wrong_token' },
    within: 'at once',
    play: async ({ server }, collector) => {
      const peer = await Peer.greeted(server, { token: Buffer.from('fedcba9876543210') });
      peer.raw(peer.wire.hello([], { collector }));
      return peer;
    },
  },
  {
    id: 'T24',
    name: 'a MAC of zeros',
    expected: 'BYE{unauthorized} without a text',
    end: { by: 'bye without text', log: 'wrong_token' },
    within: 'at once',
    play: async ({ server }, collector) => {
      const peer = await Peer.greeted(server);
      const hello = Buffer.from(peer.wire.hello([], { collector }));
      hello.fill(0, hello.length - 32 - TRAILER_BYTES, hello.length - TRAILER_BYTES);
      const sealed = hello.length - TRAILER_BYTES;
      hello.writeUInt32BE(crc32(hello.subarray(0, sealed)), sealed);
      peer.raw(hello);
      return peer;
    },
  },
  ...BAD_IDS.map(
    (id): WireCase => ({
      id: 'T25',
      name: `the collector id ${JSON.stringify(id.slice(0, 20)).replaceAll('\u202e', '\\u202e').replaceAll('\u200b', '\\u200b')}${id.length > 20 ? `… of ${id.length}` : ''}`,
      expected: 'closed; no name from the wire is used before it is checked',
      end: STRANGER('decode'),
      within: 'at once',
      play: async ({ server }) => {
        const peer = await Peer.greeted(server);
        peer.raw(peer.wire.hello([], { collector: id }));
        return peer;
      },
    }),
  ),
  ...([2, 0, 0xffff_ffff] as const).map(
    (counter): WireCase => ({
      id: 'T27',
      name: `the message counter ${counter} where 3 is due`,
      expected: 'BYE{protocol_error}: a message was lost, doubled or swapped',
      end: PROTOCOL_ERROR('counter'),
      within: 'at once',
      stored: 3,
      play: async (stage, collector) => {
        const peer = await afterThree((one) =>
          one.send({ kind: 'pong', id: 1, bytesReceived: 0, highest: undefined }),
        )(stage, collector);
        peer.raw(sealEnvelope(KINDS.frames, 0, counter, ONE));
        return peer;
      },
    }),
  ),
  ...(
    [
      ['seq 0', '00000000000000'],
      ['a seq that does not ascend', '01000000000000' + '00000000000000'],
      ['a seq of 2^53', '80808080808080100000000000'],
      ['a varint without an end', 'ffffffffffffffffffff'],
      ['a negative capture time (T30)', '01010000000000'],
      ['a capture time of 2^53 (T30)', '01' + '80808080808080' + '20' + '0000000000'],
    ] as const
  ).map(
    ([what, hex]): WireCase => ({
      id: 'T27',
      name: what,
      expected: 'BYE{protocol_error}; never taken for something near it',
      end: PROTOCOL_ERROR('decode'),
      within: 'at once',
      stored: 3,
      play: afterThree((peer) => {
        const data = Buffer.from(hex, 'hex');
        peer.seal('frames', 0, framesBody(what.includes('ascend') ? 2 : 1, data.length, data));
      }),
    }),
  ),
  {
    id: 'T27',
    name: 'seqs that jump, to 2^53 − 1 and back',
    expected: 'stored: continuity is the message counter',
    end: STAYS,
    within: 'at once',
    stored: 3,
    play: async (stage, collector) => {
      const peer = await joined(stage, collector);
      const frames = [frameOf(EPOCH_A, 7), frameOf(EPOCH_A, SEQ_MAX), frameOf(EPOCH_A, 2)].map(
        (frame) => frameWith(frame.payload as Buffer, { seq: frame.seq }),
      );
      stage.vouch(collector, EPOCH_A, frames);
      for (const frame of frames) peer.send(messageOf([frame]));
      await peer.acked(3);
      return peer;
    },
  },
  {
    id: 'T27',
    name: 'PING and GAP up to 2^53 − 1 in two epochs',
    expected: "taken as this collector's word, and everybody's audit goes on answering",
    end: STAYS,
    within: 'at once',
    stored: 0,
    isHeavy: true,
    play: async (stage, collector) => {
      const second: Epoch = EPOCH_A.replace(/a$/, 'c');
      const epochs = [epochOf(EPOCH_A, 1, 3), epochOf(second, 1, 3)];
      const peer = await Peer.joined(stage.server, collector, epochs);
      const highest = { epochIndex: 0, seq: SEQ_MAX };
      peer.send(
        { kind: 'ping', id: 1, bytesReceived: 0, highest },
        { kind: 'ping', id: 2, bytesReceived: 0, highest: { ...highest, epochIndex: 1 } },
        ...[0, 1].map(
          (epochIndex): Message => ({
            kind: 'gap',
            gaps: [{ epochIndex, from: 1, to: SEQ_MAX, reason: 'evicted' }],
          }),
        ),
      );
      await peer.next('ack');
      await stage.apiMustAnswer(collector);
      return peer;
    },
  },
  {
    id: 'T28',
    name: 'other bytes under an identity that is stored',
    expected: 'REJECT{conflict}; the stored row stays, and the log has an error',
    end: STAYS,
    within: 'at once',
    stored: 3,
    play: afterThree(async (peer) => {
      peer.send(messageOf([frameWith('something else', { seq: 2 })]));
      const { code } = await peer.next('reject');
      if (code !== 'conflict') throw new Error(`REJECT{${code}}`);
    }),
  },
  {
    id: 'T29',
    name: 'a second connection of the same process',
    expected: 'the older gets BYE{superseded} at once',
    end: bye('superseded'),
    within: 'at once',
    stored: 3,
    play: async (stage, collector) => {
      const peer = await afterThree(() => {})(stage, collector);
      await joined(stage, collector);
      return peer;
    },
  },
  {
    id: 'T29',
    name: 'a second process with the same id',
    expected: 'it gets BYE{in_use} while the first is there',
    end: bye('in_use'),
    within: 'at once',
    stored: 3,
    play: async (stage, collector) => {
      await afterThree(() => {})(stage, collector);
      const peer = await Peer.greeted(stage.server);
      const instance = '22222222-2222-4222-8222-222222222222';
      peer.raw(peer.wire.hello([], { collector, instance }));
      return peer;
    },
  },
  {
    id: 'T30',
    name: 'capture times 0 and 2^53 − 1',
    expected: 'kept to the microsecond',
    end: STAYS,
    within: 'at once',
    stored: 2,
    play: storesAll([
      frameWith('first', { capturedAt: 0 }),
      frameWith('last', { seq: 2, capturedAt: Number.MAX_SAFE_INTEGER }),
    ]),
  },
  {
    id: 'T34',
    name: 'a reset in mid-message',
    expected: 'nothing of the message is stored',
    end: { by: 'close', log: 'disconnected' },
    within: 'at once',
    stored: 3,
    play: afterThree(async (peer) => {
      const bytes = peer.wire.bytesOf(messageOf(framesOf(EPOCH_A, 4, 9)));
      await new Promise<void>((resolve) => {
        peer.socket.write(bytes.subarray(0, 40), () => resolve());
      });
      peer.socket.resetAndDestroy();
    }),
  },
  {
    id: 'T34',
    name: 'the end of the stream in the middle of a header',
    expected: 'closed; nobody waits for the rest',
    end: { by: 'close', log: 'disconnected' },
    within: 'at once',
    stored: 3,
    play: afterThree((peer) => void peer.socket.end(header(40).subarray(0, 7))),
  },
  {
    id: 'T34',
    name: 'half-closed after right frames, waiting for what comes',
    expected: 'closed wholly by the server; what it has taken stays stored',
    end: { by: 'close', log: 'disconnected' },
    within: 'at once',
    stored: 3,
    play: async (stage, collector) => {
      const options = { allowHalfOpen: true };
      const peer = await Peer.joined(stage.server, collector, [epochOf(EPOCH_A, 1, 3)], options);
      peer.send(messageOf(stage.vouch(collector, EPOCH_A, framesOf(EPOCH_A, 1, 3))));
      await peer.acked(3);
      peer.socket.end();
      return peer;
    },
  },
  {
    id: 'T36',
    name: '16 MiB of frames, sent without waiting for an ack',
    expected:
      'read no faster than they are stored, and all stored: there is no quota, the window is the bound',
    end: STAYS,
    within: 'at once',
    stored: 256,
    isHeavy: true,
    play: async (stage, collector) => {
      const peer = await joined(stage, collector);
      const payload = Buffer.alloc(65_536, 'much ');
      const frames = Array.from({ length: 256 }, (_, i) => frameWith(payload, { seq: i + 1 }));
      stage.vouch(collector, EPOCH_A, frames);
      for (const frame of frames) peer.send(messageOf([frame]));
      await peer.acked(256);
      return peer;
    },
  },
  {
    id: 'T37',
    name: 'a right message, and noise before the next',
    expected: 'the first is stored and acknowledged, then BYE{protocol_error}',
    end: PROTOCOL_ERROR('magic'),
    within: 'at once',
    stored: 3,
    play: async (stage, collector) => {
      const peer = await joined(stage, collector);
      const frames = stage.vouch(collector, EPOCH_A, framesOf(EPOCH_A, 1, 3));
      const noise = Buffer.from('noise before the next one');
      peer.raw(Buffer.concat([peer.wire.bytesOf(messageOf(frames)), noise]));
      await peer.acked(3);
      return peer;
    },
  },
];
