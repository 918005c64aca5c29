/**
 * The simulation: histories that once failed, and fresh ones with a seed that is printed. Each plays
 * the real producer, queue, session and settlement in virtual time (docs/simulation.md).
 */
import { expect, test } from 'vitest';
import { required } from './coverage.ts';
import { runHistory } from './history.ts';
import { planOf, WEIGHTS } from './plan.ts';
import { runMany, summaryOf } from './run.ts';

/** Each found a fault of the product, or of the simulation, with the plans as they are drawn now. */
const FOUND: readonly (readonly [seed: number, what: string])[] = [
  [4_009_037, 'a refusal from before a store lost it settled its frame behind the new handshake'],
  [4_022_084, "a disk error at the making of the collector's id ends the queue's thread"],
  [4_032_846, 'what only a damaged checkpoint remembered is missing, and nobody is to blame'],
];

const FRESH_MS = 30_000;
const FRESH_MIN = 500;

test('the same seed takes the same way, to the byte', async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const [one, other] = [
      await runHistory(planOf(seed), { trace: true }),
      await runHistory(planOf(seed), { trace: true }),
    ];
    expect(one.trace.length).toBeGreaterThan(10);
    expect(other.trace.join('\n')).toBe(one.trace.join('\n'));
    expect(other.met).toEqual(one.met);
  }
});

test.each(FOUND)('history %i holds: %s', async (seed) => {
  expect((await runHistory(planOf(seed))).failure).toBeUndefined();
});

test('fixed histories hold, and meet everything that can go wrong', async () => {
  const result = await runMany({ seed: 1, histories: 3_000 });
  expect(failuresOf(result)).toEqual([]);
  expect(result.coverage.missing(required(Object.keys(WEIGHTS)))).toEqual([]);
});

test('fresh histories hold', async () => {
  const given = process.env.HOLDFAST_SEED;
  const seed = given === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(given);
  console.info(`seed ${seed} (replay with HOLDFAST_SEED=${seed})`);
  const options = { seed, histories: 100_000, forMs: FRESH_MS };
  const result = await runMany(options);
  for (const line of result.coverage.lines()) console.info(line);
  console.info(summaryOf(options, result));
  expect(failuresOf(result)).toEqual([]);
  expect(result.histories).toBeGreaterThan(FRESH_MIN);
});

/** Each with the command that replays it. */
function failuresOf({ failures }: Awaited<ReturnType<typeof runMany>>): string[] {
  return failures.map(
    ({ seed, failure }) => `./holdfast simulate --seed ${seed} --trace: ${failure?.message}`,
  );
}
