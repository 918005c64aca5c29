/** How a fleet's waits add up: what a server that is away, or just back, has to meet. */
import { expect, test } from 'vitest';
import { backoffMs, clampPace } from '#collector/producer/backoff.ts';
import { LinkError } from '#collector/producer/link-error.ts';
import { termsFor } from '#server/ingest/terms.ts';

const REFUSED = new LinkError('refused', 'nobody listens');
const DOWN_MS = 20_000;

/** Numbers from 0 to 1 that are the same each time (Park and Miller). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** When a fleet dials that loses its server at 0 and is refused each time. */
function dialsOf(collectors: number): number[] {
  const { retrySpreadMs, retryCapMs } = termsFor(collectors, {
    payloadBytesMax: 1,
    windowBytes: 1,
  });
  const pace = clampPace({ spreadMs: retrySpreadMs, capMs: retryCapMs });
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

test.each([100, 1_000, 5_000])('a fleet of %i dials about 500 times a second at most', (count) => {
  const dials = dialsOf(count);
  let most = 0;
  let first = 0;
  for (const [i, at] of dials.entries()) {
    while ((dials[first] ?? at) <= at - 1_000) first += 1;
    most = Math.max(most, i - first + 1);
  }
  expect(most).toBeLessThanOrEqual(600);
  expect(dials.length / (DOWN_MS / 1_000)).toBeLessThan(520);
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
