/** What goes to the writer's thread and back as numbers is the same on the other side. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GAP_REASONS, REJECT_CODES, SETTLED_STATES } from '#protocol/settlement.ts';
import {
  BatchUnpacker,
  OutcomePacker,
  OutcomeUnpacker,
  packBatches,
} from '#server/store/packed-batches.ts';
import { countOf } from '#server/store/packing.ts';
import { seeded } from '../seed.ts';

const wholeNumber = fc.maxSafeNat();
const frame = fc.record({
  seq: wholeNumber,
  capturedAt: fc.maxSafeInteger(),
  crc: fc.nat(0xffff_ffff),
  payload: fc.uint8Array({ maxLength: 40 }),
});
const gap = fc.record({
  from: wholeNumber,
  to: wholeNumber,
  reason: fc.constantFrom('evicted', 'damaged', 'dropped'),
});
const reject = fc.record({ seq: wholeNumber, code: fc.constantFrom('crc', 'too_large') });
const batch = fc.record({
  collector: fc.constant(randomUUID()),
  stream: wholeNumber,
  receivedAt: fc.maxSafeInteger(),
  frames: fc.array(frame, { maxLength: 5 }),
  gaps: fc.array(gap, { maxLength: 3 }),
  rejects: fc.array(reject, { maxLength: 3 }),
});
const range = fc.record({
  from: wholeNumber,
  to: wholeNumber,
  state: fc.constantFrom(...SETTLED_STATES),
  code: fc.nat(255),
});
const outcome = fc.record({
  settled: fc.array(range, { maxLength: 4 }),
  conflicts: fc.array(wholeNumber, { maxLength: 3 }),
  duplicates: wholeNumber,
});

test('batches come out as they were put in, what their gaps and rejections settle included', () => {
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 6 }), (batches) => {
      const packed = packBatches(batches);
      expect(packed.count).toBe(batches.length);
      expect(countOf(packed.frames)).toBe(batches.flatMap(({ frames }) => frames).length);
      const unpacker = new BatchUnpacker(packed);
      for (const { stream, receivedAt, frames, gaps, rejects } of batches) {
        const declared = gaps.map(({ from, to, reason }) => ({
          from,
          to,
          state: 'declared',
          code: GAP_REASONS[reason],
        }));
        const rejected = rejects.map(({ seq, code }) => ({
          from: seq,
          to: seq,
          state: 'rejected',
          code: REJECT_CODES[code],
        }));
        const taken = [...declared, ...rejected];
        expect(unpacker.take()).toEqual({ stream, receivedAt, frames, taken });
      }
      expect(() => unpacker.take()).toThrow('end too early');
    }),
    seeded({ numRuns: 200 }),
  );
});

test('outcomes come out as they were put in', () => {
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 6 }), (outcomes) => {
      const packer = new OutcomePacker();
      for (const one of outcomes) packer.add(one);
      const unpacker = new OutcomeUnpacker(packer.finish());
      for (const one of outcomes) expect(unpacker.take()).toEqual(one);
      expect(() => unpacker.take()).toThrow('end too early');
    }),
    seeded({ numRuns: 200 }),
  );
});
