/** The peers' own protocols, as the source of a benchmark reads and writes them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { configured } from '#bench/peers/configuration.ts';
import { NATS_KINDS } from '#bench/peers/nats.ts';
import { type NatsOperation, NatsReader, publication } from '#bench/peers/nats-client.ts';
import { type RelpFrame, RelpReader, relpFrame } from '#bench/peers/relp.ts';
import { RSYSLOG_KINDS } from '#bench/peers/rsyslog.ts';
import { seeded } from '../seed.ts';

/** Any bytes, among them what ends a line. */
const payloads = fc
  .uint8Array({ maxLength: 300 })
  .chain((bytes) => fc.constantFrom(Buffer.from(bytes), Buffer.from(`a\r\n${bytes}\n`)));
/** Of the chunks that a stream is cut into; by the byte, each cut that can be made is. */
const sizes = fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 500 }));

function chunksOf(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

test('RELP frames come out as they went in, wherever a chunk ends', () => {
  const frames = fc.record({
    transaction: fc.nat({ max: 999_999_999 }),
    command: fc.constantFrom('rsp', 'syslog', 'serverclose'),
    data: payloads,
  });
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 20 }), sizes, (sent, size) => {
      const reader = new RelpReader();
      const bytes = Buffer.concat(sent.map((frame) => relpFrame(frame)));
      const received: RelpFrame[] = chunksOf(bytes, size).flatMap((chunk) => reader.take(chunk));
      expect(received).toEqual(sent);
    }),
    seeded(),
  );
});

test('a RELP frame is written as its specification has it', () => {
  const frame = (data: string) => ({ transaction: 2, command: 'syslog', data: Buffer.from(data) });
  expect(relpFrame(frame('hello')).toString()).toBe('2 syslog 5 hello\n');
  expect(relpFrame(frame('')).toString()).toBe('2 syslog 0\n');
});

test.each(['HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n', '1 rsp 3 200x'])(
  'what is no RELP frame is refused: %j',
  (bytes) => {
    expect(() => new RelpReader().take(Buffer.from(bytes))).toThrow('no RELP frame');
  },
);

test('NATS operations come out as the server said them, wherever a chunk ends', () => {
  const messages = payloads.map((payload): [Buffer, NatsOperation[]] => [
    Buffer.concat([Buffer.from(`MSG rec 7 ${payload.length}\r\n`), payload, Buffer.from('\r\n')]),
    [{ type: 'message', id: 7, payload }],
  ]);
  const others = fc.constantFrom<[Buffer, NatsOperation[]]>(
    [Buffer.from('PING\r\n'), [{ type: 'ping' }]],
    [Buffer.from('INFO {"server_id":"A"}\r\n'), []],
    [Buffer.from("-ERR 'Stale Connection'\r\n"), [{ type: 'error', text: "'Stale Connection'" }]],
    [
      Buffer.from('MSG rec 12 $JS.ACK.REC 2\r\nhi\r\n'),
      [{ type: 'message', id: 12, payload: Buffer.from('hi') }],
    ],
  );
  const said = fc.array(fc.oneof(messages, others), { maxLength: 20 });
  fc.assert(
    fc.property(said, sizes, (operations, size) => {
      const reader = new NatsReader();
      const bytes = Buffer.concat(operations.map(([written]) => written));
      const read = chunksOf(bytes, size).flatMap((chunk) => reader.take(chunk));
      expect(read).toEqual(operations.flatMap(([, expected]) => expected));
    }),
    seeded(),
  );
});

test('what no NATS server says is refused', () => {
  expect(() => new NatsReader().take(Buffer.from('* OK IMAP4rev1\r\n'))).toThrow('no operation');
});

test('a publication has its length and its reply', () => {
  const written = Buffer.concat(publication('rec', 'acks', Buffer.from('hello'))).toString();
  expect(written).toBe('PUB rec acks 5\r\nhello\r\n');
});

test('a configuration is the printed lines with their values', () => {
  const lines = ['listen: 127.0.0.1:<port>', 'leafnodes { listen: <leaf port> }'];
  expect(configured(lines, { port: 1, 'leaf port': 2 })).toBe(
    'listen: 127.0.0.1:1\nleafnodes { listen: 2 }\n',
  );
  expect(() => configured(lines, { port: 1 })).toThrow('<leaf port>');
});

test('every kind says how both of its ends are set', () => {
  for (const { settings } of [...NATS_KINDS, ...RSYSLOG_KINDS]) {
    expect(settings.some((line) => line.startsWith('edge: '))).toBe(true);
    expect(settings.some((line) => line.startsWith('central: '))).toBe(true);
  }
});
