/**
 * A disk without room, from any call to the file port on: what was accepted before is kept, what was
 * not accepted never comes back, no number is used twice, and the queue goes on by itself.
 */
import { describe, expect, test } from 'vitest';
import type { CoreOptions, QueueCore } from '#collector/producer/queue/core.ts';
import { DiskFullError } from '#collector/producer/queue/errors.ts';
import { Queue, type QueueOptions } from '#collector/producer/queue/queue.ts';
import type { StartThread, Turn } from '#collector/producer/queue/thread.ts';
import { Turns } from '#collector/producer/queue/turns.ts';
import { type Choose, ModelledFiles, noSpace, type PortCall } from './modelled-files.ts';
import {
  appendFrames,
  appendTo,
  chooser,
  epochMint,
  openCore,
  payloadOf,
  readAll,
  STORE,
} from './support.ts';
import { Witness } from './witness.ts';

class Crash extends Error {}

const NEEDING_ROOM: ReadonlySet<string> = new Set(['create', 'write', 'rename', 'makeDirectory']);

/** Runs `work`; a full disk is put up with. */
function whereRoom(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof DiskFullError)) throw error;
  }
}

/** From the n-th call that needs room on there is none, for so many calls that need it. */
function fillAt(files: ModelledFiles, n: number, calls: number): { count: number } {
  const needing = { count: 0 };
  files.before = ({ operation, path, bytes }: PortCall) => {
    files.roomBytes = Number.POSITIVE_INFINITY;
    if (!NEEDING_ROOM.has(operation)) return;
    const index = needing.count;
    needing.count += 1;
    if (index < n || index >= n + calls) return;
    // Half of the first write gets there, and nothing of those after it.
    files.roomBytes = operation === 'write' && index === n ? bytes >> 1 : 0;
    if (operation === 'rename') throw noSpace(path);
  };
  return needing;
}

type Story = (core: QueueCore, witness: Witness) => void;

const STORIES: ReadonlyArray<readonly [string, Partial<CoreOptions>, Story]> = [
  [
    'appends over several segments',
    { segmentBytes: 600 },
    (core, witness) => {
      for (const count of [1, 3, 5, 1, 4]) witness.offer(core, count, 60);
    },
  ],
  [
    'settles, checkpoints and removes segments',
    { segmentBytes: 600, keepSettledBytes: 8_000, keepSettledMs: 1_000 },
    (core, witness) => {
      for (const count of [4, 4, 4]) {
        witness.offer(core, count, 60);
        witness.settle(core, 3);
        whereRoom(() => core.maintain());
      }
      witness.settle(core, 100);
      whereRoom(() => core.maintain());
      whereRoom(() => core.maintain());
      witness.offer(core, 2, 60);
    },
  ],
  [
    'evicts',
    { segmentBytes: 600, limitBytes: 24_000 },
    (core, witness) => {
      for (let i = 0; i < 5; i += 1) {
        witness.offer(core, 6, 100);
        if (i % 3 === 1) witness.settle(core, 2);
        if (i === 3) whereRoom(() => core.maintain());
      }
    },
  ],
  [
    'declares what found no room',
    { segmentBytes: 600 },
    (core, witness) => {
      for (const count of [2, 3, 2]) {
        witness.declareLost(core, 2);
        witness.offer(core, count, 60);
        whereRoom(() => core.maintain());
      }
    },
  ],
  [
    'learns that its store has lost what it had settled',
    { segmentBytes: 600, keepSettledBytes: 20_000, keepSettledMs: 1_000 },
    (core, witness) => {
      witness.offer(core, 14, 60);
      witness.settle(core, 100);
      whereRoom(() => core.maintain());
      witness.offer(core, 10, 60);
      witness.settle(core, 6);
      whereRoom(() => core.maintain());
      witness.lose((seq) => seq % 4 > 1);
      witness.reconcile(core);
      witness.settleGaps(core);
      whereRoom(() => core.maintain());
      witness.offer(core, 2, 60);
    },
  ],
];

const LUCK: readonly Choose[] = [() => 0, (max) => max, chooser(1), chooser(2)];

/** A queue that crashed, and who knows what it had promised. */
interface Crashed {
  readonly files: ModelledFiles;
  readonly witness: Witness;
  readonly options: Partial<CoreOptions>;
}

/** Plays the story on a disk that is full at need `n`; `m` calls behind that it crashes. */
function playUntil(
  n: number,
  m: number,
  given: Partial<CoreOptions>,
  story: Story,
): Crashed | undefined {
  const options = { ...given, mintEpoch: epochMint() };
  const files = new ModelledFiles();
  const witness = new Witness();
  const needing = fillAt(files, n, 3);
  const fill = files.before;
  let callsBehind = -1;
  files.before = (call, index) => {
    if (callsBehind >= m) throw new Crash();
    fill(call, index);
    if (needing.count > n) callsBehind += 1;
  };
  try {
    story(openCore(files, options), witness);
    return undefined;
  } catch (error) {
    if (callsBehind < m) throw error;
    return { files, witness, options };
  }
}

/** Opens what is left, checks it, and goes on. */
function checkAndGoOn(left: ModelledFiles, before: Witness, options: Partial<CoreOptions>): void {
  const core = openCore(left, options);
  const witness = new Witness(before);
  witness.check(core);
  witness.append(core, 2, 60);
  core.maintain();
  witness.check(openCore(left.afterKill(), options));
}

describe.each(STORIES)('a queue that %s', (_, options, story) => {
  test.each([1, 7, 1_000])(
    'goes on after a disk that was full for %i calls',
    { timeout: 60_000 },
    (calls) => {
      for (let n = 0; ; n += 1) {
        const complete = { ...options, mintEpoch: epochMint() };
        const files = new ModelledFiles();
        const witness = new Witness();
        const needing = fillAt(files, n, calls);
        const core = openCore(files, complete);
        story(core, witness);
        if (needing.count <= n) break;
        try {
          for (const luck of LUCK) checkAndGoOn(files.afterPowerLoss(luck), witness, complete);
          files.before = () => {};
          files.roomBytes = Number.POSITIVE_INFINITY;
          core.maintain();
          expect(core.stats).toMatchObject({ diskFull: false, failed: false });
          witness.append(core, 3, 60);
          witness.check(core);
          checkAndGoOn(files.afterKill(), witness, complete);
          checkAndGoOn(
            files.afterPowerLoss(() => 0),
            witness,
            complete,
          );
          core.close();
          expect(files.openHandles).toBe(0);
        } catch (error) {
          throw new Error(`full at need ${n}`, { cause: error });
        }
      }
    },
  );

  test('loses nothing when it crashes at any call behind that', { timeout: 60_000 }, () => {
    for (let n = 0; ; n += 5) {
      let m = 0;
      for (; ; m += 1) {
        const crashed = playUntil(n, m, options, story);
        if (crashed === undefined) break;
        try {
          for (const luck of LUCK.slice(1, 3)) {
            checkAndGoOn(crashed.files.afterPowerLoss(luck), crashed.witness, crashed.options);
          }
        } catch (error) {
          throw new Error(`full at need ${n}, crash ${m} calls behind`, { cause: error });
        }
      }
      if (m === 0) break;
    }
  });
});

describe('a full disk', () => {
  test('is an error that passes, and no frame of that commit comes back', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    appendFrames(core, 1, 3);
    files.roomBytes = 30;
    core.append(payloadOf(4), 4_000);
    expect(() => core.commit()).toThrow(DiskFullError);
    expect(core.stats).toMatchObject({ frames: 3, diskFull: true, failed: false });
    expect(() => appendFrames(core, 5, 6)).toThrow(DiskFullError);
    files.roomBytes = 1_000_000;
    expect(appendFrames(core, 7, 7)).toMatchObject([{ seq: 4 }]);
    core.maintain();
    expect(core.stats).toMatchObject({ frames: 4, diskFull: false });
    const texts = readAll(openCore(files.afterKill())).map(({ payload }) =>
      Buffer.from(payload).toString(),
    );
    expect(texts.map((text) => text.split(';')[0])).toEqual([1, 2, 3, 7].map((n) => `frame ${n}`));
  });

  test('does not keep a queue at its limit from giving up its oldest frames', () => {
    const options = { segmentBytes: 16_384, limitBytes: 65_536 };
    const probe = openCore(new ModelledFiles(), options);
    let fitting = 0;
    for (; probe.stats.evicted === 0; fitting += 1) appendFrames(probe, 1, 1, 2_000);
    const files = new ModelledFiles();
    const core = openCore(files, options);
    core.maintain();
    let n = 0;
    const appendOne = (): void => {
      n += 1;
      appendFrames(core, n, n, 2_000);
    };
    while (n < fitting - 1) appendOne();
    files.roomBytes = 0;
    // The reserve pays for the gap and the checkpoint; the segment that goes, for the frame.
    appendOne();
    expect(core.stats.evicted).toBeGreaterThan(0);
    const [first] = core.pendingGaps();
    expect(first).toMatchObject({ from: 1, reason: 'evicted' });
    const again = openCore(files.afterPowerLoss(() => 0));
    expect(again.pendingGaps()).toEqual(core.pendingGaps());
    expect(again.recovery.damage).toEqual([]);
  });

  test('does not keep what is settled and checkpointed from being removed', () => {
    const files = new ModelledFiles();
    const core = openCore(files, { segmentBytes: 600 });
    core.maintain();
    const last = appendFrames(core, 1, 30).at(-1);
    files.roomBytes = 0;
    core.settle(STORE, last?.epoch ?? '', [{ from: 1, to: 30, state: 'stored', code: 0 }]);
    whereRoom(() => core.maintain());
    expect(files.names('segment-').length).toBeLessThan(2);
    expect(openCore(files.afterPowerLoss(() => 0)).stats.frames).toBe(0);
  });

  test('takes what is only kept, in case the store loses it', () => {
    const files = new ModelledFiles();
    const keep = { keepSettledBytes: 60_000, keepSettledMs: 100_000 };
    const core = openCore(files, { segmentBytes: 600, ...keep });
    const last = appendFrames(core, 1, 30).at(-1);
    core.settle(STORE, last?.epoch ?? '', [{ from: 1, to: 30, state: 'stored', code: 0 }]);
    core.maintain();
    expect(core.stats.keptBytes).toBeGreaterThan(0);
    files.roomBytes = 10;
    expect(() => appendFrames(core, 31, 31)).toThrow(DiskFullError);
    whereRoom(() => core.maintain());
    expect(core.stats.keptBytes).toBe(0);
    appendFrames(core, 31, 31);
  });

  test('that only a sync tells of is a failure', () => {
    const files = new ModelledFiles();
    const core = openCore(files);
    appendFrames(core, 1, 3);
    files.before = ({ operation, path }) => {
      if (operation !== 'sync') return;
      throw Object.assign(new Error(`ENOSPC: ${path}`), { code: 'ENOSPC' });
    };
    core.append(payloadOf(4), 4_000);
    expect(() => core.commit()).toThrow(/has failed/);
    expect(core.stats.failed).toBe(true);
  });
});

test('lost frames get the next numbers, and the reopened queue declares them, too', () => {
  const files = new ModelledFiles();
  const core = openCore(files);
  core.maintain();
  files.roomBytes = 0;
  const gap = core.declareLost(4);
  expect(gap).toMatchObject({ from: 1, to: 4, reason: 'disk_full' });
  const early = openCore(files.afterPowerLoss(() => 0));
  expect(early.pendingGaps()).toEqual([gap]);
  expect(early.recovery.damage).toEqual([]);
  files.roomBytes = 1_000_000;
  expect(appendFrames(core, 1, 2)).toMatchObject([{ seq: 5 }, { seq: 6 }]);
  expect(core.pendingGaps()).toEqual([gap]);
  const again = openCore(files.afterKill());
  expect(again.pendingGaps()).toEqual([gap]);
  expect(readAll(again).map(({ seq }) => seq)).toEqual([5, 6]);
});

test('a gap that found no room is durable before the frames behind it, wherever a write is torn', () => {
  for (let bytes = 0, most = 1; bytes <= most; bytes += 1) {
    const files = new ModelledFiles();
    const core = openCore(files);
    files.roomBytes = 0;
    const gap = core.declareLost(2);
    files.roomBytes = 1_000_000;
    let synced = 0;
    files.before = ({ operation, path }) => {
      if (operation !== 'sync' || !path.startsWith('segment-')) return;
      // The header's, then the first one behind records.
      synced += 1;
      if (synced === 2) throw new Crash();
    };
    expect(() => appendFrames(core, 1, 3)).toThrow();
    const left = files.afterPowerLoss((max) => {
      most = Math.max(most, max);
      return Math.min(max, bytes);
    });
    const again = openCore(left);
    expect(again.recovery.damage).toEqual([]);
    const gaps = again.pendingGaps();
    expect(gaps).toEqual(gaps.length > 0 ? [gap] : []);
    if (gaps.length === 0) expect(readAll(again)).toEqual([]);
  }
});

describe('a client', () => {
  /** The real rounds over modelled files, without a thread. */
  async function open(files: ModelledFiles, options: Partial<QueueOptions> = {}) {
    let onTurn: (turn: Turn) => void = () => {};
    const closed = Promise.withResolvers<void>();
    const core = { turns: undefined as Turns | undefined };
    const start: StartThread = (complete) => {
      const queue = openCore(files, complete);
      const turns = new Turns(queue, () => 'collector');
      core.turns = turns;
      return {
        opening: Promise.resolve({ recovery: queue.recovery, stats: queue.stats }),
        ended: closed.promise,
        listen: (listener) => {
          onTurn = listener;
        },
        post: (request) =>
          queueMicrotask(() => {
            onTurn(turns.take([request]).turn);
            if (turns.isClosed) closed.resolve();
          }),
        close: () => {},
      };
    };
    const queue = await Queue.open({ path: 'queue', ...options }, start);
    return { queue, upkeep: () => onTurn((core.turns as Turns).maintain().turn) };
  }

  test('is told of each frame that was not accepted, and of both changes', async () => {
    const files = new ModelledFiles();
    const { queue, upkeep } = await open(files);
    const events: unknown[] = [];
    queue.on((event) => events.push(event));
    await appendTo(queue, payloadOf(1), 1);
    files.roomBytes = 10;
    const refused = await Promise.allSettled([2, 3].map((n) => appendTo(queue, payloadOf(n), n)));
    expect(refused.map((outcome) => outcome.status === 'rejected' && outcome.reason)).toMatchObject(
      [
        { code: 'disk_full', retry: 'transient' },
        { code: 'disk_full', retry: 'transient' },
      ],
    );
    expect(await queue.declareLost(2)).toMatchObject({ from: 2, to: 3, reason: 'disk_full' });
    files.roomBytes = Number.POSITIVE_INFINITY;
    expect(await appendTo(queue, payloadOf(4), 4)).toMatchObject({ seq: 4 });
    upkeep();
    expect(events).toMatchObject([
      { type: 'appended', seq: 1 },
      { type: 'disk_full', full: true },
      { type: 'gap', gap: { from: 2, to: 3 } },
      { type: 'appended', seq: 3 },
      { type: 'appended', seq: 4 },
      { type: 'disk_full', full: false },
    ]);
    await queue.close();
  });

  test('has what was durable before there was no more room', async () => {
    const files = new ModelledFiles();
    const { queue } = await open(files, { segmentBytes: 600 });
    await appendTo(queue, payloadOf(1), 1);
    files.roomBytes = 900;
    const appends = Array.from({ length: 12 }, (_, i) =>
      appendTo(queue, payloadOf(i + 2, 60), i + 2),
    );
    const outcomes = await Promise.allSettled(appends);
    const accepted = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(12);
    expect(outcomes.findIndex(({ status }) => status === 'rejected')).toBe(accepted);
    const frames = await queue.readPending(undefined, { frames: 100, bytes: 100_000 });
    expect(frames.map(({ capturedAt }) => capturedAt)).toEqual(
      Array.from({ length: accepted + 1 }, (_, i) => i + 1),
    );
    await queue.close();
  });
});
