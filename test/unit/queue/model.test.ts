/**
 * Random histories of one queue against what its witness knows: appends of all sizes, commits,
 * settlements out of order, upkeep, kills, power failures and reopenings, in any order. A failure
 * prints the seed and the shortest history that fast-check finds.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CoreOptions, QueueCore } from '#collector/producer/queue/core.ts';
import { type Choose, ModelledFiles } from './modelled-files.ts';
import { chooser, epochMint, openCore } from './support.ts';
import { Witness } from './witness.ts';

type Step =
  | { readonly do: 'append'; readonly count: number; readonly bytes: number }
  | { readonly do: 'stage'; readonly bytes: number }
  | { readonly do: 'settle'; readonly count: number; readonly skip: number }
  | { readonly do: 'lose'; readonly seed: number }
  | { readonly do: 'settleGaps' | 'reconcile' | 'maintain' | 'close' | 'kill' | 'check' }
  | { readonly do: 'powerLoss'; readonly seed: number };

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      count: fc.integer({ min: 1, max: 12 }),
      bytes: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 9_000 })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('stage' as const), bytes: fc.nat({ max: 300 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      count: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(10_000)),
      skip: fc.oneof(fc.constant(0), fc.nat({ max: 20 })),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('settleGaps', 'reconcile', 'maintain', 'close', 'kill', 'check'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), seed: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('powerLoss' as const), seed: fc.nat() }) },
);

/** One queue through its openings. */
class History {
  readonly #options: Partial<CoreOptions>;
  readonly #witness = new Witness();
  #files = new ModelledFiles();
  #core: QueueCore;

  constructor(options: Partial<CoreOptions>) {
    this.#options = { ...options, mintEpoch: epochMint() };
    this.#core = openCore(this.#files, this.#options);
  }

  take(step: Step): void {
    switch (step.do) {
      case 'append':
        return this.#witness.append(this.#core, step.count, step.bytes);
      case 'stage':
        return this.#witness.stage(this.#core, step.bytes);
      case 'settle':
        return this.#witness.settle(this.#core, step.count, step.skip);
      case 'settleGaps':
        return this.#witness.settleGaps(this.#core);
      case 'lose': {
        const choose = chooser(step.seed);
        return this.#witness.lose(() => choose(2) === 0);
      }
      case 'reconcile':
        return this.#witness.reconcile(this.#core);
      case 'maintain':
        return this.#core.maintain();
      case 'check':
        return this.#witness.check(this.#core);
      case 'close':
        this.#witness.commit(this.#core);
        this.#core.close();
        expect(this.#files.openHandles).toBe(0);
        return this.#reopen(this.#files);
      case 'kill':
        return this.#crash(this.#files.afterKill());
      case 'powerLoss':
        return this.#crash(this.#files.afterPowerLoss(chooser(step.seed) satisfies Choose));
    }
  }

  #crash(left: ModelledFiles): void {
    this.#witness.crashed();
    this.#reopen(left);
  }

  #reopen(files: ModelledFiles): void {
    this.#files = files;
    this.#core = openCore(files, this.#options);
    this.#witness.check(this.#core);
    expect(this.#core.stats.bytes).toBeLessThanOrEqual(
      (this.#options.limitBytes ?? Number.POSITIVE_INFINITY) + 4_096,
    );
  }
}

test.each([
  ['never full', { segmentBytes: 2_000, limitBytes: 100_000_000 }],
  [
    'never full and keeps what was settled',
    {
      segmentBytes: 2_000,
      limitBytes: 100_000_000,
      keepSettledBytes: 30_000,
      keepSettledMs: 1,
    },
  ],
  ['often full, dropping its oldest', { segmentBytes: 8_000, limitBytes: 65_536 }],
  [
    'often full, refusing',
    {
      segmentBytes: 8_000,
      limitBytes: 65_536,
      whenFull: 'refuse' as const,
      keepSettledBytes: 50_000,
      keepSettledMs: 1,
    },
  ],
])('a queue that is %s keeps what it confirmed, through any history', (_, options) => {
  fc.assert(
    fc.property(fc.array(STEP, { maxLength: 40 }), (steps) => {
      const history = new History(options);
      for (const step of steps) history.take(step);
      history.take({ do: 'check' });
    }),
    { numRuns: 250 },
  );
});
