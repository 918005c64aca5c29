/**
 * What every store must hold to, whatever it is made on: run against each implementation by its
 * own test file.
 */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Epoch, frameCrc } from '#protocol/identity.ts';
import type { EpochAnnouncement, WireFrame } from '#protocol/messages.ts';
import type { SettledRange } from '#protocol/settlement.ts';
import type {
  Announcement,
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

async function streamOf(store: Store, announced: EpochAnnouncement): Promise<StreamId> {
  return (await announce(store, [announced])).streams[0] ?? -1;
}

async function exported(store: Store): Promise<StoredFrame[]> {
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

/** `open` gives a new, empty store; closing it is the caller's business. */
export function storeContract(open: () => Promise<Store>): void {
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

  test('a closed store takes nothing more', async () => {
    const store = await open();
    const stream = await streamOf(store, epochOf(EPOCH_A, 1, 1));
    await store.close();
    await expect(store.commit(batchOf(stream, {}))).rejects.toMatchObject({ code: 'closed' });
  });
}
