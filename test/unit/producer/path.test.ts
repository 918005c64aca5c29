/**
 * Sender and session over modelled paths: a dead one is noticed soon, a slow one is never taken for
 * dead, and a thin one carries about what it can.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { sampleOf } from '#bench/source/samples.ts';
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

describe('compression', () => {
  /** Like the collector's samples: the same names over and over, other numbers. */
  function telemetry(seq: number): Frame {
    const metrics = Array.from({ length: 8 }, (_, i) => ({
      name: 'system.cpu.utilization',
      attributes: { 'cpu.logical_number': i },
      value: ((seq * 7_919 + i * 104_729) % 10_007) / 10_007,
    }));
    return sample(seq, Buffer.from(JSON.stringify({ metrics })));
  }

  function drained(options: { compression: boolean; bytesPerMs: number; zstd?: boolean }): Path {
    const { compression, bytesPerMs, zstd = true } = options;
    const path = new Path({
      up: { bytesPerMs },
      terms: { zstd },
      sender: { delivery: { compression } },
    });
    path.append(...Array.from({ length: 600 }, (_, i) => telemetry(i + 1)));
    expect(path.run(10 * MINUTE, () => path.pending === 0)).toBe(true);
    return path;
  }

  test('on a thin link takes less of it, and what is stored is the same', () => {
    const [plain, packed] = [false, true].map((on) => drained({ compression: on, bytesPerMs: 20 }));
    expect(packed?.bytes.up).toBeLessThan((plain?.bytes.up ?? 0) / 3);
    expect(packed?.stored).toEqual(plain?.stored);
    expect(packed?.now).toBeLessThan((plain?.now ?? 0) / 2);
  });

  test.each([1, 4, 16])('brings over %i KB/s more than four times as much of samples', (rate) => {
    const path = new Path({ up: { bytesPerMs: rate }, down: { bytesPerMs: rate } });
    const samples = Array.from({ length: 600 * rate }, (_, n) => sampleOf({ seed: 1 }, n));
    path.append(...samples.map((payload, i) => sample(i + 1, payload)));
    const brought = () => samples.slice(0, path.stored.size).reduce((sum, s) => sum + s.length, 0);
    path.run(30 * SECOND);
    const before = brought();
    path.run(90 * SECOND);
    expect(brought() - before).toBeGreaterThan(4 * rate * MINUTE);
    expect(path.pending).toBeGreaterThan(0);
  });

  test.each([
    ['the link is fast', { compression: true, bytesPerMs: 100_000 }],
    ['the server does not take it', { compression: true, bytesPerMs: 20, zstd: false }],
  ])('is left out where %s', (_why, options) => {
    const { compression, ...rest } = options;
    expect(drained({ compression, ...rest }).bytes.up).toBeGreaterThan(
      0.99 * drained({ compression: false, ...rest }).bytes.up,
    );
  });

  test('gets more into connections that break after few bytes', () => {
    const connections = (compression: boolean): number => {
      const path = new Path({ sender: { delivery: { compression } } });
      path.limitBytes = 4_000;
      path.append(...Array.from({ length: 100 }, (_, i) => telemetry(i + 1)));
      expect(path.run(10 * MINUTE, () => path.pending === 0)).toBe(true);
      return path.sender.counters.connections;
    };
    expect(connections(true)).toBeLessThan(connections(false) / 2);
  });
});

describe('a flush interval', () => {
  const flushing = () => readyPath({ sender: { delivery: { flushMs: 500 } } });

  test('lets frames wait for company, and no longer', () => {
    const path = flushing();
    path.append(...Array.from({ length: 20 }, (_, i) => sample(i + 2)));
    path.run(path.now + SECOND);
    expect(path.stored.size).toBe(21);
    const from = path.now;
    path.append(sample(22));
    path.run(from + 100);
    path.append(sample(23), sample(24));
    path.run(from + 499);
    expect(path.stored.size).toBe(21);
    expect(path.run(from + 510, () => path.stored.size === 24)).toBe(true);
  });

  test('holds up no message that is full', () => {
    const path = flushing();
    path.run(path.now + SECOND);
    path.append(...Array.from({ length: 400 }, (_, i) => sample(i + 2)));
    path.run(path.now + 100);
    expect(path.stored.size).toBeGreaterThan(300);
  });

  test('ends with a stop: what waits leaves at once', () => {
    const path = flushing();
    path.sender.onHurry(true);
    path.append(sample(2));
    expect(path.run(path.now + 10, () => path.stored.size === 2)).toBe(true);
    path.append(sample(3));
    expect(path.run(path.now + 10, () => path.stored.size === 3)).toBe(true);
  });
});

describe('connections that break after 2,000 bytes', () => {
  test('are redialled at once while they bring something over, 50 times a second at most', () => {
    const path = readyPath();
    path.limitBytes = 2_000;
    path.append(...Array.from({ length: 5_000 }, (_, i) => sample(i + 2)));
    const { now: from, stored } = path;
    const before = path.sender.counters.connections;
    const storedBefore = stored.size;
    path.run(from + 10 * SECOND);
    const connections = path.sender.counters.connections - before;
    expect(connections).toBeGreaterThan(400);
    expect(connections).toBeLessThanOrEqual(501);
    // Eight fit, when all else goes well.
    expect((stored.size - storedBefore) / connections).toBeGreaterThan(6);
    expect(path.duplicates).toBe(0);
  });

  test('are dialled ever more slowly while they bring nothing over', () => {
    const path = readyPath();
    path.limitBytes = 300;
    path.append(sample(2));
    path.run(path.now + 10 * SECOND);
    const before = path.losses.length;
    path.run(path.now + MINUTE);
    expect((path.losses.length - before) / 60).toBeLessThan(4);
  });
});

test('a link of 1 MB/s with 2 s of round trip is kept full', () => {
  const up = { bytesPerMs: 1_000, delayMs: 1_000 };
  const sender = { delivery: { compression: false } };
  const path = new Path({ up, down: { delayMs: 1_000 }, sender });
  const payload = randomBytes(8_000);
  path.append(...Array.from({ length: 10_000 }, (_, i) => sample(i + 1, payload)));
  path.run(25 * SECOND);
  const before = path.stored.size;
  path.run(55 * SECOND);
  const brought = (path.stored.size - before) * payload.length;
  expect(brought).toBeGreaterThan(0.95 * up.bytesPerMs * 30 * SECOND);
});

describe('a thin link', () => {
  test('of 1 KB/s carries 95 % of it in samples that are not compressed', () => {
    const sender = { delivery: { compression: false } };
    const path = new Path({ up: { bytesPerMs: 1 }, sender });
    path.append(...Array.from({ length: 700 }, (_, n) => sample(n + 1, sampleOf({ seed: 1 }, n))));
    const brought = () => [...path.stored.values()].reduce((sum, f) => sum + f.payload.length, 0);
    path.run(MINUTE);
    const before = brought();
    path.run(31 * MINUTE);
    expect(brought() - before).toBeGreaterThan(0.95 * 30 * MINUTE);
    expect(path.losses).toEqual([]);
  });

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
