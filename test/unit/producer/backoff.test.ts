/** How a fleet's waits add up: what a server that is away, or just back, has to meet. */
import { expect, test } from 'vitest';
import { backoffMs, clampPace, type Pace } from '#collector/producer/backoff.ts';
import { LinkError } from '#collector/producer/link-error.ts';
import { shutdownRetryMs, termsFor } from '#server/ingest/terms.ts';

const REFUSED = new LinkError('refused', 'nobody listens');
const DOWN_MS = 20_000;
/** How long a server that is restarted is away. */
const RESTART_MS = 800;

/** Numbers from 0 to 1 that are the same each time (Park and Miller). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** The pace of a collector that joined when so many were known. */
function paceOf(collectorsKnown: number): Pace {
  const { retrySpreadMs, retryCapMs } = termsFor(collectorsKnown, {
    payloadBytesMax: 1,
    windowBytes: 1,
  });
  return clampPace({ spreadMs: retrySpreadMs, capMs: retryCapMs });
}

/** When a fleet dials that loses its server at 0 and is refused each time. */
function dialsOf(collectors: number): number[] {
  const pace = paceOf(collectors);
  const random = generator(collectors);
  const dials: number[] = [];
  for (let i = 0; i < collectors; i += 1) {
    let at = 0;
    for (let attempt = 1; at < DOWN_MS; attempt += 1) {
      at += backoffMs(attempt, REFUSED, false, pace, random);
      dials.push(at);
    }
  }
  return dials.filter((at) => at < DOWN_MS).sort((a, b) => a - b);
}

/**
 * When a fleet dials whose server ends in order at 0, and until when, for the first time since all of
 * it joined: each knows of no more than those who joined before.
 */
function dialsAfterShutdown(collectors: number): number[] {
  const random = generator(collectors);
  const dials: number[] = [];
  for (let place = 0; place < collectors; place += 1) {
    const retryAfterMs = shutdownRetryMs(place, collectors);
    const bye = new LinkError('bye_shutdown', 'restart', { retryAfterMs });
    const pace = paceOf(place + 1);
    let at = backoffMs(1, bye, true, pace, random);
    dials.push(at);
    for (let attempt = 2; at < RESTART_MS; attempt += 1) {
      at += backoffMs(attempt, REFUSED, false, pace, random);
      dials.push(at);
    }
  }
  return dials.sort((a, b) => a - b);
}

/** Of dials in their order, those within the second that has most. */
function busiestSecond(dials: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [i, at] of dials.entries()) {
    while ((dials[first] ?? at) <= at - 1_000) first += 1;
    most = Math.max(most, i - first + 1);
  }
  return most;
}

test.each([100, 1_000, 5_000])('a fleet of %i dials about 500 times a second at most', (count) => {
  const dials = dialsOf(count);
  expect(busiestSecond(dials)).toBeLessThanOrEqual(600);
  expect(dials.length / (DOWN_MS / 1_000)).toBeLessThan(520);
});

test('fifty collectors, which need no spread, dial no more often', () => {
  expect(busiestSecond(dialsOf(50))).toBeLessThanOrEqual(600);
});

test('a link that is up for half a second after half a second is not slept through', () => {
  const pace = paceOf(1);
  for (let seed = 1; seed <= 1_000; seed += 1) {
    const random = generator(seed);
    let at = 0;
    for (let attempt = 1; at < 500; attempt += 1) {
      at += backoffMs(attempt, REFUSED, false, pace, random);
    }
    expect(at, `seed ${seed}`).toBeLessThan(1_000);
  }
});

test('a fleet of a thousand has dialled within 4 s of whenever its server is back', () => {
  const dials = dialsOf(1_000);
  const { retryCapMs } = termsFor(1_000, { payloadBytesMax: 1, windowBytes: 1 });
  expect(retryCapMs).toBeLessThanOrEqual(4_000);
  for (let back = 0; back < DOWN_MS - retryCapMs; back += 500) {
    const within = dials.filter((at) => at >= back && at < back + retryCapMs);
    expect(within.length).toBeGreaterThanOrEqual(1_000);
  }
});

test.each([100, 1_000, 5_000])(
  'a fleet of %i that has just joined dials no more often when its server is restarted',
  (count) => {
    const dials = dialsAfterShutdown(count);
    expect(dials).toHaveLength(count);
    expect(busiestSecond(dials)).toBeLessThanOrEqual(600);
  },
);

test('a fleet of a thousand is back within 5 s of an end in order', () => {
  expect(dialsAfterShutdown(1_000).at(-1)).toBeLessThan(5_000);
});

test('a few collectors need not wait for a server that ends in order', () => {
  expect(shutdownRetryMs(49, 50)).toBe(0);
});
