/** What left and may have arrived, against the plainest form of the same: a map from seqs to messages. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Unconfirmed } from '#collector/producer/unconfirmed.ts';
import { seeded } from '../seed.ts';

const range = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 12 }))
  .map(([from, more]) => ({ from, to: from + more }));
const step = fc.record({
  epoch: fc.constantFrom('one', 'other'),
  does: fc.constantFrom('lost', 'settled', 'sent again'),
  range,
});

class Plain {
  readonly #messages = new Map<string, { bytes: number; open: number }>();

  get empty(): boolean {
    return this.#messages.size === 0;
  }

  add(epoch: string, seqs: readonly number[], bytes: number): void {
    this.remove(epoch, seqs);
    const message = { bytes, open: seqs.length };
    for (const seq of seqs) this.#messages.set(`${epoch} ${seq}`, message);
  }

  remove(epoch: string, seqs: readonly number[]): { seqs: number; bytes: number } {
    const removed = { seqs: 0, bytes: 0 };
    for (const seq of seqs) {
      const message = this.#messages.get(`${epoch} ${seq}`);
      if (message === undefined) continue;
      this.#messages.delete(`${epoch} ${seq}`);
      removed.seqs += 1;
      message.open -= 1;
      if (message.open === 0) removed.bytes += message.bytes;
    }
    return removed;
  }
}

test('counts seqs in doubt and the bytes of messages that are whole, in any order', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const real = new Unconfirmed();
      const plain = new Plain();
      steps.forEach(({ epoch, does, range: { from, to } }, i) => {
        const seqs = Array.from({ length: to - from + 1 }, (_, n) => from + n);
        // A message may have a hole where an ack came.
        const kept = seqs.filter((seq) => seq !== from + 3);
        const open = [
          { from, to: Math.min(to, from + 2) },
          { from: from + 4, to },
        ].filter((run) => run.from <= run.to);
        if (does === 'lost') {
          real.add(epoch, open, 100 + i);
          plain.add(epoch, kept, 100 + i);
        } else if (does === 'settled') {
          expect(real.onSettled(epoch, { from, to })).toEqual(plain.remove(epoch, seqs));
        } else {
          expect(real.onSentAgain(epoch, { from, to })).toBe(plain.remove(epoch, seqs).seqs);
        }
        expect(real.empty).toBe(plain.empty);
      });
    }),
    seeded({ numRuns: 500 }),
  );
});
