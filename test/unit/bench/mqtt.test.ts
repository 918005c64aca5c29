/** The few packets of MQTT that a benchmark writes and reads. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PacketReader, packetOf, pubacksOf } from '#bench/peers/mqtt.ts';
import { seeded } from '../seed.ts';

test('packets come out as they were written, wherever the stream was cut', () => {
  const packet = fc.record({
    type: fc.constantFrom(0x20, 0x32, 0x40),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // The remaining length takes a byte more from 128 and from 16,384 on.
      fc.constantFrom(127, 128, 16_383, 16_384).map((length) => new Uint8Array(length).fill(7)),
    ),
  });
  fc.assert(
    fc.property(
      fc.array(packet),
      fc.infiniteStream(fc.integer({ min: 1, max: 300 })),
      (all, cuts) => {
        const stream = Buffer.concat(
          all.map(({ type, body }) => packetOf(type, [Buffer.from(body)])),
        );
        const reader = new PacketReader();
        const found: { type: number; body: Uint8Array }[] = [];
        for (let at = 0; at < stream.length; ) {
          const length = cuts.next().value ?? 1;
          for (const { type, body } of reader.read(stream.subarray(at, at + length))) {
            found.push({ type, body: Uint8Array.from(body) });
          }
          at += length;
        }
        expect(found).toEqual(all);
      },
    ),
    seeded(),
  );
});

test('many acknowledgements in one are the packets that the standard says', () => {
  const acks = [7, 65_535].map((id) => packetOf(0x40, [Buffer.from([id >> 8, id & 0xff])]));
  expect(pubacksOf([7, 65_535])).toEqual(Buffer.concat(acks));
});

test('a length takes as many bytes as the standard says', () => {
  const header = (length: number) => [...packetOf(0x32, [Buffer.alloc(length)])].slice(0, -length);
  expect(header(127)).toEqual([0x32, 0x7f]);
  expect(header(128)).toEqual([0x32, 0x80, 0x01]);
  expect(header(16_384)).toEqual([0x32, 0x80, 0x80, 0x01]);
});
