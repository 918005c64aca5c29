/** Group commit: what shares a transaction, and how long anybody waits, counted in commits. */
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { GroupCommit } from '#server/store/group-commit.ts';
import { BatchUnpacker, OutcomePacker } from '#server/store/packed-batches.ts';
import type { ItemResult, WriterJob } from '#server/store/sqlite-writer.ts';
import { StoreError } from '#server/store/store.ts';
import { batchOf, EPOCH_A, frameOf } from './store-contract.ts';

/** A group commit whose transactions end when the test says so. */
class Rig {
  readonly jobs: WriterJob[] = [];
  readonly group: GroupCommit;
  committed = 0;
  /** What is still done after a job. */
  followUp: Promise<void> | undefined;
  #finish: ((error?: StoreError) => void) | undefined;

  constructor() {
    this.group = new GroupCommit({
      run: (job) =>
        new Promise((resolve, reject) => {
          this.jobs.push(job);
          const others = job.items.filter(({ kind }) => kind !== 'batches');
          const results = others.map(() => undefined);
          const outcomes = new OutcomePacker();
          for (let i = 0; i < job.batches.count; i += 1) {
            outcomes.add({ settled: [], conflicts: [], duplicates: 0 });
          }
          this.#finish = (error) => {
            if (error) reject(error);
            else resolve({ results, outcomes: outcomes.finish(), durationMs: 1, walBytes: 0 });
          };
        }),
      committed: () => {
        this.committed += 1;
        return this.followUp;
      },
      refused: () => {},
    });
  }

  /** Ends the transaction that runs and lets the next one begin. */
  async finish(error?: StoreError): Promise<void> {
    this.#finish?.(error);
    await setImmediate();
    await setImmediate();
  }

  /** A batch of one frame. */
  ask(collector: string, stream: number, payload: string): Promise<unknown> {
    const frames = [frameOf(EPOCH_A, 1, payload)];
    return this.group.add({ kind: 'batch', batch: batchOf(stream, { collector, frames }) });
  }

  /** Likewise; answers how many transactions ended from now until it was on disk. */
  async add(collector: string, stream: number, payload: string): Promise<number> {
    const before = this.committed;
    await this.ask(collector, stream, payload);
    return this.committed - before;
  }
}

const LARGE = 'x'.repeat(262_144);

test('what waits while a transaction runs is committed by the next, whoever it is of', async () => {
  const rig = new Rig();
  const all = [rig.add('a', 1, 'first')];
  await setImmediate();
  all.push(rig.add('a', 1, 'second'), rig.add('b', 2, 'third'), rig.add('c', 3, 'fourth'));
  await rig.finish();
  await rig.finish();
  await Promise.all(all);
  expect(rig.jobs.map(({ batches }) => batches.count)).toEqual([1, 3]);
});

test.each([1, 50, 400])(
  'one frame waits for two commits at most behind %i collectors with a backlog',
  async (backlogs) => {
    const rig = new Rig();
    const waits: Promise<number>[] = [];
    for (let i = 0; i < 2_000; i += 1) waits.push(rig.add(`b${i % backlogs}`, i % backlogs, LARGE));
    await setImmediate();
    // Several moments of a drain, each with a transaction under way.
    for (let moment = 0; moment < 5; moment += 1) {
      const live = rig.add('live', 9_999, 'tick');
      let commits = 0;
      live.then((count) => {
        commits = count;
      });
      for (let i = 0; i < 30 && commits === 0; i += 1) await rig.finish();
      expect(commits).toBeGreaterThan(0);
      expect(commits).toBeLessThanOrEqual(2);
      await rig.finish();
    }
    while (rig.jobs.length > rig.committed) await rig.finish();
    await Promise.all(waits);
  },
);

test('a transaction is bounded, and takes an item that is larger than its bound', async () => {
  const rig = new Rig();
  const waits = Array.from({ length: 40 }, () => rig.add('a', 1, LARGE));
  waits.push(rig.add('a', 1, 'x'.repeat(6_000_000)));
  await setImmediate();
  while (rig.jobs.length > rig.committed) await rig.finish();
  await Promise.all(waits);
  expect(rig.jobs.map(({ batches }) => batches.count)).toEqual([15, 15, 10, 1]);
});

test('where more waits than a job takes, the next is begun before that is answered', async () => {
  const rig = new Rig();
  const begun: number[] = [];
  const all = Array.from({ length: 40 }, (_, index) =>
    rig.ask(`c${index}`, index, LARGE).then(() => begun.push(rig.jobs.length)),
  );
  await setImmediate();
  while (rig.jobs.length > rig.committed) await rig.finish();
  await Promise.all(all);
  expect(begun).toEqual([...Array(15).fill(2), ...Array(25).fill(3)]);
});

test('where nothing more waits, what an answer brings about is in the next job', async () => {
  const rig = new Rig();
  const first = rig.ask('a', 1, 'first').then(() => rig.ask('a', 1, 'brought about'));
  await setImmediate();
  const other = rig.add('b', 2, 'came meanwhile');
  while (rig.jobs.length > rig.committed) await rig.finish();
  await Promise.all([first, other]);
  expect(rig.jobs.map(({ batches }) => batches.count)).toEqual([1, 2]);
});

test.each([1, 40])(
  'what is done after a job holds up the next one, and no answer',
  async (count) => {
    const rig = new Rig();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.followUp = promise;
    let answered = 0;
    const all = Array.from({ length: count }, async (_, index) => {
      await rig.add(`c${index}`, index, LARGE);
      answered += 1;
    });
    await setImmediate();
    all.push(rig.add('late', count, 'late').then(() => {}));
    await rig.finish();
    expect([answered, rig.jobs.length]).toEqual([Math.min(count, 15), 1]);
    rig.followUp = undefined;
    resolve();
    await setImmediate();
    while (rig.jobs.length > rig.committed) await rig.finish();
    await Promise.all(all);
  },
);

test('what a collector brings keeps its order, its announcements included', async () => {
  const rig = new Rig();
  const order: string[] = [];
  const batch = (collector: string, payload: string) =>
    ({
      kind: 'batch',
      batch: batchOf(1, { collector, frames: [frameOf(EPOCH_A, 1, payload)] }),
    }) as const;
  const common = { collector: 'a', instance: '', connection: '', at: 1, epochs: [] };
  const announcement = { ...common, complete: true };
  const add = (name: string, asked: Parameters<GroupCommit['add']>[0]) =>
    rig.group.add(asked).then(() => order.push(name));
  const all = [
    add('other', batch('b', LARGE)),
    add('frames', batch('a', LARGE)),
    add('announcement', { kind: 'announce', announcement }),
    add('more frames', batch('a', 'x')),
  ];
  await setImmediate();
  while (rig.jobs.length > rig.committed) await rig.finish();
  await Promise.all(all);
  const ofOne = order.filter((name) => name !== 'other');
  expect(ofOne).toEqual(['frames', 'announcement', 'more frames']);
});

test('each of a transaction is answered by what became of it, whatever is beside it', async () => {
  const answerTo = (name: number) => ({ streams: [name], settled: [], collectorsKnown: name });
  const outcomeOf = (name: number) => ({ settled: [], conflicts: [], duplicates: name });
  const group = new GroupCommit({
    // Answers each by its own number: an announcement's time, a batch's stream.
    run: async ({ items, batches }) => {
      const unpacker = new BatchUnpacker(batches);
      const outcomes = new OutcomePacker();
      const results: ItemResult[] = [];
      for (const item of items) {
        if (item.kind === 'announce') results.push(answerTo(item.announcement.at));
        if (item.kind !== 'batches') continue;
        for (let i = 0; i < item.count; i += 1) {
          outcomes.add(outcomeOf(unpacker.take().stream));
        }
      }
      return { results, outcomes: outcomes.finish(), durationMs: 1, walBytes: 0 };
    },
    committed: () => undefined,
    refused: () => {},
  });
  const common = { instance: '', connection: '', epochs: [], complete: true };
  const announce = (at: number) =>
    group.add({ kind: 'announce', announcement: { ...common, collector: `c${at}`, at } });
  const commit = (stream: number) =>
    group.add({ kind: 'batch', batch: batchOf(stream, { collector: `c${stream}` }) });
  const answers = [
    commit(1),
    commit(2),
    announce(3),
    commit(4),
    announce(5),
    announce(6),
    commit(7),
  ];
  expect(await Promise.all(answers)).toEqual([
    outcomeOf(1),
    outcomeOf(2),
    answerTo(3),
    outcomeOf(4),
    answerTo(5),
    answerTo(6),
    outcomeOf(7),
  ]);
});

test('a transaction that fails refuses all that was in it, and nothing else', async () => {
  const rig = new Rig();
  const failed = [rig.add('a', 1, 'x'), rig.add('b', 2, 'x')];
  const outcomes = Promise.allSettled(failed);
  await setImmediate();
  const later = rig.add('a', 1, 'y');
  await rig.finish(new StoreError('full', 'no room'));
  await rig.finish();
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await later;
});

test('whoever gives way to commits waits for the one that runs, and not for those behind it', async () => {
  const rig = new Rig();
  await rig.group.jobEnded();
  const first = rig.add('a', 1, 'first');
  await setImmediate();
  const second = rig.add('a', 1, 'second');
  let ended = 0;
  for (let i = 0; i < 2; i += 1) void rig.group.jobEnded().then(() => (ended += 1));
  await setImmediate();
  expect(ended).toBe(0);
  const refused = expect(first).rejects.toThrow('full');
  await rig.finish(new StoreError('full', 'the disk is full'));
  await refused;
  expect(ended).toBe(2);
  expect(rig.jobs).toHaveLength(2);
  await rig.finish();
  await second;
  await rig.group.jobEnded();
});
