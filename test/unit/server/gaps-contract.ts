/**
 * What every store must hold to about gaps: they are those of the audit, and each lies between its stored
 * neighbours. Run against each implementation, beside `store-contract.ts`.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CollectorAudit, PlacedGap, Store } from '#server/store/store.ts';
import { seeded } from '#test/unit/seed.ts';
import {
  announce,
  batchOf,
  EPOCH_A,
  EPOCH_B,
  epochOf,
  exported,
  frameOf,
  framesOf,
  pruneAll,
  type StoreMaker,
  streamOf,
} from './store-contract.ts';

const KINDS = ['declared', 'rejected', 'pruned', 'pending', 'missing'] as const;

/** Something that is committed for a run of seqs of one of two epochs. */
const change = fc.record({
  epoch: fc.constantFrom(EPOCH_A, EPOCH_B),
  lowest: fc.integer({ min: 1, max: 5 }),
  /** Else the other epoch is held no longer. */
  both: fc.boolean(),
  from: fc.integer({ min: 1, max: 20 }),
  more: fc.nat({ max: 6 }),
  fate: fc.constantFrom('stored', 'declared', 'rejected'),
});
type Change = typeof change extends fc.Arbitrary<infer One> ? One : never;

async function apply(store: Store, { epoch, lowest, both, from, more, fate }: Change) {
  const held = both ? [EPOCH_A, EPOCH_B] : [epoch];
  const epochs = held.map((one) => epochOf(one, lowest, 24));
  const { streams } = await announce(store, epochs);
  const to = from + more;
  const facts = {
    stored: { frames: framesOf(epoch, from, to) },
    declared: { gaps: [{ from, to, reason: 'expired' as const }] },
    rejected: { rejects: [{ seq: from, code: 'crc' as const }] },
  };
  await store.commit(batchOf(streams[held.indexOf(epoch)] ?? -1, facts[fate]));
}

type Place = readonly [epoch: string, seq: number];

function isBefore(a: Place, b: Place): boolean {
  return a[0] === b[0] ? a[1] < b[1] : a[0] < b[0];
}

/** The same from the audit and from all frames. */
async function expectedOf(store: Store, audit: CollectorAudit): Promise<PlacedGap[]> {
  const frames = await exported(store);
  const gaps = audit.epochs.flatMap(({ epoch, ...lists }) =>
    KINDS.flatMap((kind) =>
      lists[kind].map(({ from, to, reason }) => {
        const below = frames.findLast((frame) => isBefore([frame.epoch, frame.seq], [epoch, from]));
        const above = frames.find((frame) => isBefore([epoch, to], [frame.epoch, frame.seq]));
        const sides = { capturedAfter: below?.capturedAt, capturedBefore: above?.capturedAt };
        return { epoch, kind, from, to, reason, ...sides };
      }),
    ),
  );
  return gaps.sort((a, b) => (isBefore([a.epoch, a.from], [b.epoch, b.from]) ? 1 : -1));
}

export function gapsContract({ open }: Pick<StoreMaker, 'open'>): void {
  test('what is not stored lies between its stored neighbours, newest first', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 12));
    const frames = [1, 2, 3, 6, 10].map((seq) => frameOf(EPOCH_A, seq));
    const gaps = [{ from: 4, to: 5, reason: 'evicted' }] as const;
    const rejects = [{ seq: 9, code: 'too_large' }] as const;
    await store.commit(batchOf(stream, { frames, gaps, rejects }));
    const at = (seq: number) => frameOf(EPOCH_A, seq).capturedAt;
    const gap = (kind: string, from: number, to: number, sides: number[], reason?: string) => ({
      ...{ epoch: EPOCH_A, kind, from, to, reason },
      ...{ capturedAfter: sides[0], capturedBefore: sides[1] },
    });
    const all = [
      gap('pending', 11, 12, [at(10)]),
      gap('rejected', 9, 9, [at(6), at(10)], 'too_large'),
      gap('pending', 7, 8, [at(6), at(10)]),
      gap('declared', 4, 5, [at(3), at(6)], 'evicted'),
    ];
    expect(await store.gaps({ collector: 'c1' })).toEqual({ gaps: all, complete: true });
    await announce(store, [epochOf(EPOCH_A, 8, 11)]);
    expect((await store.gaps({ collector: 'c1' })).gaps.map(({ kind }) => kind)).toEqual([
      ...['missing', 'pending', 'rejected', 'pending', 'missing', 'declared'],
    ]);
    expect(await store.gaps({ collector: 'nobody' })).toEqual({ gaps: [], complete: true });
  });

  test('a gap at an end of its epoch lies up to the next epoch that has a frame', async () => {
    const store = await open();
    const ids = ['a', 'b', 'c', 'd', 'e'].map((end) => EPOCH_A.replace(/a$/, end));
    const epochs = ids.map((id) => epochOf(id, 1, 9));
    const { streams } = await announce(store, epochs);
    // Of the second and of the fourth epoch something is stored.
    for (const [place, seq] of [
      [1, 5],
      [3, 6],
    ] as const) {
      const epoch = ids[place] ?? '';
      await store.commit(batchOf(streams[place] ?? -1, { frames: [frameOf(epoch, seq)] }));
    }
    await announce(store, [epochOf(EPOCH_A, 1, 2)], { collector: 'c2' });
    const [b5, d6] = [frameOf('', 5).capturedAt, frameOf('', 6).capturedAt];
    const { gaps } = await store.gaps({ collector: 'c1' });
    expect(
      gaps.map(({ epoch, from, capturedAfter, capturedBefore }) => [
        epoch.at(-1),
        from,
        capturedAfter,
        capturedBefore,
      ]),
    ).toEqual([
      ['e', 1, d6, undefined],
      ['d', 7, d6, undefined],
      ['d', 1, b5, d6],
      ['c', 1, b5, d6],
      ['b', 6, b5, d6],
      ['b', 1, undefined, b5],
      ['a', 1, undefined, b5],
    ]);
  });

  test('gaps are chosen by the times between which they lie', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 9));
    const frames = [2, 4, 6, 8].map((seq) => frameOf(EPOCH_A, seq));
    await store.commit(batchOf(stream, { frames }));
    const at = (seq: number) => frameOf(EPOCH_A, seq).capturedAt;
    const found = async (capturedFrom?: number, capturedBefore?: number) => {
      const { gaps } = await store.gaps({ collector: 'c1', capturedFrom, capturedBefore });
      return gaps.map(({ from }) => from);
    };
    expect(await found(at(5))).toEqual([9, 7, 5]);
    expect(await found(undefined, at(5))).toEqual([5, 3, 1]);
    expect(await found(at(5), at(5) + 1)).toEqual([5]);
    // Who has no neighbour on a side may lie anywhere there.
    expect(await found(at(9) + 1e9)).toEqual([9]);
    expect(await found(0, 1)).toEqual([1]);
    // A neighbour at the very time is as much of it as there is.
    expect(await found(at(4), at(4) + 1)).toEqual([5, 3]);
    expect(await found(at(5), at(4))).toEqual([]);
  });

  test('what is pruned is a gap of its own, and no neighbour', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 6));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 4), receivedAt: 100 }));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 6, 6), receivedAt: 200 }));
    await pruneAll(store, { receivedBefore: 200 });
    const capturedBefore = frameOf(EPOCH_A, 6).capturedAt;
    const { gaps } = await store.gaps({ collector: 'c1' });
    expect(gaps).toMatchObject([
      { kind: 'pending', from: 5, to: 5, capturedBefore },
      { kind: 'pruned', from: 1, to: 4, capturedBefore },
    ]);
    for (const { capturedAfter } of gaps) expect(capturedAfter).toBeUndefined();
  });

  test('gaps are those of the audit between the frames that there are, whatever was committed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), async (changes) => {
        const store = await open();
        for (const one of changes) await apply(store, one);
        const [audit] = await store.audit('c1');
        const gaps = audit ? await expectedOf(store, audit) : [];
        expect(await store.gaps({ collector: 'c1' })).toEqual({ gaps, complete: true });
      }),
      seeded({ numRuns: 12 }),
    );
  }, 60_000);
}
