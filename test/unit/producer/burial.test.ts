/** How refused frames are kept aside while connections come and go; files and queue are played. */
import { expect, test } from 'vitest';
import { Burial } from '#collector/producer/burial.ts';
import type { DeadLetter } from '#collector/producer/dead-letters.ts';
import { epochNumber, frame } from './rig.ts';

const EPOCH = epochNumber(1);
const REFUSAL = {
  type: 'reject',
  storeId: 'store',
  epoch: EPOCH,
  range: { from: 1, to: 1, state: 'rejected', code: 2 },
  text: 'too large',
} as const;

/** One refused frame, and letters that are written when the test says so. */
function played() {
  const letters: DeadLetter[] = [];
  const writes: PromiseWithResolvers<void>[] = [];
  const settled: number[] = [];
  const buried: number[] = [];
  const scene = { connection: 1, letters, writes, settled, buried };
  const burial = new Burial({
    collector: 'c1',
    queuePath: 'queue',
    wallTime: () => 1,
    after: () => () => {},
    queue: {
      readPending: async () => (settled.length > 0 ? [] : [frame(EPOCH, 1)]),
      settle: (_, __, ranges) => {
        settled.push(...ranges.map(({ from }) => from));
      },
    },
    keepDeadLetter: (_, letter) => {
      letters.push(letter);
      const write = Promise.withResolvers<void>();
      writes.push(write);
      return write.promise;
    },
    watchConnection: () => {
      const { connection } = scene;
      return () => scene.connection === connection;
    },
    onBuried: ({ seq }) => buried.push(seq),
  });
  return { ...scene, scene, burial };
}

test('a letter that is kept when its connection is gone settles nothing; the next one has the disk asked again', async () => {
  const { scene, burial, letters, writes, settled, buried } = played();
  const first = burial.bury(REFUSAL);
  await expect.poll(() => letters.length).toBe(1);
  scene.connection = 2;
  writes[0]?.resolve();
  await first;
  expect([settled, buried]).toEqual([[], []]);
  // A person may have had it sent again, or dropped it, since it was kept.
  const second = burial.bury(REFUSAL);
  await expect.poll(() => letters.length).toBe(2);
  expect(settled).toEqual([]);
  writes[1]?.resolve();
  await second;
  expect(buried).toEqual([1]);
  expect(settled[0]).toBe(1);
});
