/**
 * A store that lost what it had settled: what is lost, what is sent again and under which name, what
 * is declared, and how long settled segments are kept for it.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CoreOptions, QueueCore } from '#collector/producer/queue/core.ts';
import { lostRanges } from '#collector/producer/queue/store-loss.ts';
import type { Frame } from '#protocol/identity.ts';
import { type SeqRange, type SettledRange, SettledRanges } from '#protocol/settlement.ts';
import { seeded } from '../seed.ts';
import { ModelledFiles } from './modelled-files.ts';
import {
  appendFrames,
  epochMint,
  OTHER_STORE,
  openCore,
  payloadOf,
  readAll,
  STORE,
  seqsOf,
} from './support.ts';

/** Of 24 bytes each, in segments of 500. */
const FRAMES_PER_SEGMENT = 5;
const KEEP = { segmentBytes: 500, keepSettledBytes: 1e6, keepSettledMs: 60_000 };

function epochOf(core: QueueCore): string {
  const newest = core.held().at(-1);
  if (newest === undefined) throw new Error('no epoch yet');
  return newest.epoch;
}

function range(from: number, to: number, state: SettledRange['state'] = 'stored', code = 0) {
  return { from, to, state, code };
}

/** What a store answers for all of an epoch. */
function answer(core: QueueCore, ...ranges: SettledRange[]): void {
  const epoch = epochOf(core);
  const { highest } = core.held().at(-1) ?? { highest: 0 };
  core.reconcile(STORE, epoch, { from: 1, to: highest }, ranges);
}

/** A queue with frames 1 to `count`, all settled, upkept once. */
function settledQueue(files: ModelledFiles, count: number, options: Partial<CoreOptions> = KEEP) {
  const core = openCore(files, options);
  appendFrames(core, 1, count);
  core.settle(STORE, epochOf(core), [range(1, count)]);
  core.maintain();
  return core;
}

describe('what a store has lost', () => {
  const SEQS = 30;
  const fates = fc.constantFrom<[SettledRange['state'], number]>(
    ['declared', 1],
    ['rejected', 2],
    ['rejected', 3],
    ['stored', 0],
    ['pruned', 0],
  );
  const ranges = fc
    .array(fc.option(fates, { nil: undefined }), { minLength: SEQS, maxLength: SEQS })
    .map((bySeq) => {
      const all = bySeq.flatMap((fate, i) => (fate ? [range(i + 1, i + 1, ...fate)] : []));
      return new SettledRanges(all).ranges;
    });

  test('is what it does not name, and what has a lesser fate by now', () => {
    fc.assert(
      fc.property(ranges, ranges, (known, answered) => {
        const lost = new Map<number, SettledRange | undefined>();
        for (const { from, to, now } of lostRanges(known, answered)) {
          for (let seq = from; seq <= to; seq += 1) {
            expect(lost.has(seq)).toBe(false);
            lost.set(seq, now);
          }
        }
        const [before, after] = [new SettledRanges(known), new SettledRanges(answered)];
        const withBytes = (of: SettledRange | undefined): boolean =>
          of?.state === 'stored' || of?.state === 'pruned' || of?.code === 3;
        for (let seq = 1; seq <= SEQS; seq += 1) {
          const [was, is] = [before.find(seq), after.find(seq)];
          const gone = was !== undefined && is === undefined;
          const lowered = withBytes(was) && is !== undefined && !withBytes(is);
          expect([seq, lost.has(seq)]).toEqual([seq, gone || lowered]);
          if (lost.has(seq)) expect(lost.get(seq)?.state).toBe(is?.state);
        }
      }),
      seeded(),
    );
  });
});

describe('a store that has lost what it had settled', () => {
  test('is sent again what is still here, under its own identity, and told of the rest', () => {
    const files = new ModelledFiles();
    const core = settledQueue(files, 30, {
      ...KEEP,
      keepSettledBytes: 20_000,
      keepSettledMs: 60_000,
    });
    const epoch = epochOf(core);
    const gone = goneOf(files, 30);
    expect(gone).toBeGreaterThan(5);
    expect(core.stats).toMatchObject({ frames: 0, acked: 30 });
    answer(core, range(1, 4));
    const frames = readAll(core);
    expect(seqsOf(frames)).toEqual(between(gone + 1, 30));
    expect(frames.map(({ payload }) => Buffer.from(payload))).toEqual(
      between(gone + 1, 30).map((n) => payloadOf(n)),
    );
    expect(core.pendingGaps()).toEqual([{ epoch, from: 5, to: gone, reason: 'lost_after_ack' }]);
    const ranges = [{ from: 5, to: 30 }];
    const loss = { epoch, ranges, resent: 30 - gone, declared: gone - 4 };
    expect(core.takeNewLosses()).toEqual([{ reason: 'lost_after_ack', ...loss }]);
    expect(core.takeNewLosses()).toEqual([]);
    expect(core.takeNewGaps()).toEqual(core.pendingGaps());
    expect(core.settled(epoch)).toEqual([range(1, 4)]);
  });

  test('gives the queue an older oldest frame', () => {
    const core = settledQueue(new ModelledFiles(), 30);
    appendFrames(core, 31, 31);
    core.maintain();
    expect(core.stats.oldestCapturedAt).toBe(31_000);
    answer(core, range(1, 19), range(21, 30));
    core.maintain();
    expect(core.stats).toMatchObject({ frames: 2, oldestCapturedAt: 20_000 });
  });

  test('that names all costs nothing', () => {
    const files = new ModelledFiles();
    const core = settledQueue(files, 30);
    const before = files.calls.length;
    answer(core, range(1, 30));
    core.maintain();
    expect(core.takeNewLosses()).toEqual([]);
    expect(core.stats.frames).toBe(0);
    expect(files.calls.length).toBe(before);
  });

  test('that has more than is remembered is believed, too; what it calls declared and is here is sent', () => {
    const core = openCore(new ModelledFiles(), KEEP);
    appendFrames(core, 1, 10);
    core.settle(STORE, epochOf(core), [range(1, 3)]);
    answer(core, range(2, 7), range(9, 9, 'declared', 1));
    expect(seqsOf(readAll(core))).toEqual([1, 8, 9, 10]);
    expect(core.stats.acked).toBe(7);
  });

  test('is answered for only within what it was asked', () => {
    const core = settledQueue(new ModelledFiles(), 30);
    core.reconcile(STORE, epochOf(core), { from: 11, to: 20 }, [range(11, 15)]);
    expect(seqsOf(readAll(core))).toEqual(between(16, 20));
    core.reconcile(STORE, OTHER_STORE, { from: 1, to: 20 }, []);
    expect(seqsOf(readAll(core))).toEqual(between(16, 20));
  });

  test('gets what was given up before told again for its old reason, uncounted', () => {
    const core = openCore(new ModelledFiles(), { limitBytes: 65_536, segmentBytes: 8_192 });
    appendFrames(core, 1, 600, 100);
    const [gap] = core.pendingGaps();
    const to = gap?.to ?? 0;
    core.settle(STORE, epochOf(core), [range(1, to, 'declared', 1)]);
    core.maintain();
    const { evicted } = core.stats;
    core.takeNewGaps();
    answer(core, range(1, 2, 'declared', 1));
    expect(core.pendingGaps()).toEqual([{ ...gap, from: 3 }]);
    expect(core.takeNewGaps()).toEqual([]);
    expect(core.stats.evicted).toBe(evicted);
  });

  test('is told again of a gap that it knew in part, whose damaged frames are in a file', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    appendFrames(core, 1, 10, 100);
    const [segment = ''] = files.names('segment-');
    files.edit(segment, (content) => content.fill(0x51, 400, 700));
    const whole = seqsOf(readAll(core));
    const [gap] = core.pendingGaps();
    expect(gap).toMatchObject({ reason: 'damaged' });
    const { from = 0, to = 0 } = gap ?? {};
    expect(to).toBeGreaterThan(from);
    core.settle(STORE, epochOf(core), [range(from, from, 'declared', 3)]);
    answer(core);
    expect(core.stats).toMatchObject({ frames: whole.length, damaged: to - from + 1 });
    expect(core.pendingGaps()).toEqual([gap]);
    expect(seqsOf(readAll(core))).toEqual(whole);
  });

  test('that calls stored frames declared gets them again where they are still here', () => {
    const files = new ModelledFiles();
    const core = settledQueue(files, 30, {
      ...KEEP,
      keepSettledBytes: 20_000,
      keepSettledMs: 60_000,
    });
    const gone = goneOf(files, 30);
    answer(core, range(1, 2, 'rejected', 3), range(3, 29, 'declared', 1), range(30, 30, 'pruned'));
    expect(seqsOf(readAll(core))).toEqual(between(gone + 1, 29));
    expect(core.pendingGaps()).toEqual([]);
    expect(core.settled(epochOf(core))).toEqual([
      range(1, 2),
      range(3, gone, 'declared', 1),
      range(30, 30, 'pruned'),
    ]);
  });

  test('leaves refused frames to be kept aside before they count as settled', () => {
    const core = openCore(new ModelledFiles(), KEEP);
    appendFrames(core, 1, 5);
    answer(core, range(1, 2), range(3, 3, 'rejected', 2));
    expect(seqsOf(readAll(core))).toEqual([3, 4, 5]);
    core.settle(STORE, epochOf(core), [range(3, 3, 'rejected', 2)]);
    answer(core, range(1, 2), range(3, 3, 'rejected', 2));
    expect(seqsOf(readAll(core))).toEqual([4, 5]);
    expect(core.takeNewLosses()).toEqual([]);
  });

  test('is found out again after a crash, and what was made of it stays', () => {
    const files = new ModelledFiles();
    const options = { ...KEEP, mintEpoch: epochMint() };
    const core = settledQueue(files, 30, options);
    const epoch = epochOf(core);
    answer(core, range(1, 10));
    const before = openCore(files.afterKill(), options);
    expect(before.stats.frames).toBe(0);
    answer(before, range(1, 10));
    expect(seqsOf(readAll(before))).toEqual(between(11, 30));
    core.maintain();
    const after = openCore(files.afterKill(), options);
    expect(seqsOf(readAll(after))).toEqual(between(11, 30));
    expect(after.settled(epoch)).toEqual([range(1, 10)]);
  });

  test('is asked about the epoch that was settled last, across an opening and a new epoch', () => {
    const options = { ...KEEP, mintEpoch: epochMint() };
    const files = new ModelledFiles();
    settledQueue(files, 3, options).close();
    const again = openCore(files.afterKill(), options);
    appendFrames(again, 4, 5);
    expect(again.held().map(({ onlyRemembered }) => onlyRemembered)).toEqual([false, false]);
  });

  test('another store gets what is kept, too', () => {
    const files = new ModelledFiles();
    const core = settledQueue(files, 30, {
      ...KEEP,
      keepSettledBytes: 20_000,
      keepSettledMs: 60_000,
    });
    const gone = goneOf(files, 30);
    core.settle(OTHER_STORE, epochOf(core), []);
    expect(seqsOf(readAll(core))).toEqual(between(gone + 1, 30));
    expect(core.takeNewLosses()).toMatchObject([
      { reason: 'settled_elsewhere', resent: 30 - gone, declared: gone },
    ]);
  });

  const history = fc.record({
    appended: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 }),
    keepBytes: fc.constantFrom(0, 9_000, 18_000, 1e6),
    losses: fc.array(fc.array(fc.nat({ max: 40 }), { maxLength: 40 }), { maxLength: 4 }),
  });

  test('has all in the end, stored or declared, each once, whatever it loses', () => {
    fc.assert(
      fc.property(history, ({ appended, keepBytes, losses }) => {
        const files = new ModelledFiles();
        const keep = { keepSettledBytes: keepBytes, keepSettledMs: 1 };
        const options = { ...KEEP, ...keep, mintEpoch: epochMint() };
        const store = new ModelStore();
        let sent = 0;
        let core = openCore(files, options);
        for (const count of appended) {
          appendFrames(core, sent + 1, sent + count);
          sent += count;
          store.drain(core);
          core.close();
          core = openCore(files, options);
        }
        for (const seqs of losses) {
          store.lose(seqs);
          store.handshake(core);
          core.takeNewLosses();
          store.drain(core);
          expect(core.stats.frames).toBe(0);
        }
        store.handshake(core);
        expect(core.takeNewLosses()).toEqual([]);
        expect(store.accountedFor(core)).toBe(sent);
        if (keepBytes === 1e6) expect(store.declared).toBe(0);
      }),
      seeded({ numRuns: 150 }),
    );
  });
});

describe('settled segments', () => {
  test('are kept up to their bytes, the newest of them', () => {
    const files = new ModelledFiles();
    const core = settledQueue(files, 60, {
      ...KEEP,
      keepSettledBytes: 27_000,
      keepSettledMs: 60_000,
    });
    expect(files.names('segment-')).toHaveLength(3);
    expect(core.stats.keptBytes).toBeLessThanOrEqual(27_000);
    expect(core.stats.keptBytes).toBeGreaterThan(25_000);
    answer(core);
    expect(seqsOf(readAll(core)).at(-1)).toBe(60);
  });

  test('are kept for their time, and the upkeep comes back for them', () => {
    const files = new ModelledFiles();
    const core = settledQueue(files, 30, { ...KEEP, keepSettledBytes: 1e6, keepSettledMs: 1_000 });
    core.maintain(10);
    expect(core.maintenanceDue).toBe(true);
    core.maintain(999);
    expect(files.names('segment-').length).toBeGreaterThan(3);
    core.maintain(1_010);
    expect(files.names('segment-')).toEqual([]);
    core.maintain(1_020);
    expect(core.maintenanceDue).toBe(false);
    expect(core.stats.keptBytes).toBe(0);
    core.close();
    expect(openCore(files).recovery).toMatchObject({ damage: [], gaps: [] });
  });

  test('are kept for their time anew by another opening', () => {
    const files = new ModelledFiles();
    const options = { ...KEEP, keepSettledBytes: 1e6, keepSettledMs: 1_000 };
    const first = settledQueue(files, 30, options);
    first.maintain(900);
    first.close();
    const again = openCore(files, options);
    again.maintain(900);
    expect(files.names('segment-').length).toBeGreaterThan(3);
    again.maintain(1_000);
    expect(files.names('segment-')).toEqual([]);
  });

  test.each(['drop-oldest', 'refuse'] as const)(
    'are the first to go when there is no room, without a gap (%s)',
    (whenFull) => {
      const files = new ModelledFiles();
      const limits = { limitBytes: 98_304, segmentBytes: 8_192, whenFull };
      const core = openCore(files, { ...KEEP, ...limits });
      appendFrames(core, 1, 200, 100);
      core.settle(STORE, epochOf(core), [range(1, 200)]);
      core.maintain();
      const { keptBytes } = core.stats;
      expect(keptBytes).toBeGreaterThan(20_000);
      appendFrames(core, 201, 400, 100);
      expect(core.pendingGaps()).toEqual([]);
      expect(core.stats.keptBytes).toBeLessThan(keptBytes);
      expect(core.stats.bytes).toBeLessThanOrEqual(98_304);
      expect(seqsOf(readAll(core))).toEqual(between(201, 400));
    },
  );

  test('that are pending again do not go for want of room', () => {
    const files = new ModelledFiles();
    const limits = { limitBytes: 98_304, segmentBytes: 8_192, whenFull: 'refuse' as const };
    const core = openCore(files, { ...KEEP, ...limits });
    appendFrames(core, 1, 200, 100);
    core.settle(STORE, epochOf(core), [range(1, 200)]);
    core.maintain();
    answer(core);
    while (core.append(payloadOf(1, 100), 1) !== undefined);
    core.commit();
    expect(seqsOf(readAll(core)).slice(0, 200)).toEqual(between(1, 200));
  });

  test('of epochs that are not remembered any more are not kept', () => {
    const files = new ModelledFiles();
    const options = { keepSettledBytes: 1e9, keepSettledMs: 1e9, mintEpoch: epochMint() };
    for (let opening = 1; opening <= 70; opening += 1) {
      const core = openCore(files, options);
      appendFrames(core, opening, opening);
      core.settle(STORE, epochOf(core), [range(1, 1)]);
      core.close();
    }
    const core = openCore(files, options);
    core.maintain();
    expect(files.names('segment-')).toHaveLength(64);
    expect(core.held()).toHaveLength(64);
  });
});

/** A store that keeps what it is given and says so, and forgets on request. */
class ModelStore {
  readonly #rows = new Map<string, SettledRanges>();
  declared = 0;

  drain(core: QueueCore): void {
    for (const frame of readAll(core)) this.#settle(core, frame.epoch, this.#take(frame));
    for (const { epoch, from, to } of core.pendingGaps()) {
      this.#settle(core, epoch, { from, to, state: 'declared', code: 4 });
    }
    core.maintain();
  }

  /** Forgets some of what it knows of each epoch. */
  lose(seqs: readonly number[]): void {
    for (const ranges of this.#rows.values()) {
      for (const seq of seqs) ranges.forget({ from: seq, to: seq });
    }
  }

  handshake(core: QueueCore): void {
    for (const { epoch, highest: to } of core.held()) {
      core.reconcile(STORE, epoch, { from: 1, to }, this.#of(epoch).within(1, to));
    }
  }

  /** How many seqs of all that the queue knows are stored or declared. */
  accountedFor(core: QueueCore): number {
    this.declared = 0;
    return core.held().reduce((sum, { epoch, highest }) => {
      const ranges = this.#of(epoch).within(1, highest);
      for (const one of ranges) if (one.state === 'declared') this.declared += sizeOf(one);
      return sum + ranges.reduce((part, one) => part + sizeOf(one), 0);
    }, 0);
  }

  #take({ epoch, seq }: Frame): SettledRange {
    if (this.#of(epoch).find(seq)?.state === 'stored') throw new Error(`${seq} came twice`);
    return { from: seq, to: seq, state: 'stored', code: 0 };
  }

  #settle(core: QueueCore, epoch: string, settled: SettledRange): void {
    this.#of(epoch).add(settled);
    core.settle(STORE, epoch, this.#of(epoch).within(settled.from, settled.to));
  }

  #of(epoch: string): SettledRanges {
    const ranges = this.#rows.get(epoch) ?? new SettledRanges();
    this.#rows.set(epoch, ranges);
    return ranges;
  }
}

function sizeOf({ from, to }: SeqRange): number {
  return to - from + 1;
}

function between(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** How many of so many frames are in no file any more: whole segments from the oldest on. */
function goneOf(files: ModelledFiles, frames: number): number {
  return frames - files.names('segment-').length * FRAMES_PER_SEGMENT;
}
