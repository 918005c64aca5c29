/**
 * Both orders of draining over modelled paths with random faults: whatever happens, each frame is
 * stored once, bit for bit, and settled. And what each order is for.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DeliveryOptions } from '#collector/producer/delivery.ts';
import type { DrainOrder } from '#collector/producer/lanes.ts';
import { type Frame, frameCrc } from '#protocol/identity.ts';
import { seeded } from '../seed.ts';
import { Path } from './path.ts';
import { epochNumber } from './rig.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const OLD = epochNumber(1);
const NEW = epochNumber(2);

function made(epoch: string, seq: number, bytes: number): Frame {
  const payload = Buffer.alloc(bytes, `${epoch} ${seq}`);
  const frame = { epoch, seq, capturedAt: 1_764_000_000_000_000 + seq * 5_003, payload };
  return { ...frame, crc: frameCrc(frame) };
}

function run(epoch: string, from: number, count: number, bytes = 200): Frame[] {
  return Array.from({ length: count }, (_, i) => made(epoch, from + i, bytes));
}

const fault = fc.oneof(
  fc.record({ type: fc.constant('cut' as const) }),
  fc.record({ type: fc.constant('limit' as const), bytes: fc.integer({ min: 1_500, max: 9_000 }) }),
  fc.record({ type: fc.constant('rate' as const), bytesPerMs: fc.integer({ min: 2, max: 500 }) }),
  fc.record({ type: fc.constant('delay' as const), delayMs: fc.integer({ min: 0, max: 800 }) }),
  fc.record({ type: fc.constant('dead' as const), direction: fc.constantFrom('up', 'down') }),
);
const happening = fc.record({
  waitMs: fc.integer({ min: 0, max: 3_000 }),
  frames: fc.integer({ min: 0, max: 40 }),
  bytes: fc.integer({ min: 0, max: 900 }),
  epoch: fc.constantFrom('same', 'same', 'same', 'next'),
  fault: fc.option(fault),
});

describe.each(['oldest', 'live'] as const)('order %s', (order) => {
  test('each frame is stored once and settled, whatever the link does', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 150 }),
        fc.array(happening, { maxLength: 12 }),
        fc.constantFrom(0, 0, 300),
        fc.constantFrom(0.05, 0.5, 0.95),
        (backlog, happenings, flushMs, backlogShare) => {
          const delivery: DeliveryOptions = { order, backlogShare, flushMs, compression: true };
          const path = new Path({ sender: { delivery } });
          let epoch = 1;
          let seq = backlog;
          path.append(...run(epochNumber(epoch), 1, backlog));
          for (const { waitMs, frames, bytes, fault: broken, ...next } of happenings) {
            path.run(path.now + waitMs);
            if (next.epoch === 'next') {
              epoch += 1;
              seq = 0;
            }
            path.append(...run(epochNumber(epoch), seq + 1, frames, bytes));
            seq += frames;
            if (broken !== null) apply(path, broken);
          }
          heal(path);
          expect(path.run(path.now + 10 * MINUTE, () => path.pending === 0)).toBe(true);
          expect(path.stored.size).toBe(path.queue.length);
          for (const frame of path.queue) {
            const stored = path.stored.get(`${frame.epoch} ${frame.seq}`);
            expect(stored).toMatchObject({ capturedAt: frame.capturedAt, crc: frame.crc });
            expect(frame.payload).toEqual(stored?.payload);
          }
          // Nothing comes twice but what left before a loss and had no ack.
          expect(path.duplicates).toBeLessThanOrEqual(path.sender.counters.resent);
        },
      ),
      seeded({ numRuns: 150 }),
    );
  });

  test('on a whole link nothing leaves twice, and nothing is taken for overtaken', () => {
    const path = draining(order, { backlog: 2_000, bytesPerMs: 40 });
    path.load(50, path.now + 20 * SECOND, (n) => made(NEW, n + 1, 200));
    expect(
      path.run(path.now + 5 * MINUTE, () => path.now > 25 * SECOND && path.pending === 0),
    ).toBe(true);
    expect(path.arrivals.length).toBe(path.queue.length);
    expect(path.sender.counters).toEqual({ connections: 1, resent: 0 });
    expect(path.losses).toEqual([]);
  });
});

function apply(path: Path, broken: FaultValue): void {
  switch (broken.type) {
    case 'cut':
      return path.cut();
    case 'limit':
      path.limitBytes = broken.bytes;
      return;
    case 'rate':
      path.up.bytesPerMs = broken.bytesPerMs;
      return;
    case 'delay':
      path.up.delayMs = broken.delayMs;
      return;
    case 'dead':
      path.swallows[broken.direction as 'up' | 'down'] = true;
  }
}

type FaultValue =
  | { readonly type: 'cut' }
  | { readonly type: 'limit'; readonly bytes: number }
  | { readonly type: 'rate'; readonly bytesPerMs: number }
  | { readonly type: 'delay'; readonly delayMs: number }
  | { readonly type: 'dead'; readonly direction: string };

function heal(path: Path): void {
  path.limitBytes = Number.POSITIVE_INFINITY;
  path.up.bytesPerMs = 100_000;
  path.up.delayMs = 0.5;
  path.swallows.up = false;
  path.swallows.down = false;
}

/** A path on which a backlog of an earlier opening drains. */
function draining(
  order: DrainOrder,
  { backlog, bytesPerMs, share = 0.5 }: { backlog: number; bytesPerMs: number; share?: number },
): Path {
  const delivery = { order, backlogShare: share, compression: false };
  const path = new Path({ up: { bytesPerMs }, sender: { delivery } });
  path.append(...run(OLD, 1, backlog));
  path.run(10 * SECOND, () => path.state.name === 'Ready');
  return path;
}

/** The longest that a new frame waited for the store, in milliseconds. */
function longestWaitMs(path: Path, frames: number): number {
  let longest = 0;
  for (let n = 1; n <= frames; n += 1) {
    const at = path.now;
    path.append(made(NEW, n, 200));
    path.run(at + 10 * MINUTE, () => path.stored.has(`${NEW} ${n}`));
    longest = Math.max(longest, path.now - at);
    path.run(path.now + 200);
  }
  return longest;
}

test('live: new frames do not wait for the backlog; oldest: they do', () => {
  const live = longestWaitMs(draining('live', { backlog: 5_000, bytesPerMs: 40 }), 20);
  const oldest = longestWaitMs(draining('oldest', { backlog: 5_000, bytesPerMs: 40 }), 20);
  expect(live).toBeLessThan(3 * SECOND);
  expect(oldest).toBeGreaterThan(15 * SECOND);
});

test.each([0.2, 0.5, 0.8])(
  'live: the backlog gets its share of %d of a link that is full',
  (share) => {
    const path = draining('live', { backlog: 5_000, bytesPerMs: 20, share });
    path.append(...run(NEW, 1, 5_000));
    path.run(path.now + 5 * SECOND);
    const from = path.arrivals.length;
    path.run(path.now + 40 * SECOND);
    const arrived = path.arrivals.slice(from);
    const old = arrived.filter((key) => key.startsWith(OLD)).length;
    expect(old / arrived.length).toBeCloseTo(share, 1);
  },
);

test('live: what one lane leaves of the link is for the other', () => {
  const path = draining('live', { backlog: 400, bytesPerMs: 20, share: 0.01 });
  expect(path.run(path.now + 10 * SECOND, () => path.pending === 0)).toBe(true);
});
