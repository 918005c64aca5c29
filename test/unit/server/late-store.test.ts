/**
 * A frame that was on its way when its queue gave it up, and that the store has taken all the same,
 * is stored: the real queue and the real store agree, whichever of the two the store hears first.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { QueueCore } from '#collector/producer/queue/core.ts';
import { SqliteStore } from '#server/store/sqlite-store.ts';
import { ModelledFiles } from '../queue/modelled-files.ts';
import { appendFrames, openCore } from '../queue/support.ts';
import { announce, batchOf } from './store-contract.ts';

let directory: string;
let store: SqliteStore;
let core: QueueCore;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-late-'));
  store = await SqliteStore.open({ directory, fresh: { storeId: randomUUID(), createdAt: 1 } });
  core = openCore(new ModelledFiles(), { segmentBytes: 16_384, limitBytes: 65_536 });
});

afterEach(async () => {
  core.close();
  await store.close();
  rmSync(directory, { recursive: true });
});

test.each([
  ['before', true],
  ['after', false],
])('when the store has it %s it hears of the gap', async (_, framesFirst) => {
  appendFrames(core, 1, 10, 2_000);
  const underWay = core.readPending(undefined, { frames: 3, bytes: 100_000 });
  const epoch = underWay[0]?.epoch ?? '';
  for (let n = 11; core.stats.evicted === 0; n += 1) appendFrames(core, n, n, 2_000);
  const [gap] = core.pendingGaps();
  expect(gap).toMatchObject({ epoch, from: 1, reason: 'evicted' });
  if (gap === undefined) return;
  expect(gap.to).toBeGreaterThan(3);

  const [held] = core.held();
  const { streams } = await announce(store, held === undefined ? [] : [held]);
  const batches = [
    batchOf(streams[0] ?? -1, { frames: underWay }),
    batchOf(streams[0] ?? -1, { gaps: [gap] }),
  ];
  for (const batch of framesFirst ? batches : batches.toReversed()) {
    const { settled } = await store.commit(batch);
    core.settle(store.storeId, epoch, settled);
  }

  const [audit] = await store.audit('c1');
  expect(audit?.epochs[0]).toMatchObject({
    stored: 3,
    declared: [{ from: 4, to: gap.to, reason: 'evicted' }],
    missing: [],
  });
  expect(core.stats.acked).toBe(3);
  expect(core.pendingGaps()).toEqual([]);
  const [first] = core.readPending(undefined, { frames: 1, bytes: 1 });
  expect(first?.seq).toBe(gap.to + 1);
});
