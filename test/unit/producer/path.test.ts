/**
 * Sender and session over modelled paths: a dead one is noticed soon, a slow one is never taken for
 * dead, and a thin one carries about what it can.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Frame, frameCrc } from '#protocol/identity.ts';
import { Path, type PathOptions } from './path.ts';
import { EPOCH } from './rig.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

function sample(seq: number, payload: Buffer = randomBytes(200)): Frame {
  const made = { epoch: EPOCH, seq, capturedAt: 1_764_000_000_000_000 + seq * 5_003, payload };
  return { ...made, crc: frameCrc(made) };
}

function readyPath(options: PathOptions = {}): Path {
  const path = new Path(options);
  path.append(sample(1));
  expect(path.run(10 * MINUTE, () => path.state.name === 'Ready')).toBe(true);
  return path;
}

describe('a link that is dead is noticed within 5 s', () => {
  test.each([
    ['up', 'idle', 0],
    ['down', 'idle', 0],
    ['up', 'busy', 200],
    ['down', 'busy', 200],
  ] as const)('towards %s, %s', (direction, _what, perSecond) => {
    for (let offsetMs = 0; offsetMs < SECOND; offsetMs += 37) {
      const path = readyPath();
      if (perSecond > 0) path.load(perSecond, path.now + MINUTE, (n) => sample(n + 2));
      path.run(path.now + 5 * SECOND + offsetMs);
      expect(path.losses).toEqual([]);
      const deadAt = path.now;
      path.swallows[direction] = true;
      path.run(deadAt + MINUTE, () => path.losses.length > 0);
      expect(path.losses[0]).toMatchObject({ error: { code: 'no_progress' } });
      expect((path.losses[0]?.at ?? Infinity) - deadAt).toBeLessThanOrEqual(5 * SECOND);
      path.swallows[direction] = false;
      expect(path.run(path.now + 10 * SECOND, () => path.state.name === 'Ready')).toBe(true);
    }
  });
});

describe('a link that is slow is never taken for dead', () => {
  const thin = { bytesPerMs: 1, delayMs: 1_000 };
  const far = { delayMs: 15_000 };
  test.each([
    ['1 KB/s with 2 s of round trip', { up: thin, down: thin, connectMs: 2_000 }],
    ['1 KB/s with 2 s of round trip behind a proxy', { up: thin, down: thin }],
    ['15 s each way', { up: far, down: far, connectMs: 30_000 }],
    ['15 s each way behind a proxy', { up: far, down: far }],
  ])('%s', (_name, options) => {
    const path = readyPath(options);
    const readyAt = path.now;
    const before = path.losses.length;
    path.load(20, readyAt + 5 * MINUTE, (n) => sample(n + 2));
    path.run(readyAt + 10 * MINUTE);
    expect(path.losses.slice(before)).toEqual([]);
    expect(path.duplicates).toBe(0);
    expect(path.stored.size).toBeGreaterThan(1_000);
  });
});

describe('a thin link', () => {
  test('of 4 KB/s carries at least 550 frames of 200 incompressible bytes in 30 s', () => {
    const path = readyPath();
    path.load(200, path.now + 40 * SECOND, (n) => sample(n + 2));
    path.run(path.now + SECOND);
    const before = path.stored.size;
    path.up.bytesPerMs = 4;
    path.run(path.now + 30 * SECOND);
    expect(path.stored.size - before).toBeGreaterThanOrEqual(550);
    expect(path.losses).toEqual([]);
    path.up.bytesPerMs = 100_000;
    expect(path.run(path.now + MINUTE, () => path.now > 41 * SECOND && path.pending === 0)).toBe(
      true,
    );
    expect(path.duplicates).toBe(0);
    expect(path.sender.counters.resent).toBe(0);
  });
});
