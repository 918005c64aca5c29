/** The memory that all connections share: bounded, nobody starved, never stuck. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Account, Budget } from '#server/ingest/budget.ts';
import { seeded } from '../seed.ts';

const MAX = 1_000;
const RESERVE = 100;

/** A connection that brings messages of a size, in parts, and whose messages are committed later. */
class Bringer {
  readonly account: Account;
  readonly messageBytes: number;
  readonly windowBytes: number;
  left: number;
  /** Bytes of a message of which a part has come; bytes on their way into the store. */
  partial = 0;
  inFlight = 0;
  heldBack = false;

  constructor(budget: Budget, messages: number, messageBytes: number, windowBytes: number) {
    this.left = messages * messageBytes;
    this.messageBytes = messageBytes;
    this.windowBytes = windowBytes;
    this.account = budget.open(() => {
      this.heldBack = !this.account.mayTake();
    });
  }

  get mayBring(): boolean {
    return this.left > 0 && !this.heldBack && this.inFlight < this.windowBytes;
  }

  bring(bytes: number): void {
    const some = Math.min(bytes, this.left, this.messageBytes - this.partial);
    this.left -= some;
    this.partial += some;
    if (this.partial === this.messageBytes) {
      this.inFlight += this.partial;
      this.partial = 0;
    }
    this.tell();
  }

  commit(): void {
    this.inFlight = 0;
    this.tell();
  }

  tell(): void {
    this.account.hold(this.partial + this.inFlight);
    this.heldBack = !this.account.mayTake();
  }
}

test('whatever the order, the memory is bounded, and all is brought in the end', () => {
  const sizes = fc.record({
    messages: fc.integer({ min: 1, max: 10 }),
    messageBytes: fc.integer({ min: 1, max: 400 }),
  });
  fc.assert(
    fc.property(
      fc.array(sizes, { minLength: 1, maxLength: 10 }),
      fc.infiniteStream(fc.nat()),
      (all, choices) => {
        const budget = new Budget({ bytesMax: MAX, connectionsMax: MAX / RESERVE });
        const bringers = all.map(
          ({ messages, messageBytes }) => new Bringer(budget, messages, messageBytes, 300),
        );
        const pick = <T>(from: readonly T[]) => from[choices.next().value % from.length] as T;
        let steps = 0;
        for (;;) {
          const able = bringers.filter(({ mayBring }) => mayBring);
          const committing = bringers.filter(({ inFlight }) => inFlight > 0);
          if (able.length + committing.length === 0) break;
          const one = pick([...able, ...committing]);
          if (one.inFlight > 0 && (!one.mayBring || choices.next().value % 2 === 0)) one.commit();
          else one.bring(50);
          budget.wake();
          // The budget, all reserves and a part more of each, and one window and its message.
          const bound = MAX + bringers.length * (RESERVE + 50) + 300 + 400;
          expect(budget.held).toBeLessThanOrEqual(bound);
          steps += 1;
          expect(steps).toBeLessThan(10_000);
        }
        expect(bringers.map(({ left }) => left)).toEqual(bringers.map(() => 0));
        expect(budget.held).toBe(0);
      },
    ),
    seeded(),
  );
});

test('a few bytes of anybody are taken however much the others hold', () => {
  const budget = new Budget({ bytesMax: MAX, connectionsMax: MAX / RESERVE });
  const backlog = budget.open(() => {});
  backlog.hold(5_000);
  expect(backlog.mayTake()).toBe(true);
  const second = budget.open(() => {});
  second.hold(RESERVE + 1);
  expect(second.mayTake()).toBe(false);
  const live = budget.open(() => {});
  live.hold(RESERVE);
  expect(live.mayTake()).toBe(true);
});

test('those who wait go on in the order in which they had to, and one that leaves holds up nobody', () => {
  const budget = new Budget({ bytesMax: MAX, connectionsMax: MAX / RESERVE });
  const woken: string[] = [];
  const open = (name: string) => {
    const account: Account = budget.open(() => {
      if (!account.mayTake()) return;
      woken.push(name);
      account.hold(600);
    });
    account.hold(500);
    account.mayTake();
    return account;
  };
  const [first, , , fourth] = ['first', 'second', 'third', 'fourth'].map(open);
  budget.wake();
  expect(woken).toEqual([]);
  first?.close();
  budget.wake();
  // Room for none: the first in line goes on all the same.
  expect(woken).toEqual(['second']);
  fourth?.close();
  budget.wake();
  expect(woken.at(-1)).toBe('second');
});
