/**
 * Random histories of one queue against what its witness knows: appends of all sizes, commits,
 * settlements out of order, upkeep, kills, power failures and reopenings, in any order. A failure
 * prints the seed and the shortest history that fast-check finds.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CoreOptions, QueueCore } from '#collector/producer/queue/core.ts';
import { QueueFailedError } from '#collector/producer/queue/errors.ts';
import { chargedBytes } from '#collector/producer/queue/segment-index.ts';
import { seeded } from '../seed.ts';
import { type Harm, harm } from './damage.ts';
import { type Choose, ModelledFiles } from './modelled-files.ts';
import { chooser, epochMint, openCore, withoutIndexes } from './support.ts';
import { Witness } from './witness.ts';

type Step =
  | { readonly do: 'append'; readonly count: number; readonly bytes: number }
  | { readonly do: 'stage'; readonly bytes: number }
  | { readonly do: 'settle'; readonly count: number; readonly skip: number }
  | { readonly do: 'lose'; readonly seed: number }
  | { readonly do: 'settleGaps' | 'reconcile' | 'maintain' | 'close' | 'kill' | 'check' }
  | { readonly do: 'powerLoss'; readonly seed: number }
  /** The queue is closed, or killed, and its files are damaged before it is opened again. */
  | { readonly do: 'damage'; readonly harm: Harm; readonly closed: boolean }
  /** A copy of the directory is made; it takes the place of the queue, which is the copy then. */
  | { readonly do: 'copy' | 'swap' }
  /** The disk fails at the n-th change from now on. */
  | { readonly do: 'fail'; readonly call: number };

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

const HARM: fc.Arbitrary<Harm> = fc.record({
  how: fc.constantFrom(
    'flip',
    'truncate',
    'zero stretch',
    'zero file',
    'delete',
    'newer',
    'foreign',
    'copy',
  ),
  file: fc.nat({ max: 40 }),
  at: fc.nat({ max: 10_000 }),
  bytes: fc.nat({ max: 500 }),
});

const ROUGH_STEP: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: STEP },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('damage' as const),
      harm: HARM,
      closed: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('copy' as const, 'swap' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('fail' as const), call: fc.nat({ max: 12 }) }),
  },
);

const CHANGES: ReadonlySet<string> = new Set([
  'create',
  'write',
  'sync',
  'truncate',
  'rename',
  'unlink',
  'makeDirectory',
  'syncDirectory',
]);

/** What an opening found; by indexes or by reading every byte, it has to be the same. */
function foundBy(core: QueueCore): unknown {
  const { recovery, stats } = core;
  return { recovery, stats, held: core.held(), gaps: core.pendingGaps() };
}

/** One queue through its openings. */
class History {
  readonly #options: Partial<CoreOptions>;
  readonly #witness = new Witness();
  #files = new ModelledFiles();
  #core: QueueCore;
  #opened: 'whole' | 'damaged' = 'whole';
  /** Another copy of the queue, and what it had confirmed. */
  #copy: { readonly files: ModelledFiles; readonly promised: ReadonlySet<string> } | undefined;

  constructor(options: Partial<CoreOptions>) {
    this.#options = { ...options, mintEpoch: epochMint() };
    this.#core = openCore(this.#files, this.#options);
  }

  /** A queue that fails over a step is opened anew, as the restart of its program does. */
  take(step: Step): void {
    try {
      this.#take(step);
    } catch (error) {
      if (!(error instanceof QueueFailedError)) throw error;
      expect(() => this.#core.append(Buffer.alloc(1), 1)).toThrow(error);
      this.#crash(this.#files.afterKill());
    }
  }

  #take(step: Step): void {
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
        return this.#witness.check(this.#core, this.#opened);
      case 'close':
        this.#close();
        return this.#reopen(this.#files);
      case 'damage':
        if (step.closed) this.#close();
        return this.#damage(step.harm);
      case 'copy':
        this.#witness.commit(this.#core);
        this.#copy = { files: this.#files.afterKill(), promised: this.#witness.promised };
        return;
      case 'swap':
        return this.#swap();
      case 'fail':
        return this.#failAt(step.call);
      case 'kill':
        return this.#crash(this.#files.afterKill());
      case 'powerLoss':
        return this.#crash(this.#files.afterPowerLoss(chooser(step.seed) satisfies Choose));
    }
  }

  #close(): void {
    this.#witness.commit(this.#core);
    this.#core.close();
    expect(this.#files.openHandles).toBe(0);
  }

  #crash(left: ModelledFiles): void {
    this.#witness.crashed();
    this.#reopen(left);
  }

  #damage(how: Harm): void {
    this.#witness.crashed();
    // Damage that an index hides from the opening is for index-file.test.ts: here all is read.
    const files = withoutIndexes(this.#files);
    const wound = harm(files, how);
    if (wound !== undefined) this.#witness.wounded(wound);
    this.#reopen(files, wound === undefined ? 'whole' : 'damaged');
    for (const { file, setAsideAs } of this.#core.recovery.damage) {
      if (file !== wound?.file || setAsideAs === undefined) continue;
      expect(files.content(setAsideAs)).toEqual(wound.content);
    }
  }

  #swap(): void {
    if (this.#copy === undefined) return;
    this.#witness.commit(this.#core);
    const { files, promised } = this.#copy;
    this.#copy = { files: this.#files.afterKill(), promised: this.#witness.promised };
    this.#witness.isNow(promised);
    this.#reopen(files.afterKill());
  }

  #failAt(call: number): void {
    let changes = 0;
    this.#files.before = ({ operation, path }) => {
      if (!CHANGES.has(operation)) return;
      changes += 1;
      if (changes > call) throw Object.assign(new Error(`EIO: ${path}`), { code: 'EIO' });
    };
  }

  #reopen(files: ModelledFiles, opened: 'whole' | 'damaged' = 'whole'): void {
    const whole = withoutIndexes(files);
    this.#files = files;
    files.before = () => {};
    this.#opened = opened;
    this.#core = openCore(files, this.#options);
    expect(foundBy(this.#core)).toEqual(foundBy(openCore(whole, this.#options)));
    this.#witness.check(this.#core, opened);
    expect(this.#core.stats.bytes).toBeLessThanOrEqual(
      (this.#options.limitBytes ?? Number.POSITIVE_INFINITY) + GAPS_BYTES_MAX,
    );
  }
}

/**
 * What an opening may take beyond the limit: gaps are written whether or not there is room, and
 * where the newest segment can't be gone on with they take a file of their own.
 */
const GAPS_BYTES_MAX = chargedBytes(4_096);

const QUEUES: readonly (readonly [string, Partial<CoreOptions>])[] = [
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
];

test.each(QUEUES)(
  'a queue that is %s keeps what it confirmed, through any history',
  (_, options) => {
    fc.assert(
      fc.property(fc.array(STEP, { maxLength: 40 }), (steps) => {
        const history = new History(options);
        for (const step of steps) history.take(step);
        history.take({ do: 'check' });
      }),
      seeded({ numRuns: 250 }),
    );
  },
);

test.each(QUEUES)(
  'a queue that is %s loses to damage, copies and failing disks what they touched, and no more',
  (_, options) => {
    fc.assert(
      fc.property(fc.array(ROUGH_STEP, { maxLength: 40 }), (steps) => {
        const history = new History(options);
        for (const step of steps) history.take(step);
        history.take({ do: 'check' });
      }),
      seeded({ numRuns: 250 }),
    );
  },
);
