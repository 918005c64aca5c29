/**
 * What every store must hold to, whatever it is made on: run against each implementation by its
 * own test file, which says how one is made and how it is opened again. What is an implementation's
 * own (files, locks, damage) is tested there.
 */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Epoch, frameCrc } from '#protocol/identity.ts';
import type { EpochAnnouncement, WireFrame } from '#protocol/messages.ts';
import type { SettledRange } from '#protocol/settlement.ts';
import type {
  Announcement,
  FrameFilter,
  PruneRequest,
  Store,
  StoredFrame,
  StreamBatch,
  StreamId,
} from '#server/store/store.ts';

export const EPOCH_A = '01900000-0000-7000-8000-00000000000a';
export const EPOCH_B = '01900000-0000-7000-8000-00000000000b';

export function frameOf(epoch: Epoch, seq: number, text = `frame ${seq}`): WireFrame {
  const payload = Buffer.from(text);
  const capturedAt = 1_700_000_000_000_000 + seq * 1_000;
  return { seq, capturedAt, payload, crc: frameCrc({ epoch, seq, capturedAt, payload }) };
}

export function framesOf(epoch: Epoch, from: number, to: number): WireFrame[] {
  return Array.from({ length: to - from + 1 }, (_, index) => frameOf(epoch, from + index));
}

export function batchOf(stream: StreamId, facts: Partial<StreamBatch>): StreamBatch {
  return { collector: 'c1', stream, receivedAt: 5, frames: [], gaps: [], rejects: [], ...facts };
}

export function epochOf(
  epoch: Epoch,
  lowest: number,
  highest: number,
  predecessor?: EpochAnnouncement['predecessor'],
): EpochAnnouncement {
  return { epoch, lowest, highest, predecessor };
}

/** Announces as one connection would and answers the streams. */
export async function announce(
  store: Store,
  epochs: readonly EpochAnnouncement[],
  more: Partial<Announcement> = {},
) {
  return store.announce({
    collector: 'c1',
    instance: randomUUID(),
    connection: randomUUID(),
    at: 1_000,
    complete: true,
    epochs,
    ...more,
  });
}

export function stored(from: number, to: number): SettledRange {
  return { from, to, state: 'stored', code: 0 };
}

export async function streamOf(store: Store, announced: EpochAnnouncement): Promise<StreamId> {
  return (await announce(store, [announced])).streams[0] ?? -1;
}

export async function exported(store: Store): Promise<StoredFrame[]> {
  const frames: StoredFrame[] = [];
  for await (const chunk of store.export({})) frames.push(...chunk);
  return frames;
}

async function auditOf(store: Store, epoch: Epoch) {
  const [collector] = await store.audit('c1');
  const audit = collector?.epochs.find((candidate) => candidate.epoch === epoch);
  if (!audit) throw new Error(`the audit doesn't name ${epoch}`);
  return audit;
}

/** How the stores of one implementation are made; ending them is the caller's business. */
export interface StoreMaker {
  /** A new, empty store. */
  open(): Promise<Store>;
  /** The same store once more, after it was closed. */
  reopen(store: Store): Promise<Store>;
}

/** Prunes until there is no more to go. Answers how many went. */
export async function pruneAll(store: Store, request: PruneRequest): Promise<number> {
  let pruned = 0;
  for (let more = true; more; ) {
    const outcome = await store.prune(request);
    pruned += outcome.pruned;
    more = outcome.more;
  }
  return pruned;
}

function pruned(from: number, to: number): SettledRange {
  return { from, to, state: 'pruned', code: 0 };
}

export function storeContract({ open, reopen }: StoreMaker): void {
  test('a frame comes out as it went in, bit for bit', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 3));
    const payload = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const capturedAt = Number.MAX_SAFE_INTEGER;
    const crc = frameCrc({ epoch: EPOCH_A, seq: 2, capturedAt, payload });
    const empty = frameOf(EPOCH_A, 3, '');
    await store.commit(batchOf(stream, { frames: [{ seq: 2, capturedAt, crc, payload }, empty] }));
    const frames = await exported(store);
    // In the order of their capture times.
    expect(frames).toEqual([
      { collector: 'c1', epoch: EPOCH_A, ...empty, receivedAt: 5, payload: new Uint8Array() },
      {
        collector: 'c1',
        epoch: EPOCH_A,
        seq: 2,
        capturedAt,
        receivedAt: 5,
        crc,
        payload: new Uint8Array(payload),
      },
    ]);
  });

  test('what is committed is answered as stored, and again when it is announced again', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 5));
    const outcome = await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 3) }));
    expect(outcome).toEqual({ settled: [stored(1, 3)], conflicts: [], duplicates: 0 });
    const answer = await announce(store, [epochOf(EPOCH_A, 2, 9)]);
    expect(answer).toEqual({ streams: [stream], settled: [[stored(2, 3)]], collectorsKnown: 1 });
  });

  test('a frame that comes twice is one row, counted and answered as stored', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 3));
    const frames = framesOf(EPOCH_A, 1, 3);
    await Promise.all([
      store.commit(batchOf(stream, { frames })),
      store.commit(batchOf(stream, { frames, receivedAt: 9 })).then((outcome) => {
        expect(outcome).toEqual({ settled: [stored(1, 3)], conflicts: [], duplicates: 3 });
      }),
    ]);
    expect((await exported(store)).map((frame) => [frame.seq, frame.receivedAt])).toEqual([
      [1, 5],
      [2, 5],
      [3, 5],
    ]);
    expect((await auditOf(store, EPOCH_A)).duplicatesRefused).toBe(3);
  });

  test('a long batch around what is stored brings the rest, in every place its own bytes', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 100));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 40, 44) }));
    const outcome = await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 77) }));
    expect(outcome).toEqual({ settled: [stored(1, 77)], conflicts: [], duplicates: 5 });
    const behind = framesOf(EPOCH_A, 78, 100).filter(({ seq }) => seq !== 90);
    await store.commit(batchOf(stream, { frames: behind }));
    const all = [...framesOf(EPOCH_A, 1, 77), ...behind];
    expect((await exported(store)).map(({ seq, crc, payload }) => [seq, crc, payload])).toEqual(
      all.map(({ seq, crc, payload }) => [seq, crc, new Uint8Array(payload)]),
    );
  });

  test.each([
    ['payload', { payload: Buffer.from('other') }],
    ['capture time', { capturedAt: 7 }],
    ['CRC', { crc: 7 }],
  ])('another %s under the same identity is a conflict, and the row stands', async (_, other) => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 3));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 3) }));
    const frames = [frameOf(EPOCH_A, 1), { ...frameOf(EPOCH_A, 2), ...other }];
    const outcome = await store.commit(batchOf(stream, { frames }));
    expect(outcome).toEqual({ settled: [stored(1, 1)], conflicts: [2], duplicates: 1 });
    expect((await exported(store))[1]).toMatchObject({ crc: frameOf(EPOCH_A, 2).crc });
    expect((await auditOf(store, EPOCH_A)).conflictsRefused).toBe(1);
    const again = await announce(store, [epochOf(EPOCH_A, 1, 3)]);
    const refused = { from: 2, to: 2, state: 'rejected', code: 3 };
    expect(again.settled).toEqual([[stored(1, 1), refused, stored(3, 3)]]);
  });

  test('stored beats declared and rejected, in either order', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 6));
    const gaps = [{ from: 1, to: 4, reason: 'evicted' }] as const;
    const rejects = [{ seq: 5, code: 'crc' }] as const;
    const first = await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 2) }));
    expect(first.settled).toEqual([stored(1, 2)]);
    const second = await store.commit(batchOf(stream, { gaps, rejects }));
    expect(second.settled).toEqual([
      stored(1, 2),
      { from: 3, to: 4, state: 'declared', code: 1 },
      { from: 5, to: 5, state: 'rejected', code: 1 },
    ]);
    const third = await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 4, 5) }));
    expect(third.settled).toEqual([stored(4, 5)]);
    const audit = await auditOf(store, EPOCH_A);
    expect(audit).toMatchObject({
      first: 1,
      last: 6,
      stored: 4,
      declared: [{ from: 3, to: 3, reason: 'evicted' }],
      rejected: [],
      pending: [{ from: 6, to: 6 }],
      missing: [],
    });
  });

  test('what the holder announced is pending until it settles, in whatever order', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 10));
    expect((await auditOf(store, EPOCH_A)).pending).toEqual([{ from: 1, to: 10 }]);
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 9, 12) }));
    expect(await auditOf(store, EPOCH_A)).toMatchObject({
      last: 12,
      stored: 4,
      pending: [{ from: 1, to: 8 }],
      missing: [],
    });
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 8) }));
    expect(await auditOf(store, EPOCH_A)).toMatchObject({ stored: 12, pending: [], missing: [] });
  });

  test('what lies below the lowest held and is not settled is missing', async () => {
    const store = await open();
    await announce(store, [epochOf(EPOCH_A, 5, 8)]);
    expect(await auditOf(store, EPOCH_A)).toMatchObject({
      missing: [{ from: 1, to: 4 }],
      pending: [{ from: 5, to: 8 }],
    });
  });

  test('an epoch that comes again on its connection asks on; what is held stays', async () => {
    const store = await open();
    const connection = randomUUID();
    const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 8)], { connection });
    await store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 5, 9) }));
    const again = await announce(store, [epochOf(EPOCH_A, 6, 8)], { connection });
    expect(again).toMatchObject({ streams, settled: [[stored(6, 8)]] });
    const held = { last: 9, pending: [{ from: 1, to: 4 }], missing: [] };
    expect(await auditOf(store, EPOCH_A)).toMatchObject(held);
  });

  test('what an older copy of a queue no longer knows of is missing', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 8));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 2) }));
    await announce(store, [epochOf(EPOCH_A, 1, 5)]);
    const gone = { last: 8, pending: [{ from: 3, to: 5 }], missing: [{ from: 6, to: 8 }] };
    expect(await auditOf(store, EPOCH_A)).toMatchObject(gone);
    await announce(store, [epochOf(EPOCH_A, 1, 8)]);
    const back = { pending: [{ from: 3, to: 8 }], missing: [] };
    expect(await auditOf(store, EPOCH_A)).toMatchObject(back);
  });

  test('an epoch left out of a complete announcement is missing what it lacks', async () => {
    const store = await open();
    await announce(store, [epochOf(EPOCH_A, 1, 8)]);
    await announce(store, [epochOf(EPOCH_B, 1, 2)], { complete: false });
    expect((await auditOf(store, EPOCH_A)).missing).toEqual([]);
    const connection = randomUUID();
    await announce(store, [epochOf(EPOCH_B, 1, 2)], { complete: false, connection });
    await announce(store, [], { complete: true, connection });
    expect((await auditOf(store, EPOCH_A)).missing).toEqual([{ from: 1, to: 8 }]);
    expect((await auditOf(store, EPOCH_B)).pending).toEqual([{ from: 1, to: 2 }]);
  });

  test('a predecessor that was never met shows as missing, and one met is held to its end', async () => {
    const store = await open();
    const predecessor = { epoch: EPOCH_A, lastSeq: 4 };
    await announce(store, [epochOf(EPOCH_B, 1, 1, predecessor)]);
    expect(await auditOf(store, EPOCH_A)).toMatchObject({
      last: 4,
      stored: 0,
      missing: [{ from: 1, to: 4 }],
    });
    await announce(store, [epochOf(EPOCH_A, 1, 3), epochOf(EPOCH_B, 1, 1, predecessor)]);
    expect(await auditOf(store, EPOCH_A)).toMatchObject({
      last: 4,
      pending: [{ from: 1, to: 3 }],
      missing: [{ from: 4, to: 4 }],
    });
  });

  test('an answer to an announcement names the lowest ranges, at most 64', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 200));
    const frames = framesOf(EPOCH_A, 1, 200).filter((frame) => frame.seq % 2 === 1);
    await store.commit(batchOf(stream, { frames }));
    const { settled } = await announce(store, [epochOf(EPOCH_A, 4, 200)]);
    expect(settled[0]).toHaveLength(64);
    expect(settled[0]?.[0]).toEqual(stored(5, 5));
  });

  test('signs of life are kept', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 1));
    store.heard({ collector: 'c1', at: 2_000, highest: { stream, seq: 7 } });
    store.heard({ collector: 'c1', at: 3_000 });
    await expect
      .poll(async () => (await store.collectors())[0]?.lastHeardAt, { timeout: 10_000 })
      .toBe(3_000);
    expect((await auditOf(store, EPOCH_A)).pending).toEqual([{ from: 1, to: 7 }]);
  });

  test('collectors are named with the newest frame that is stored of each', async () => {
    const store = await open();
    const instance = randomUUID();
    const epochs = [epochOf(EPOCH_A, 1, 3), epochOf(EPOCH_B, 1, 3)];
    const { streams } = await announce(store, epochs, { instance });
    await announce(store, [], { collector: 'c0', instance });
    await store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 3) }));
    expect(await store.collectors()).toEqual([
      { collector: 'c0', instance, lastHeardAt: 1_000, newest: undefined },
      {
        collector: 'c1',
        instance,
        lastHeardAt: 1_000,
        newest: {
          epoch: EPOCH_A,
          seq: 3,
          capturedAt: frameOf(EPOCH_A, 3).capturedAt,
          receivedAt: 5,
        },
      },
    ]);
  });

  test.each(['oldest', 'newest'] as const)(
    'pages of frames, %s first, follow each other',
    async (order) => {
      const store = await open();
      const epochs = [epochOf(EPOCH_A, 1, 9), epochOf(EPOCH_B, 1, 9)];
      for (const collector of ['c1', 'c2']) {
        const { streams } = await announce(store, epochs, { collector });
        await store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 9) }));
        await store.commit(batchOf(streams[1] ?? -1, { frames: framesOf(EPOCH_B, 1, 9) }));
      }
      const seen: string[] = [];
      let after: StoredFrame | undefined;
      for (let last = false; !last; ) {
        const page = await store.frames({ order, limit: 4, after });
        seen.push(...page.frames.map((frame) => `${frame.collector} ${frame.epoch} ${frame.seq}`));
        after = page.frames.at(-1);
        last = page.last;
      }
      const all = ['c1', 'c2'].flatMap((collector) =>
        [EPOCH_A, EPOCH_B].flatMap((epoch) =>
          [1, 2, 3, 4, 5, 6, 7, 8, 9].map((seq) => `${collector} ${epoch} ${seq}`),
        ),
      );
      expect(seen).toEqual(order === 'oldest' ? all : all.reverse());
    },
  );

  test('frames are found by collector, epoch and capture time', async () => {
    const store = await open();
    const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 9), epochOf(EPOCH_B, 1, 9)]);
    await store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 9) }));
    await store.commit(batchOf(streams[1] ?? -1, { frames: framesOf(EPOCH_B, 1, 9) }));
    const { frames, last } = await store.frames({
      order: 'oldest',
      limit: 10,
      collector: 'c1',
      epoch: EPOCH_B,
      capturedFrom: frameOf(EPOCH_B, 3).capturedAt,
      capturedBefore: frameOf(EPOCH_B, 6).capturedAt,
    });
    expect(frames.map((frame) => [frame.epoch, frame.seq])).toEqual([
      [EPOCH_B, 3],
      [EPOCH_B, 4],
      [EPOCH_B, 5],
    ]);
    expect(last).toBe(true);
    expect(await store.frames({ order: 'oldest', limit: 1, collector: 'nobody' })).toEqual({
      frames: [],
      last: true,
    });
  });

  test('a summary adds up what the audit says, and counts the silent', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 9));
    const gaps = [{ from: 4, to: 5, reason: 'evicted' } as const];
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 3), gaps }));
    await announce(store, [epochOf(EPOCH_B, 1, 2)], { collector: 'c2', at: 2_000 });
    const { totals, collectors, silent } = await store.summary([1_000, 1_001, 2_001]);
    expect(totals).toEqual({
      stored: 3,
      declared: 2,
      rejected: 0,
      pruned: 0,
      pending: 6,
      missing: 0,
      duplicatesRefused: 0,
      conflictsRefused: 0,
    });
    expect([collectors, silent]).toEqual([2, [0, 1, 2]]);
  });

  test('an export keeps to its filter, and goes on behind a place', async () => {
    const store = await open();
    const [a = -1, b = -1] = (
      await announce(store, [epochOf(EPOCH_A, 1, 5), epochOf(EPOCH_B, 1, 5)])
    ).streams;
    await store.commit(batchOf(a, { frames: framesOf(EPOCH_A, 1, 5) }));
    await store.commit(batchOf(b, { frames: framesOf(EPOCH_B, 1, 5) }));
    const seqsOf = async (...asked: Parameters<Store['export']>): Promise<string[]> => {
      const chunks = await Array.fromAsync(store.export(...asked));
      return chunks.flat().map(({ epoch, seq }) => `${epoch.slice(-1)}${seq}`);
    };
    const [from, to] = [2, 4].map((seq) => frameOf(EPOCH_A, seq).capturedAt);
    const range = { capturedFrom: from, capturedBefore: to };
    expect(await seqsOf(range)).toEqual(['a2', 'a3', 'b2', 'b3']);
    expect(await seqsOf({ ...range, epoch: EPOCH_B, collector: 'c1' })).toEqual(['b2', 'b3']);
    const { capturedAt } = frameOf(EPOCH_A, 3);
    const place = { collector: 'c1', epoch: EPOCH_A, seq: 3, capturedAt };
    expect(await seqsOf({}, place)).toEqual(['a4', 'a5', 'b1', 'b2', 'b3', 'b4', 'b5']);
    expect(await seqsOf(range, place)).toEqual(['b2', 'b3']);
    // A place need not be a frame's: that one may be pruned by now.
    expect(await seqsOf({ epoch: EPOCH_B }, place)).toEqual(['b1', 'b2', 'b3', 'b4', 'b5']);
    expect(await seqsOf({}, { ...place, collector: 'c2' })).toEqual([]);
  });

  test('an export of many chunks has every frame once, in order', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 2_500));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 2_500) }));
    const seqs = (await exported(store)).map((frame) => frame.seq);
    expect(seqs).toEqual(Array.from({ length: 2_500 }, (_, index) => index + 1));
  });

  test('an export keeps to its filter', async () => {
    const store = await open();
    for (const collector of ['c1', 'c2']) {
      const epochs = [epochOf(EPOCH_A, 1, 9), epochOf(EPOCH_B, 1, 9)];
      const { streams } = await announce(store, epochs, { collector });
      await store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 2) }));
      await store.commit(batchOf(streams[1] ?? -1, { frames: framesOf(EPOCH_B, 1, 2) }));
    }
    const names = async (filter: FrameFilter): Promise<string[]> => {
      const found: string[] = [];
      for await (const chunk of store.export(filter)) {
        found.push(...chunk.map(({ collector, epoch, seq }) => `${collector} ${epoch} ${seq}`));
      }
      return found;
    };
    expect(await names({ collector: 'c2', epoch: EPOCH_A })).toEqual([
      `c2 ${EPOCH_A} 1`,
      `c2 ${EPOCH_A} 2`,
    ]);
    expect(await names({ collector: 'c1' })).toHaveLength(4);
    expect(await names({ collector: 'nobody' })).toEqual([]);
  });

  test('what was stored before an export began is in it once, whatever comes meanwhile', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 9_000));
    for (const from of [3_001, 1_001]) {
      const frames = framesOf(EPOCH_A, from, from + 1_499);
      await store.commit(batchOf(stream, { frames }));
    }
    const seqs: number[] = [];
    let from = 1;
    for await (const chunk of store.export({})) {
      seqs.push(...chunk.map(({ seq }) => seq));
      await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, from, from + 99) }));
      from += 100;
    }
    expect(new Set(seqs).size).toBe(seqs.length);
    const before = [...framesOf(EPOCH_A, 1_001, 2_500), ...framesOf(EPOCH_A, 3_001, 4_500)];
    expect(seqs).toEqual(expect.arrayContaining(before.map(({ seq }) => seq)));
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  });

  test('pages go by capture time, and by seq where that is the same', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 4));
    const at = (seq: number, capturedAt: number): WireFrame => {
      const payload = Buffer.from('x');
      return {
        seq,
        capturedAt,
        payload,
        crc: frameCrc({ epoch: EPOCH_A, seq, capturedAt, payload }),
      };
    };
    await store.commit(batchOf(stream, { frames: [at(1, 30), at(2, 10), at(3, 30), at(4, 20)] }));
    const seqs: number[] = [];
    let after: StoredFrame | undefined;
    for (let last = false; !last; ) {
      const page = await store.frames({ order: 'oldest', limit: 1, after });
      seqs.push(...page.frames.map(({ seq }) => seq));
      after = page.frames.at(-1);
      last = page.last;
    }
    expect(seqs).toEqual([2, 4, 1, 3]);
  });

  test('the smallest and the largest frames, many at once, from several at once', async () => {
    const store = await open();
    const largest = 'x'.repeat(1_048_576);
    const work = ['c1', 'c2', 'c3'].map(async (collector) => {
      const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 5_000)], { collector });
      const stream = streams[0] ?? -1;
      const small = Array.from({ length: 4_096 }, (_, index) => frameOf(EPOCH_A, index + 1, ''));
      const outcomes = await Promise.all([
        store.commit(batchOf(stream, { frames: small })),
        store.commit(batchOf(stream, { frames: [frameOf(EPOCH_A, 4_097, largest)] })),
      ]);
      expect(outcomes.map(({ settled }) => settled)).toEqual([
        [stored(1, 4_096)],
        [stored(4_097, 4_097)],
      ]);
    });
    await Promise.all(work);
    const frames = await exported(store);
    expect(frames).toHaveLength(3 * 4_097);
    for (const frame of frames) expect(frameCrc(frame)).toBe(frame.crc);
  });

  test('between equal fates the lower reason stands, in either order', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 9));
    const evicted = [{ from: 1, to: 4, reason: 'evicted' }] as const;
    const dropped = [{ from: 3, to: 6, reason: 'dropped' }] as const;
    await store.commit(batchOf(stream, { gaps: dropped }));
    const { settled } = await store.commit(batchOf(stream, { gaps: evicted }));
    expect(settled).toEqual([{ from: 1, to: 4, state: 'declared', code: 1 }]);
    expect((await auditOf(store, EPOCH_A)).declared).toEqual([
      { from: 1, to: 4, reason: 'evicted' },
      { from: 5, to: 6, reason: 'dropped' },
    ]);
  });

  test('what a predecessor is named to have reached never goes down', async () => {
    const store = await open();
    await announce(store, [epochOf(EPOCH_B, 1, 1, { epoch: EPOCH_A, lastSeq: 9 })]);
    await announce(store, [epochOf(EPOCH_B, 1, 1, { epoch: EPOCH_A, lastSeq: 4 })]);
    expect(await auditOf(store, EPOCH_A)).toMatchObject({ last: 9 });
  });

  test('a sign of life from before changes nothing, nor does one of nobody', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 5));
    store.heard({ collector: 'nobody', at: 9_000 });
    store.heard({ collector: 'c1', at: 500, highest: { stream, seq: 3 } });
    await announce(store, [], { collector: 'c2' });
    await expect
      .poll(async () => (await store.collectors()).map(({ collector }) => collector))
      .toEqual(['c1', 'c2']);
    expect((await store.collectors())[0]?.lastHeardAt).toBe(1_000);
    expect((await auditOf(store, EPOCH_A)).pending).toEqual([{ from: 1, to: 5 }]);
  });

  test('collectors are counted, and an audit of nobody is empty', async () => {
    const store = await open();
    expect((await announce(store, [], { collector: 'c1' })).collectorsKnown).toBe(1);
    expect((await announce(store, [], { collector: 'c2' })).collectorsKnown).toBe(2);
    expect((await announce(store, [], { collector: 'c1' })).collectorsKnown).toBe(2);
    expect(await store.audit('nobody')).toEqual([]);
    expect((await store.audit()).map(({ collector }) => collector)).toEqual(['c1', 'c2']);
    expect(store.status).toEqual({ writable: true });
  });

  test('opened again it is the same, with all that it has answered', async () => {
    const first = await open();
    const epochs = [epochOf(EPOCH_A, 1, 20), epochOf(EPOCH_B, 1, 3)];
    const { streams } = await announce(first, epochs);
    const [stream = -1] = streams;
    await first.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 12) }));
    const gaps = [{ from: 13, to: 14, reason: 'expired' }] as const;
    const rejects = [{ seq: 15, code: 'too_large' }] as const;
    await first.commit(batchOf(stream, { gaps, rejects }));
    await first.commit(batchOf(stream, { frames: [frameOf(EPOCH_A, 5, 'other')] }));
    await first.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 6, 7) }));
    const [audit, collectors] = [await first.audit(), await first.collectors()];
    const frames = await exported(first);
    await first.close();
    const second = await reopen(first);
    expect(second.storeId).toBe(first.storeId);
    expect(await second.audit()).toEqual(audit);
    expect(await second.collectors()).toEqual(collectors);
    expect(await exported(second)).toEqual(frames);
    const answer = await announce(second, [epochOf(EPOCH_A, 4, 20)]);
    expect(answer).toEqual({
      streams: [stream],
      settled: [
        [
          stored(4, 4),
          { from: 5, to: 5, state: 'rejected', code: 3 },
          stored(6, 12),
          { from: 13, to: 14, state: 'declared', code: 2 },
          { from: 15, to: 15, state: 'rejected', code: 2 },
        ],
      ],
      collectorsKnown: 1,
    });
  });

  test('pruning by age takes what arrived first, and tells how much', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 900));
    for (const [from, receivedAt] of [
      [1, 100],
      [301, 200],
      [601, 300],
    ] as const) {
      const frames = framesOf(EPOCH_A, from, from + 299);
      await store.commit(batchOf(stream, { frames, receivedAt }));
    }
    expect(await pruneAll(store, { receivedBefore: 100 })).toBe(0);
    expect(await pruneAll(store, { receivedBefore: 201 })).toBe(600);
    expect(await pruneAll(store, { receivedBefore: 201 })).toBe(0);
    expect((await exported(store)).map(({ seq }) => seq)[0]).toBe(601);
    expect(await auditOf(store, EPOCH_A)).toMatchObject({
      last: 900,
      stored: 300,
      pruned: [{ from: 1, to: 600 }],
      pending: [],
      missing: [],
    });
    const answer = await announce(store, [epochOf(EPOCH_A, 1, 900)]);
    expect(answer.settled).toEqual([[pruned(1, 600), stored(601, 900)]]);
  });

  test('what was pruned never returns, whatever comes under its identity', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 9));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 4), receivedAt: 100 }));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 5, 6), receivedAt: 200 }));
    await pruneAll(store, { receivedBefore: 200 });
    const again = await store.commit(
      batchOf(stream, {
        frames: [frameOf(EPOCH_A, 1), frameOf(EPOCH_A, 2, 'other'), frameOf(EPOCH_A, 7)],
      }),
    );
    expect(again).toEqual({ settled: [pruned(1, 2), stored(7, 7)], conflicts: [], duplicates: 2 });
    const gaps = [{ from: 2, to: 5, reason: 'lost_after_ack' }] as const;
    const later = await store.commit(batchOf(stream, { gaps, rejects: [{ seq: 1, code: 'crc' }] }));
    expect(later.settled).toEqual([pruned(2, 4), stored(5, 5), pruned(1, 1)]);
    expect((await exported(store)).map(({ seq }) => seq)).toEqual([5, 6, 7]);
    await store.close();
    const reopened = await reopen(store);
    expect(await auditOf(reopened, EPOCH_A)).toMatchObject({
      stored: 3,
      pruned: [{ from: 1, to: 4 }],
      declared: [],
      rejected: [],
    });
  });

  test('pruning by size takes the oldest of all collectors, and leaves the newest frame', async () => {
    const store = await open();
    const text = 'x'.repeat(1_000);
    const streams: StreamId[] = [];
    for (const collector of ['c1', 'c2']) {
      const answer = await announce(store, [epochOf(EPOCH_A, 1, 999)], { collector });
      streams.push(answer.streams[0] ?? -1);
    }
    for (let seq = 1; seq <= 200; seq += 1) {
      for (const stream of streams) {
        await store.commit(batchOf(stream, { frames: [frameOf(EPOCH_A, seq, text)] }));
      }
    }
    const keepBytes = 250_000;
    const taken = await pruneAll(store, { keepBytes });
    expect(taken).toBeGreaterThan(100);
    expect(taken).toBeLessThan(400);
    const left = await exported(store);
    expect(left).toHaveLength(400 - taken);
    // In the order of arrival: no frame of one collector is older than all of the other's.
    const first = left.filter(({ collector }) => collector === 'c1')[0]?.seq ?? 0;
    const other = left.filter(({ collector }) => collector === 'c2')[0]?.seq ?? 0;
    expect(Math.abs(first - other)).toBeLessThanOrEqual(1);
    await pruneAll(store, { keepBytes: 1 });
    expect(await exported(store)).toMatchObject([{ collector: 'c2', seq: 200 }]);
    const stored2 = (await store.audit('c1'))[0]?.epochs[0];
    expect(stored2).toMatchObject({ stored: 0, pruned: [{ from: 1, to: 200 }] });
  });

  test('commits go on between the steps of pruning', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 9_000));
    for (let from = 1; from <= 6_000; from += 1_000) {
      await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, from, from + 999) }));
    }
    const pruning = pruneAll(store, { receivedBefore: 6 });
    for (let seq = 6_001; seq <= 6_010; seq += 1) {
      const outcome = await store.commit(
        batchOf(stream, { frames: [frameOf(EPOCH_A, seq)], receivedAt: 6 }),
      );
      expect(outcome.settled).toEqual([stored(seq, seq)]);
    }
    expect(await pruning).toBeGreaterThan(5_900);
    await pruneAll(store, { receivedBefore: 6 });
    expect(await auditOf(store, EPOCH_A)).toMatchObject({
      stored: 10,
      pruned: [{ from: 1, to: 6_000 }],
      missing: [],
    });
  });

  test('a store that was not filled has nothing to prune', async () => {
    const store = await open();
    expect(await store.prune({ receivedBefore: 1_000, keepBytes: 1 })).toEqual({
      pruned: 0,
      more: false,
    });
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 1));
    await store.commit(batchOf(stream, { frames: framesOf(EPOCH_A, 1, 1) }));
    expect(await store.prune({ receivedBefore: 1_000, keepBytes: 1 })).toEqual({
      pruned: 0,
      more: false,
    });
    expect(await store.prune({})).toEqual({ pruned: 0, more: false });
  });

  test('a closed store takes nothing more', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 1));
    await store.close();
    await store.close();
    const closed = { code: 'closed' };
    await expect(store.commit(batchOf(stream, {}))).rejects.toMatchObject(closed);
    await expect(announce(store, [])).rejects.toMatchObject(closed);
    await expect(store.prune({ keepBytes: 1 })).rejects.toMatchObject(closed);
  });
}
