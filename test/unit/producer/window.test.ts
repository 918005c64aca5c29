/** The window against modelled paths: a rate and a delay, nothing else. */
import { expect, test } from 'vitest';
import { type Flight, WINDOW_BYTES_MAX, Window } from '#collector/producer/window.ts';

const CAP_BYTES = 4_194_304;

/** Keeps a path of `rate` bytes/ms and `delayMs` full for a while. */
function fill(rate: number, delayMs: number, durationMs: number) {
  const window = new Window(CAP_BYTES, 0);
  let delivered = 0;
  const flights: { flight: Flight; ackAt: number }[] = [];
  let freeAt = 0;
  for (let now = 0; now < durationMs; now += 1) {
    while (flights[0] && flights[0].ackAt <= now) {
      const done = flights.shift();
      if (done) window.onAcked(done.flight, now);
      delivered += done?.flight.bytes ?? 0;
    }
    const bytes = Math.floor(window.messageBytes);
    while (window.admits(bytes)) {
      freeAt = Math.max(freeAt, now) + bytes / rate;
      flights.push({ flight: window.onSent(bytes, false, now), ackAt: freeAt + delayMs });
    }
  }
  return { window, delivered };
}

test('a fast path gets all that the server allows', () => {
  expect(fill(50_000, 1, 2_000).window.bytes).toBe(CAP_BYTES);
});

test('a server that takes any amount and acknowledges at once gets no more than there is room for', () => {
  const window = new Window(0xffff_ffff, 0);
  for (let now = 0; now < 50; now += 1) {
    window.onAcked(window.onSent(1e9, false, now), now);
  }
  expect(window.bytes).toBe(WINDOW_BYTES_MAX);
});

test('a thin path gets about a second of what it carries', () => {
  const { window } = fill(40, 5, 60_000);
  expect(window.bytes).toBeGreaterThan(30_000);
  expect(window.bytes).toBeLessThan(90_000);
});

test('a path of 4 KB/s never holds more than a few seconds of it', () => {
  const { window } = fill(4, 5, 60_000);
  expect(window.bytes).toBeLessThanOrEqual(16_384);
  expect(window.messageBytes).toBeLessThanOrEqual(4_096);
});

test('a long path is kept full: the delay is added to the second', () => {
  const { window } = fill(1_000, 2_000, 60_000);
  expect(window.bytes).toBeGreaterThan(1_000 * 2_000);
});

test('a far path is full after ten round trips, although nothing was known of it', () => {
  const [rate, delayMs] = [1_000, 2_000];
  const halfTheTime = fill(rate, delayMs, 10 * delayMs).delivered;
  const { delivered, window } = fill(rate, delayMs, 15 * delayMs);
  expect(delivered - halfTheTime).toBeGreaterThan(0.99 * rate * 5 * delayMs);
  expect(window.bytes).toBeLessThan(1.1 * rate * (delayMs + 1_000));
});

/**
 * A source of `load` bytes/ms over a fast path whose delay becomes `delayMs` after a second: what
 * of it is still not delivered in the end, and the largest part of that which was in flight.
 */
function backlogAfterChange({ load, delayMs }: { load: number; delayMs: number }) {
  const window = new Window(CAP_BYTES, 0);
  const flights: { flight: Flight; ackAt: number }[] = [];
  let waiting = 0;
  for (let now = 0; now < 60_000; now += 1) {
    waiting += load;
    while (flights[0] && flights[0].ackAt <= now) {
      const done = flights.shift();
      if (done) window.onAcked(done.flight, now);
    }
    const pathMs = now < 1_000 ? 1 : delayMs;
    for (;;) {
      const bytes = Math.min(waiting, Math.floor(window.messageBytes));
      if (bytes === 0 || !window.admits(bytes)) break;
      waiting -= bytes;
      const ackAt = Math.max(now + pathMs, flights.at(-1)?.ackAt ?? 0);
      flights.push({ flight: window.onSent(bytes, waiting === 0, now), ackAt });
    }
  }
  return waiting + window.bytesInFlight;
}

test.each([1_100, 2_000, 5_000])(
  'a path whose round trip grows to %i ms under load is kept full',
  (delayMs) => {
    const load = 120;
    expect(backlogAfterChange({ load, delayMs })).toBeLessThan(load * (delayMs + 1_000));
  },
);

test('looking for the delay of a full path costs little of it', () => {
  const [rate, delayMs, durationMs] = [1_000, 2_000, 300_000];
  const { delivered } = fill(rate, delayMs, durationMs);
  expect(delivered).toBeGreaterThan(0.85 * rate * durationMs);
});

test('a source that sends little does not shrink the window', () => {
  const { window } = fill(1_000, 5, 5_000);
  const before = window.bytes;
  for (let now = 10_000; now < 40_000; now += 1_000) {
    const flight = window.onSent(100, true, now);
    window.onAcked(flight, now + 6);
  }
  expect(window.bytes).toBeGreaterThan(before * 0.99);
});

test('something may always leave when nothing is in flight', () => {
  const window = new Window(1, 0);
  expect(window.admits(1_000_000)).toBe(true);
  window.onSent(1_000_000, false, 0);
  expect(window.admits(1)).toBe(false);
  expect(window.room).toBe(0);
});
